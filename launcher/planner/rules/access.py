"""Rules about who runs `up`: what it may bind, open and see. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import is_bridge, on_vfio
from launcher.planner.places import field
from launcher.planner.rules.rule import Rule, Situation
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from launcher.host.facts import DeviceNode, HostFacts, IommuGroup, PciFunction, Process
    from launcher.planner.devices import Taken

CONTAINER_NODE = "/dev/vfio/vfio"
_FOR_ROOT = ("E224", "E228")  # what root mends in the same go


def check_binding(it: Situation, found: Collection[Diagnostic]) -> Iterator[Diagnostic]:
    """sysfs files that bind belong to root; a group's node is made when the first of its functions is bound.

    `found` is what all other rules say: a command is given for what nothing else blocks, or it would take from the
    host what the host needs.
    """
    moved = [one for one in it.passing.taken if _to_bind(one)]
    if not moved or _may_bind(it.host.process):
        return
    who, names = _who(it.host.process), ", ".join(dict.fromkeys(one.alias for one in moved))
    fact = f"{names}: only root may change the drivers of devices, and {who} would run `up`"
    evidence = tuple(f"{one.function.address} is on {one.function.driver or 'no driver'}" for one in moved)
    ready = _unblocked(moved, it, found)
    by_hand = (f"or bind as root first: `{_commands(ready, it.host.process)}`",) if ready else ()
    help_ = ("run it as root: `sudo vmlaunch up SPEC`", *by_hand)
    yield Diagnostic("E228", fact, field(f"devices.{moved[0].alias}"), evidence, help_)


def _unblocked(moved: list[Taken], it: Situation, found: Collection[Diagnostic]) -> list[Taken]:
    """A group is opened as a whole or not at all."""
    errors = [one for one in found if one.severity == "error" and one.code not in _FOR_ROOT]
    if any(one.where and one.where.path == "devices" for one in errors):
        return []
    blocked = {alias for one in errors for alias in _aliases(one)}
    groups = {one.function.group for one in it.passing.taken if one.alias in blocked}
    return [one for one in moved if one.alias not in blocked and one.function.group not in groups]


def _aliases(one: Diagnostic) -> tuple[str, ...]:
    """Those with which its message begins, and the one at its place."""
    place = one.where.path.split(".") if one.where else []
    return (*one.message.partition(": ")[0].split(", "), *(place[1:2] if place[:1] == ["devices"] else ()))


def _to_bind(one: Taken) -> bool:
    return one.bind and not on_vfio(one.function)


def _may_bind(process: Process) -> bool:
    return (process.uid == 0 or "cap_dac_override" in process.capabilities) and not process.own_user_namespace


def _who(process: Process) -> str:
    return "root of a user namespace" if process.own_user_namespace else f"uid {process.uid}"


def _commands(moved: list[Taken], process: Process) -> str:
    """driver_override is for one address only, and needs no id that others share. A bridge stays without a driver."""
    held = [one.function for one in moved if one.function.driver]
    bound = [one.function for one in moved if not is_bridge(one.function)]
    device, nodes = "/sys/bus/pci/devices/$d", dict.fromkeys(f"/dev/vfio/{one.group}" for one in bound)
    parts = (
        _for_each(held, f"echo $d > {device}/driver/unbind"),
        _for_each(bound, f"echo vfio-pci > {device}/driver_override; echo $d > /sys/bus/pci/drivers_probe"),
        f"chown {process.uid} {' '.join(nodes)}" if nodes else "",
    )
    return "; ".join(part for part in parts if part)


def _for_each(functions: list[PciFunction], command: str) -> str:
    addresses = [str(one.address) for one in functions]
    if len(addresses) < 2:
        return "".join(command.replace("$d", one) for one in addresses)
    return f"for d in {' '.join(addresses)}; do {command}; done"


def _nodes(it: Situation) -> Iterator[Diagnostic]:
    """Of the groups whose nodes should be there already. Root opens any."""
    known = {node.path: node for node in it.host.device_nodes or ()}
    for group in _ready(it):
        path, alias = f"/dev/vfio/{group.number}", _alias(group, it)
        node = known.get(path)
        if node is not None and not node.usable:
            yield _not_usable(alias, node, it.host)
        elif _is_left_out(group, it):
            fact = f"{alias}: {path} is not in this container"
            yield Diagnostic("E228", fact, field(f"devices.{alias}"), help=_ways_in([path]))
    control = known.get(CONTAINER_NODE)
    if it.passing.groups and control is not None and not control.usable:
        yield _not_usable(_alias(it.passing.groups[0], it), control, it.host)


def _is_left_out(group: IommuGroup, it: Situation) -> bool:
    """The host has the node, and this container has not."""
    nodes = it.host.device_nodes
    named = nodes is not None and any(node.path == f"/dev/vfio/{group.number}" for node in nodes)
    return it.host.process.container and nodes is not None and not named


def _not_usable(alias: str, node: DeviceNode, host: HostFacts) -> Diagnostic:
    fact = f"{alias}: {_who(host.process)} may not open {node.path}"
    evidence = (f"{node.path} has mode {node.mode:04o}, uid {node.uid}, gid {node.gid}",)
    command = f"chown {host.process.uid} {node.path}"
    rule = """SUBSYSTEM=="vfio", GROUP="kvm", MODE="0660\""""
    help_ = (
        f"as root: `{command}`",
        f"for good, in /etc/udev/rules.d/10-vfio.rules: `{rule}`, then `udevadm control --reload`",
    )
    return Diagnostic("E228", fact, field(f"devices.{alias}"), evidence, help_, command)


