"""Rules about the kernel's own engines, context ids, and sockets of other engines. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.disk_files import Socket
from launcher.planner.modules import OF_NODES, may_load
from launcher.planner.places import in_spec
from launcher.planner.rules.access import SETFACL, who
from launcher.planner.rules.rule import Rule
from launcher.planner.served_by import READ, WRITE, Server, may
from launcher.planner.virtio import cid_of
from launcher.row import NamedTuple
from launcher.shell import quote
from launcher.spec.served import AUTO
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import DeviceNode, Process
    from launcher.planner.decided import Situation
    from launcher.spec.parts import VmSpec


class _Part(NamedTuple):
    """A part of the kernel, the module that has it, and what of the spec wants it."""

    node: str
    module: str
    where: Where


def _parts(it: Situation) -> Iterator[_Part]:
    """Each once, for the first that wants it."""
    spec = it.spec
    nic = next((f"nics.{alias}" for alias, one in spec.nics.items() if one.bridge or one.tap), None)
    wanted = {"/dev/net/tun": nic, "/dev/vhost-net": nic, "/dev/vhost-vsock": "vsock" if spec.vsock else None}
    for node, module in OF_NODES.items():
        if (path := wanted[node]) is not None:
            yield _Part(node, module, in_spec(path))


def _nodes(it: Situation) -> Iterator[Diagnostic]:
    if it.host.serving is None:
        return
    known = {node.path: node for node in it.host.serving.nodes}
    for part in _parts(it):
        node = known.get(part.node)
        if node is None and not _is_loaded(part, it):
            yield _absent(part, it)
        elif node is not None and not node.usable:
            yield _not_usable(part, node, it.host.process)


def _is_loaded(part: _Part, it: Situation) -> bool:
    """By the plan, whose step that is."""
    modules = it.host.serving.modules if it.host.serving else ()
    return not isinstance(modules, Missing) and part.module in modules and may_load(it.host)


def _absent(part: _Part, it: Situation) -> Diagnostic:
    """systemd makes the nodes before the modules, which opening one then loads; elsewhere the module makes it."""
    fact = f"{part.node} is not there"
    if it.host.process.container:
        help_ = (f"give the container the node: `--device {part.node}`",)
        return Diagnostic("E642", f"{fact} in this container", part.where, help=help_)
    serving = it.host.serving
    modules = serving.modules if serving else ()
    if not isinstance(modules, Missing) and part.module not in modules:
        fact = f"{fact}, and this kernel has no module {part.module}"
        return Diagnostic("E642", fact, part.where, help=("run a kernel that has it: distributions' own do",))
    if isinstance(modules, Missing) and modules.missing == "absent":
        fact = f"{fact}, and neither are modules of this kernel, {part.module} among them"
        evidence = (f"there is no {modules.path}",)
        help_ = ("install this kernel's modules, or boot one that has them, of `apt install linux-image-amd64`",)
        return Diagnostic("E642", fact, part.where, evidence, help_)
    fix = f"modprobe {part.module}"
    return Diagnostic("E642", fact, part.where, help=(f"as root: `{fix}`",), fix=fix)


def _not_usable(part: _Part, node: DeviceNode, process: Process) -> Diagnostic:
    fact = f"{who(process)} may not open {part.node}"
    evidence = (f"{part.node} has mode {node.mode:04o}, uid {node.uid}, gid {node.gid}",)
    once = f"setfacl -m u:{process.uid}:rw {part.node}"
    by_group = node.mode & 0o060 == 0o060 and node.gid != 0
    group = (f"for good, as root: `usermod -aG $(stat -c %G {part.node}) USER`, and log in again",) if by_group else ()
    return Diagnostic("E643", fact, part.where, evidence, (f"as root: `{once}` ({SETFACL})", *group), once)


def _context_id(it: Situation) -> Iterator[Diagnostic]:
    """VHOST_VSOCK_SET_GUEST_CID answers EADDRINUSE."""
    wanted = cid_of(it.spec)
    for vm in it.host.serving.vms if it.host.serving else ():
        if wanted is not None and vm.name != it.spec.name and vm.cid == wanted:
            fact = f"the context id {wanted} is that of the VM {vm.name}, which is up"
            help_ = (_another(it.spec), f"or stop that VM: `vmlaunch down {vm.name}`")
            yield Diagnostic("E648", fact, in_spec("vsock"), help=help_)


def _another(spec: VmSpec) -> str:
    return "write a number, from 3 on" if spec.vsock and spec.vsock.cid == AUTO else "write another number, from 3 on"


def _sockets(it: Situation) -> Iterator[Diagnostic]:
    process = it.host.process
    me = Server(process.uid, process.gid, process.groups)
    for entry, found in it.files.sockets.items():
        where = in_spec(f"{entry}.socket")
        alias = entry.partition(".")[2]
        if isinstance(found, Missing) and found.missing == "denied":
            fact = f"{alias}: {who(process)} may not look at {found.path}"
            help_ = ("have the engine listen where this user may go", "or run `up` as root")
            yield Diagnostic("E652", fact, where, help=help_)
        elif isinstance(found, Missing):
            fact = f"{alias}: {found.path} {'is not there' if found.missing == 'absent' else 'cannot be looked at'}"
            yield Diagnostic("E650", fact, where, help=("start the engine that listens there, before `up`",))
        elif found.kind != "socket":
            yield Diagnostic("E651", f"{alias}: {found.path} is no socket", where, help=("name the engine's socket",))
        elif process.uid != 0 and not may(found.rights, me, READ | WRITE):
            yield _closed(alias, found, process, where)


def _closed(alias: str, found: Socket, process: Process, where: Where) -> Diagnostic:
    """connect(2) asks for the right to write."""
    rights, path = found.rights, quote(found.path)
    fact = f"{alias}: {who(process)} may not connect to {found.path}"
    evidence = (f"{rights.path} has mode {rights.mode:04o}, uid {rights.uid}, gid {rights.gid}",)
    fix = f"setfacl -m u:{process.uid}:rw {path}"
    return Diagnostic("E652", fact, where, evidence, (f"as root: `{fix}` ({SETFACL})",), fix)


def _sockets_of_others(it: Situation) -> Iterator[Diagnostic]:
    """Of engines that vmlaunch starts none may do more than its own user; this one gets all of the guest's memory."""
    process = it.host.process
    for entry, found in it.files.sockets.items():
        if isinstance(found, Missing) or found.kind != "socket" or found.rights.uid in (0, process.uid):
            continue
        owner, whose = found.rights.uid, "root's VM" if process.uid == 0 else "this user's VM"
        fact = (
            f"{entry.partition('.')[2]}: {found.path} belongs to uid {owner}, whose engine gets the memory of {whose}"
        )
        evidence = ("what it says to the guest, as a disk or a NIC, is what that user wants",)
        ways = (f"start the engine as {who(process)}", f"or run this VM as uid {owner}")
        yield Diagnostic("W650", fact, in_spec(f"{entry}.socket"), evidence, ways)


def _no_place(it: Situation) -> Iterator[Diagnostic]:
    """Of BARs below 4 GiB, where those of passed devices are as well."""
    for one in it.places:
        if one.bar is None:
            fact = f"{one.alias}: below 4 GiB no 32 KiB are left for its BAR"
            help_ = ("pass fewer devices with 32-bit BARs, or take some of these entries out",)
            path = one.kind if one.kind == one.alias else f"{one.kind}.{one.alias}"
            yield Diagnostic("E649", fact, in_spec(path), help=help_)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _no_place),
    Rule("kernel", _nodes),
    Rule("kernel", _context_id),
    Rule("kernel", _sockets),
    Rule("policy", _sockets_of_others),
)
