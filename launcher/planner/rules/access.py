"""Rules about who runs `up`: what it may open and see. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.backend import CONTROL_NODES, own_node
from launcher.planner.functions import on_vfio
from launcher.planner.modules import unloaded
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.host.facts import DeviceNode, HostFacts, IommuGroup, Process
    from launcher.planner.decided import Situation


SETFACL = "`apt install acl` has setfacl"


def who(process: Process) -> str:
    """Who would run `up`, in words."""
    return "root of a user namespace" if process.own_user_namespace else f"uid {process.uid}"


def _nodes(it: Situation) -> Iterator[Diagnostic]:
    """Of what should be there already. Root opens any."""
    known = {node.path: node for node in it.host.device_nodes or ()}
    for alias, paths in ((group.alias, group.opened) for group in _opened(it) if group.is_ready):
        for path in paths:
            node = known.get(path)
            if node is not None and not node.usable:
                yield _not_usable(alias, node, it.host)
            elif _is_left_out(path, it):
                yield _left_out(alias, path, it)
    if first := next(_opened(it), None):
        yield from _control(first.alias, CONTROL_NODES[it.backend], it)


def _control(alias: str, path: str, it: Situation) -> Iterator[Diagnostic]:
    """Of a host that is to load its module first nothing is known yet."""
    node = next((one for one in it.host.device_nodes or () if one.path == path), None)
    if node is not None and not node.usable:
        yield _not_usable(alias, node, it.host)
    elif _is_left_out(path, it) and not unloaded(it.host.linux, it.backend, pci=it.passes_pci):
        yield _left_out(alias, path, it)


class _Opened(NamedTuple):
    """An IOMMU group that `up` opens, and the alias that says so. `opened`: by which nodes, if they are there by now;
    `taking`: which take the group. `is_ready`: VFIO has something of it."""

    alias: str
    number: int
    is_ready: bool
    opened: tuple[str, ...]
    taking: tuple[str, ...]


def _opened(it: Situation) -> Iterator[_Opened]:
    """Opening a device by its own node takes the group, too."""
    for group in it.passing.groups:
        members, path = tuple(it.members(group)), f"/dev/vfio/{group.number}"
        mine = (one for one in it.passing.functions if one.group == group.number)
        opened = (path,) if it.backend == "type1" else tuple(node for one in mine if (node := own_node(one)))
        taking = (path, *(node for one in members if (node := own_node(one))))
        yield _Opened(_alias(group, it), group.number, any(map(on_vfio, members)), opened, taking)
    for choice in it.passing.mediated:
        if choice.device is not None and choice.device.group is not None:
            path, node = f"/dev/vfio/{choice.device.group}", own_node(choice.device)
            taking = (path, node) if node else (path,)
            opened = taking[:1] if it.backend == "type1" else taking[1:]
            yield _Opened(choice.alias, choice.device.group, True, opened, taking)


def _is_left_out(path: str, it: Situation) -> bool:
    """The host has the node, and this container has not."""
    nodes = it.host.device_nodes
    return it.host.process.container and nodes is not None and all(node.path != path for node in nodes)


def _left_out(alias: str, path: str, it: Situation) -> Diagnostic:
    fact, others = f"{alias}: {path} is not in this container", () if path == CONTROL_NODES[it.backend] else (path,)
    return Diagnostic("E228", fact, in_spec(f"devices.{alias}"), help=_ways_in(others, it))


def _not_usable(alias: str, node: DeviceNode, host: HostFacts) -> Diagnostic:
    fact = f"{alias}: {who(host.process)} may not open {node.path}"
    evidence = (f"{node.path} has mode {node.mode:04o}, uid {node.uid}, gid {node.gid}",)
    command = f"chown {host.process.uid} {node.path}"
    kind = 'SUBSYSTEM=="vfio"' if "/vfio/devices/" not in node.path else 'SUBSYSTEM=="vfio-dev"'
    kind = 'KERNEL=="iommu"' if node.path == CONTROL_NODES["iommufd"] else kind
    rule = f"""{kind}, GROUP="kvm", MODE="0660\""""
    help_ = (
        f"as root: `{command}`",
        f"for good, in /etc/udev/rules.d/10-vfio.rules: `{rule}`, then `udevadm control --reload`",
    )
    return Diagnostic("E228", fact, in_spec(f"devices.{alias}"), evidence, help_, command)


def _container(it: Situation) -> Iterator[Diagnostic]:
    """The device cgroup's answer is EPERM, and nothing but open() asks it."""
    if not it.host.process.container:
        return
    groups = tuple(_opened(it))
    every = [path for group in groups for path in group.opened]
    left_out = {path for group in groups if group.is_ready for path in group.opened if _is_left_out(path, it)}
    paths = [path for path in every if path not in left_out]
    named = (*paths, *_to_come(it))
    if not named:
        return
    fact = f"`up` would run in a container, which may keep {', '.join(named)} from it: that shows on opening only"
    yield Diagnostic("W220", fact, in_spec("devices"), help=_ways_in(paths, it))


