"""A Tree in; who runs `up` out: identity, capabilities, limits, allowed CPUs, confinement."""

from __future__ import annotations

from launcher.host.cgroups import huge_limits, memory_limit, task_limits
from launcher.host.facts import Process
from launcher.host.lists import entries, ids, keyed, kilobytes, number, str_of
from launcher.names import state_folder
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree

# Those a launcher of VMs can need, by bit (capability.h). The rest would only make facts files differ.
CAPABILITIES = {
    1: "cap_dac_override",
    12: "cap_net_admin",
    14: "cap_ipc_lock",
    16: "cap_sys_module",
    17: "cap_sys_rawio",
    21: "cap_sys_admin",
    23: "cap_sys_nice",
    24: "cap_sys_resource",
}
_MANY = 4096  # processes and threads that no user has by chance: they are counted where fewer are allowed
_WHOLE = ["0", "0", "4294967295"]  # the map of the first user namespace
_FIRST_NAMESPACES = {"pid": "pid:[4026531836]", "cgroup": "cgroup:[4026531835]"}  # PROC_PID_INIT_INO and its like
_MARKS = (
    *("/.dockerenv", "/run/.containerenv", "/run/systemd/container", "/run/host/container-manager"),
    "/var/run/secrets/kubernetes.io",
)


def read_process(tree: Tree, runtime_folder: str | None, sees_all: bool = True) -> Process:
    """`runtime_folder` is $XDG_RUNTIME_DIR, which only counts for those who are not root."""
    text = tree.read_text("/proc/self/status")
    status = keyed(text, ":")
    uid = _effective(status.get("Uid", ""))
    tasks = read_limit(tree, "self", "Max processes")
    return Process(
        uid=uid,
        gid=_effective(status.get("Gid", "")),
        capabilities=capabilities(status.get("CapEff", "0")),
        memlock=read_limit(tree, "self", "Max locked memory"),
        open_files=read_limit(tree, "self", "Max open files"),
        cpus=ids(status.get("Cpus_allowed_list", "")),
        state_folder=state_folder(uid, runtime_folder),
        groups=tuple(sorted(int(word) for word in status.get("Groups", "").split())),
        locked=kilobytes(text, "VmLck"),
        pinned=_pinned_by(tree, uid),
        own_user_namespace=str_of(tree.read_text("/proc/self/uid_map")).split() not in ([], _WHOLE),
        memory_limit=memory_limit(tree),
        huge_limits=huge_limits(tree),
        tasks=tasks,
        user_tasks=_tasks_of(tree, uid) if tasks is not None and tasks < _MANY and uid else None,
        task_limits=task_limits(tree),
        address_space=mappable(tree, "self"),
        container=_is_container(tree),
        profile=_profile(tree),
        sees_all=sees_all,
    )


def _effective(line: str) -> int:
    """Real, effective, saved and file system id."""
    words = line.split()
    return int(words[1]) if len(words) > 1 else 0


def capabilities(mask: str) -> tuple[str, ...]:
    bits = int(mask, 16)
    return tuple(name for bit, name in CAPABILITIES.items() if bits >> bit & 1)


def read_limit(tree: Tree, process: str, name: str) -> int | None:
    """The hard limit: `up` raises the soft one to it by itself."""
    limits = str_of(tree.read_text(f"/proc/{process}/limits"))
    row = next((line.removeprefix(name).split() for line in limits.splitlines() if line.startswith(f"{name} ")), [])
    return int(row[1]) if len(row) > 1 and row[1].isdecimal() else None


def mappable(tree: Tree, process: str) -> int | None:
    """Guest memory is private and writable, and counts against both limits."""
    limits = (read_limit(tree, process, name) for name in ("Max address space", "Max data size"))
    return min((limit for limit in limits if limit is not None), default=None)


def _tasks_of(tree: Tree, uid: int) -> int:
    """Those that the kernel counts against the limit: of the real uid."""
    found = (
        keyed(tree.read_text(f"/proc/{name}/status"), ":")
        for name in entries(tree.list_folder("/proc"))
        if name.isdecimal()
    )
    return sum(number(one.get("Threads", "")) or 0 for one in found if one.get("Uid", "").split()[:1] == [str(uid)])


def _pinned_by(tree: Tree, uid: int) -> int:
    """Where there is iommufd, and for whom a limit counts: root's is none. Who may not look sees his own."""
    if uid == 0 or isinstance(tree.status("/dev/iommu"), Missing):
        return 0
    names = (name for name in entries(tree.list_folder("/proc")) if name.isdecimal())
    texts = (tree.read_text(f"/proc/{name}/status") for name in names)
    return sum(kilobytes(text, "VmPin") for text in texts if _effective(keyed(text, ":").get("Uid", "")) == uid)


def _is_container(tree: Tree) -> bool:
    """A machine that was unpacked from the image of a container has the marks, too, and the first namespaces."""
    first = all(tree.read_link(f"/proc/self/ns/{kind}") == name for kind, name in _FIRST_NAMESPACES.items())
    return not first and any(not isinstance(tree.status(mark), Missing) for mark in _MARKS)


def _profile(tree: Tree) -> str | None:
    """AppArmor writes `name (mode)`, SELinux user:role:type:level; only what is enforced confines."""
    label = str_of(tree.read_text("/proc/self/attr/current")).rstrip("\0\n")
    if not label or "unconfined" in label or label.endswith("(complain)"):
        return None
    selinux = tree.read_text("/sys/fs/selinux/enforce")
    return None if label.count(":") > 1 and selinux != "1" else label
