"""A Tree in; which processes have which device nodes open out, in one pass over /proc."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.host.addresses import owner, pci_address
from launcher.host.facts import Holder, Use
from launcher.host.lists import entries, keyed, str_of
from launcher.patterns import re
from launcher.record import field, record
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing, PciAddress

if TYPE_CHECKING:
    from launcher.host.tree import Status, Tree

_EVERYDAY = ("/dev/null", "/dev/pts/", "/dev/shm/", "/dev/zero", "/dev/urandom", "/dev/random")
_FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO
_NVIDIA = "/dev/nvidia"
_GPUS = "/proc/driver/nvidia/gpus"


@record
class Opened:
    """Processes by the device node that they hold. `all_seen`: there can be none that we were not shown."""

    pids: dict[str, set[int]] = field(default_factory=dict)
    all_seen: bool = True

    def holders(self, tree: Tree, path: str) -> tuple[Holder, ...]:
        return tuple(Holder(pid, _command(tree, pid)) for pid in sorted(self.pids.get(path, ())))


def read_opened(tree: Tree) -> Opened:
    """Without those of the asking process itself."""
    pids: dict[str, set[int]] = {}
    mine, namespace = tree.read_link("/proc/self"), str_of(tree.read_link("/proc/self/ns/pid"))
    found = sorted(int(name) for name in entries(tree.list_folder("/proc")) if name.isdecimal())
    # With the option hidepid of /proc, those of others are not even listed, not even the first.
    all_seen = namespace in ("", _FIRST_PID_NAMESPACE) and (not found or found[0] == 1)
    for pid in found:
        if str(pid) != mine:
            all_seen &= _add(tree, pid, pids)
    return Opened(pids, all_seen)


def _add(tree: Tree, pid: int, pids: dict[str, set[int]]) -> bool:
    """False when we may not look: root without CAP_SYS_PTRACE may list them and not read them.

    A process that has ended meanwhile has nothing open.
    """
    folder = f"/proc/{pid}/fd"
    descriptors = tree.list_folder(folder)
    if isinstance(descriptors, Missing):
        return descriptors.missing != "denied"
    for one in descriptors:
        path = tree.read_link(f"{folder}/{one}")
        if isinstance(path, Missing):
            if path.missing == "denied":
                return False
        elif path.startswith("/dev/") and not path.startswith(_EVERYDAY) and _is(tree, f"{folder}/{one}", path):
            pids.setdefault(path, set()).add(pid)
    return True


def _is(tree: Tree, descriptor: str, path: str) -> bool:
    """In a mount namespace of its own a process can call any file so; the number of a device is the kernel's."""
    return _number(tree.status(descriptor)) == _number(tree.status(path))


def _number(status: Status | Missing) -> tuple[str, str] | None:
    return None if isinstance(status, Missing) else (status.kind, status.number)


def process_uses(tree: Tree, opened: Opened) -> Iterator[tuple[PciAddress, Use]]:
    """Of the functions that the nodes belong to; what belongs to none, as /dev/kvm, is no use of a device."""
    for path in sorted(opened.pids):
        address = _function_of(tree, path)
        if address:
            for holder in opened.holders(tree, path):
                what = f"{holder.command} ({holder.pid}) has {path} open"
                yield address, Use("process", what, holder.command, holder.pid, _unit(tree, holder.pid))


def _function_of(tree: Tree, path: str) -> PciAddress | None:
    """By the number of the node, which sysfs knows whatever the node is called."""
    minor = path.removeprefix(_NVIDIA)
    if minor.isdecimal():
        return _nvidia(tree, minor)
    status = tree.status(path)
    if isinstance(status, Missing) or status.kind == "other":
        return None
    return owner(tree.read_link(f"/sys/dev/{status.kind}/{status.number}"))


def _nvidia(tree: Tree, minor: str) -> PciAddress | None:
    """NVIDIA's driver makes its nodes without sysfs. It is read only while somebody has one open, and so awake."""
    for gpu in entries(tree.list_folder(_GPUS)):
        if keyed(tree.read_text(f"{_GPUS}/{gpu}/information"), ":").get("Device Minor") == minor:
            return pci_address(gpu)
    return None


def _unit(tree: Tree, pid: int) -> str | None:
    """The last part of its cgroup, if that is a service: systemd starts it again when only the process goes.

    `user@1000.service` is the manager of a user, and no service that anybody would stop.
    """
    for line in str_of(tree.read_text(f"/proc/{pid}/cgroup")).splitlines():
        path = line.split(":", 2)[-1]
        if match := re.search(r"(?:/user@([0-9]+)\.service)?(?:/[^/]+\.slice)*/([^/]+\.service)$", path):
            uid, unit = match.groups()
            if not unit.startswith("user@"):
                return f"{uid}:{unit}" if uid else unit
    return None


def _command(tree: Tree, pid: int) -> str:
    return str_of(tree.read_text(f"/proc/{pid}/comm")) or "a process that has ended"