def _container(it: Situation) -> Iterator[Diagnostic]:
    """The device cgroup's answer is EPERM, and nothing but open() asks it."""
    if not it.host.process.container or not it.passing.groups:
        return
    left_out = {group.number for group in _ready(it) if _is_left_out(group, it)}
    paths = [f"/dev/vfio/{group.number}" for group in it.passing.groups if group.number not in left_out]
    if not paths:
        return
    fact = f"`up` would run in a container, which may keep {', '.join(paths)} from it: that shows on opening only"
    yield Diagnostic("W220", fact, field("devices"), help=_ways_in(paths))


def _ways_in(paths: list[str]) -> tuple[str, ...]:
    words = " ".join(f"--device {path}" for path in (CONTAINER_NODE, *paths, "/dev/kvm"))
    return (
        "bind the devices to vfio-pci on the host, before the container starts: nodes made later are not in it",
        f"for docker and podman: `{words}`",
        "for a systemd service: `DeviceAllow=char-vfio rw`",
    )


def _holders(it: Situation) -> Iterator[Diagnostic]:
    """A group can be opened once."""
    known = {node.path: node for node in it.host.device_nodes or ()}
    unseen = []
    for group in it.passing.groups:
        nodes = [known[path] for path in _paths(group, it) if path in known]
        yield from (_held(node, group, it) for node in nodes if not isinstance(node.holders, Missing) and node.holders)
        blind = not it.host.process.sees_all
        unseen += [one for one in nodes if isinstance(one.holders, Missing) or (blind and not one.holders)]
    if unseen:
        yield _unseen(unseen, it)


def _paths(group: IommuGroup, it: Situation) -> Iterable[str]:
    """Opening a device by its own node takes the group, too."""
    own = (one.vfio for one in it.members(group) if one.vfio)
    return (f"/dev/vfio/{group.number}", *(f"/dev/vfio/devices/{name}" for name in own))


def _held(node: DeviceNode, group: IommuGroup, it: Situation) -> Diagnostic:
    alias, holders = _alias(group, it), () if isinstance(node.holders, Missing) else node.holders
    names = " and ".join(f"{one.command} (pid {one.pid})" for one in holders)
    have = "has" if len(holders) == 1 else "have"
    fact = f"{alias}: IOMMU group {group.number} is in use: {names} {have} {node.path} open"
    pids = " ".join(str(one.pid) for one in holders)
    help_ = (f"stop it: `systemctl status {pids}` says which VM or service it is; a VM of ours is in `vmlaunch ps`",)
    return Diagnostic("E229", fact, field(f"devices.{alias}"), help=help_)


def _unseen(nodes: list[DeviceNode], it: Situation) -> Diagnostic:
    paths = ", ".join(node.path for node in nodes)
    fact = f"whether somebody has {paths} open could not be read (denied: /proc/*/fd of other users)"
    help_ = ("plan as root; `up` finds out when it opens the group",)
    return Diagnostic("W216", fact, field(f"devices.{_alias(it.passing.groups[0], it)}"), help=help_)


def _profile(it: Situation) -> Iterator[Diagnostic]:
    profile = it.host.process.profile
    if profile is None or "unconfined" in profile or profile.endswith("(complain)") or not it.passing.groups:
        return
    fact = f"`up` would run confined by {profile}, which may refuse what the modes of files allow"
    help_ = ("what it refused: `ausearch -m avc -ts recent` (SELinux), `dmesg | grep apparmor` (AppArmor)",)
    yield Diagnostic("W221", fact, field("devices"), help=help_)


def _hidden(it: Situation) -> Iterator[Diagnostic]:
    """Who has not CAP_SYS_ADMIN gets 64 bytes of it, without the capabilities."""
    configs = [(one.alias, one.function.config) for one in it.passing.taken]
    denied = [(alias, one.path) for alias, one in configs if isinstance(one, Missing) and one.missing == "denied"]
    if denied:
        names = ", ".join(dict.fromkeys(alias for alias, _ in denied))
        fact = f"{names}: configuration space can only be read by root, so interrupts and capabilities are not known"
        evidence = tuple(f"denied: {path}" for _, path in denied)
        help_ = ("plan as root: `sudo vmlaunch plan SPEC`", "or record the host as root: `vmlaunch devices --json`")
        yield Diagnostic("W216", fact, field(f"devices.{denied[0][0]}"), evidence, help_)


def _ready(it: Situation) -> Iterator[IommuGroup]:
    """Groups of which a function is bound to VFIO now."""
    return (one for one in it.passing.groups if any(on_vfio(member) for member in it.members(one)))


def _alias(group: IommuGroup, it: Situation) -> str:
    return next(choice.alias for choice, one in it.chosen() if one.group == group.number)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _nodes),
    Rule("kernel", _container),
    Rule("kernel", _holders),
    Rule("kernel", _profile),
    Rule("kernel", _hidden),
)