def _to_come(it: Situation) -> tuple[str, ...]:
    """Own nodes of functions that have no name before they are bound."""
    unbound = [str(one.address) for one in it.passing.functions if one.vfio is None]
    if it.backend == "type1" or not unbound:
        return ()
    return (f"the own {'nodes' if len(unbound) > 1 else 'node'} of {', '.join(unbound)}",)


def _ways_in(paths: Sequence[str], it: Situation) -> tuple[str, ...]:
    control = CONTROL_NODES[it.backend]
    words = " ".join(f"--device {path}" for path in (control, *paths, "/dev/kvm"))
    allowed = ("char-vfio",) if it.backend == "type1" else ("char-vfio-dev", control)  # as /proc/devices calls them
    return (
        "bind the devices to vfio-pci on the host, before the container starts: nodes made later are not in it",
        f"for docker and podman: `{words}`",
        "for a systemd service: " + ", ".join(f"`DeviceAllow={one} rw`" for one in allowed),
    )


def _holders(it: Situation) -> Iterator[Diagnostic]:
    """A group can be opened once."""
    known = {node.path: node for node in it.host.device_nodes or ()}
    unseen, groups = [], tuple(_opened(it))
    for group in groups:
        nodes = [known[path] for path in group.taking if path in known]
        yield from (_held(node, group) for node in nodes if not isinstance(node.holders, Missing) and node.holders)
        blind = not it.host.process.sees_all
        unseen += [one for one in nodes if isinstance(one.holders, Missing) or (blind and not one.holders)]
    if unseen:
        yield _unseen(unseen, groups[0].alias)


def _held(node: DeviceNode, group: _Opened) -> Diagnostic:
    holders = () if isinstance(node.holders, Missing) else node.holders
    names = series(f"{one.command} (pid {one.pid})" for one in holders)
    have = "has" if len(holders) == 1 else "have"
    fact = f"{group.alias}: IOMMU group {group.number} is in use: {names} {have} {node.path} open"
    pids = " ".join(str(one.pid) for one in holders)
    help_ = (f"stop it: `systemctl status {pids}` says which VM or service it is; a VM of ours is in `vmlaunch ps`",)
    return Diagnostic("E229", fact, in_spec(f"devices.{group.alias}"), help=help_)


def _unseen(nodes: list[DeviceNode], alias: str) -> Diagnostic:
    paths = ", ".join(node.path for node in nodes)
    fact = f"whether somebody has {paths} open could not be read (denied: /proc/*/fd of other users)"
    help_ = ("plan as root; `up` finds out when it opens the group",)
    return Diagnostic("W216", fact, in_spec(f"devices.{alias}"), help=help_)


def _profile(it: Situation) -> Iterator[Diagnostic]:
    profile = it.host.process.profile
    if profile is None or "unconfined" in profile or profile.endswith("(complain)") or not it.passing.opened:
        return
    fact = f"`up` would run confined by {profile}, which may refuse what the modes of files allow"
    help_ = ("what it refused: `ausearch -m avc -ts recent` (SELinux), `dmesg | grep apparmor` (AppArmor)",)
    yield Diagnostic("W221", fact, in_spec("devices"), help=help_)


def _hidden(it: Situation) -> Iterator[Diagnostic]:
    """Who has not CAP_SYS_ADMIN gets 64 bytes of it, without the capabilities."""
    configs = [(one.alias, one.function.config) for one in it.passing.taken]
    denied = [(alias, one.path) for alias, one in configs if isinstance(one, Missing) and one.missing == "denied"]
    if denied:
        names = ", ".join(dict.fromkeys(alias for alias, _ in denied))
        fact = f"{names}: configuration space can only be read by root, so interrupts and capabilities are not known"
        evidence = tuple(f"denied: {path}" for _, path in denied)
        help_ = ("plan as root: `sudo vmlaunch plan SPEC`", "or record the host as root: `vmlaunch devices --json`")
        yield Diagnostic("W216", fact, in_spec(f"devices.{denied[0][0]}"), evidence, help_)


def _alias(group: IommuGroup, it: Situation) -> str:
    named = (choice.alias for choice, one in it.chosen() if one.group == group.number)
    return next(named, it.passing.deciders[group.number].alias)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _nodes),
    Rule("kernel", _container),
    Rule("kernel", _holders),
    Rule("kernel", _profile),
    Rule("kernel", _hidden),
)
