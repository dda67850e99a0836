"""Rules about what an engine may do with an image, and whether there is room for what a guest writes. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.errors import Diagnostic
from launcher.planner.rules.access import SETFACL
from launcher.planner.rules.disk_images import disks_there, images_of, where
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.planner.served_by import READ, WRITE, may, server_of
from launcher.shell import quote
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.images.disk_files import DiskFile
    from launcher.planner.decided import Situation
    from launcher.planner.rules.disk_images import Seen
    from launcher.planner.served_by import Server

_IN_MEMORY = ("tmpfs", "ramfs")


def _may(it: Situation) -> Iterator[Diagnostic]:
    """An engine has no capability: what root may with one, it may not."""
    for seen in images_of(it):
        one, server = seen.image, server_of(seen.disk.top.rights, it.host.process)
        writes = seen.is_top and not it.spec.disks[seen.alias].readonly
        if one.kind in ("file", "block") and not may(one.rights, server, READ | WRITE if writes else READ):
            yield _denied(seen, server, writes)


def _denied(seen: Seen, server: Server, writes: bool) -> Diagnostic:
    rights, path = seen.image.rights, quote(seen.image.path)
    fact = f"{seen.subject} cannot be {'written' if writes else 'read'} by its engine, which runs as {server}"
    evidence = (f"{rights.path} has mode {rights.mode:04o}, uid {rights.uid}, gid {rights.gid}",)
    own = rights.uid == server.uid
    fix = f"chmod u+rw {path}" if own else f"setfacl -m u:{server.uid}:{'rw' if writes else 'r'} {path}"
    read_only = ("or write `readonly: true`",) if writes else ()
    way = f"`{fix}`" if own else f"as its owner or root: `{fix}` ({SETFACL})"
    return Diagnostic("E621", fact, where(seen.alias), evidence, (way, *read_only), fix)


def _read_only(it: Situation) -> Iterator[Diagnostic]:
    for alias, disk in disks_there(it):
        one = disk.top
        if it.spec.disks[alias].readonly:
            continue
        if one.read_only:
            device = "is a device that can only be read"
            what = device if one.kind == "block" else "is on a file system that is mounted read-only"
            yield Diagnostic("E622", f"{alias}: {one.path} {what}", where(alias), help=("write `readonly: true`",))
        elif one.content == "iso" and one.format == "raw":
            fact = f"{alias}: {one.path} is an ISO 9660 image, and the guest may write to it"
            help_ = ("write `readonly: true`, as a CD is; several VMs can then have it",)
            yield Diagnostic("W622", fact, where(alias), help=help_)


def _room(it: Situation) -> Iterator[Diagnostic]:
    """What a sparse image lacks of its size it takes when the guest writes it. Free space moves: it is a bound."""
    growing: dict[str, list[tuple[str, DiskFile]]] = defaultdict(list)
    for alias, disk in disks_there(it):
        one = disk.top
        written = one.kind == "file" and not it.spec.disks[alias].readonly and not one.read_only
        if one.free is not None and written and _growth(one):
            growing[one.identity.partition(":")[0]].append((alias, one))
    for disks in growing.values():
        yield from _too_little(disks)


def _growth(one: DiskFile) -> int:
    return max(0, one.virtual_size - one.allocated)


def _too_little(disks: list[tuple[str, DiskFile]]) -> Iterator[Diagnostic]:
    """All of one file system."""
    growth = sum(_growth(one) for _, one in disks)
    free = min(one.free or 0 for _, one in disks)
    alias, first = disks[0]
    if growth <= free:
        return
    names = series(alias for alias, _ in disks)
    sizes = ((name, show_size(one.virtual_size), show_size(one.allocated)) for name, one in disks)
    evidence = tuple(f"{name}: {size}, {written} of it written" for name, size, written in sizes)
    help_ = ("make room", "or move it to a file system with more")
    if free < MIB:
        fact = f"{names}: the file system of {first.path} is full, and the guest's first write would fail"
        yield Diagnostic("E623", fact, where(alias), evidence, help_)
    else:
        what, whose = (first.path, "its") if len(disks) == 1 else ("these images", "their")
        fact = f"{names}: {what} may grow by {show_size(growth)}, and {whose} file system has {show_size(free)} left"
        yield Diagnostic("W623", fact, where(alias), evidence, (*help_, "a guest that writes more gets I/O errors"))


def _in_memory(it: Situation) -> Iterator[Diagnostic]:
    for alias, disk in disks_there(it):
        one = disk.top
        if one.file_system in _IN_MEMORY and not it.spec.disks[alias].readonly:
            fact = f"{alias}: {one.path} is in memory ({one.file_system}), and gone when this host ends"
            help_ = ("put it on a disk", "or leave it there, if that is meant: what it grows by takes memory")
            yield Diagnostic("W624", fact, where(alias), help=help_)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _may),
    Rule("kernel", _read_only),
    Rule("policy", _room),
    Rule("policy", _in_memory),
)
