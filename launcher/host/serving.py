"""A Tree in; what disks, networks, shares and vsock of a guest need of the host, out."""

from __future__ import annotations

from launcher.host.device_nodes import usable
from launcher.host.engines import read_engines
from launcher.host.facts import DeviceNode, Serving
from launcher.host.links import are_of_another, read_links
from launcher.host.lists import bracketed, number, str_of
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from launcher.host.facts import Process
    from launcher.host.tree import Tree

MODULES = ("bridge", "tun", "vhost_net", "vhost_vsock")
_NODES = ("/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock")
_REGIONS = "/sys/module/vhost/parameters/max_mem_regions"
_SHMEM = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
# What keeps ordinary users from making a user namespace: Ubuntu's setting, Debian's, and the values that forbid it.
_UNPRIVILEGED = {"kernel/apparmor_restrict_unprivileged_userns": "1", "kernel/unprivileged_userns_clone": "0"}


def read_serving(tree: Tree, process: Process, wanted: Collection[str], said: Callable[[str], str]) -> Serving:
    """`wanted`: the engines that are looked for; `said`: what a program says with --version."""
    release = str_of(tree.read_text("/proc/sys/kernel/osrelease"))
    return Serving(
        programs=read_engines(tree, process.uid, wanted, said),
        nodes=tuple(_nodes(tree, process)),
        modules=_modules(tree, release),
        links=read_links(tree),
        links_of_another=are_of_another(tree),
        user_namespaces=number(tree.read_text("/proc/sys/user/max_user_namespaces")),
        unprivileged=next(_kept_from(tree), None),
        shmem=bracketed(tree.read_text(_SHMEM)),
        file_size=_file_size(tree),
        vhost_regions=number(tree.read_text(_REGIONS)),
    )


def _nodes(tree: Tree, process: Process) -> Iterator[DeviceNode]:
    for path in _NODES:
        status = tree.status(path)
        if not isinstance(status, Missing) and status.kind == "char":
            yield DeviceNode(path, status.mode, status.uid, status.gid, usable(status, process))


def _modules(tree: Tree, release: str) -> tuple[str, ...] | Missing:
    """Those that are loaded are there whatever the files of modules say, which a container has not."""
    loaded = tuple(name for name in MODULES if not isinstance(tree.status(f"/sys/module/{name}"), Missing))
    texts = [tree.read_bytes(f"/lib/modules/{release}/{name}") for name in ("modules.dep", "modules.builtin")]
    if isinstance(texts[0], Missing):
        return loaded if len(loaded) == len(MODULES) else texts[0]
    files = b"".join(text for text in texts if not isinstance(text, Missing))
    return tuple(name for name in MODULES if name in loaded or f"/{name}.ko".encode() in files)


def _kept_from(tree: Tree) -> Iterator[str]:
    for name, forbids in _UNPRIVILEGED.items():
        if tree.read_text(f"/proc/sys/{name}") == forbids:
            yield name.replace("/", ".")


def _file_size(tree: Tree) -> int | None:
    """The soft limit: nobody raises it."""
    name = "Max file size"
    lines = str_of(tree.read_text("/proc/self/limits")).splitlines()
    row = next((line.removeprefix(name).split() for line in lines if line.startswith(f"{name} ")), [])
    return int(row[0]) if row and row[0].isdecimal() else None
