"""The paths of disks, shares and sockets in, what is known of them and of what stands on them here, out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from launcher.host.standing import file_system_of, uses_of_block, uses_of_file
from launcher.host.tree import Live
from launcher.images.disk_files import Disk, DiskFile, DiskUse
from launcher.images.disk_reading import read_disk, read_folder, read_socket
from launcher.images.rights import identity_of
from launcher.record import record, replace
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from launcher.images.boot_files import BootFiles
    from launcher.images.disk_files import Folder


@record
class Named:
    """What a spec names, by alias; sockets by the name of their entry, `disks.root`."""

    disks: Mapping[str, tuple[str, Literal["raw", "qcow2"]]]
    shares: Mapping[str, str]
    sockets: Mapping[str, str]


def with_served(files: BootFiles, named: Named) -> BootFiles:
    """Reads only."""
    disks = {alias: _disk(read_disk(path, format_)) for alias, (path, format_) in named.disks.items()}
    shares = {alias: _folder(read_folder(path)) for alias, path in named.shares.items()}
    sockets = {entry: read_socket(path) for entry, path in named.sockets.items()}
    return replace(files, disks=disks, shares=shares, sockets=sockets)


def _disk(found: Disk | Missing) -> Disk | Missing:
    return found if isinstance(found, Missing) else replace(found, chain=tuple(map(_standing, found.chain)))


def _standing(one: DiskFile) -> DiskFile:
    tree = Live()
    if one.kind == "block" and one.number:
        uses = uses_of_block(tree, one.number)
    elif one.kind == "file":
        uses = uses_of_file(tree, one.identity, _identity)
    else:
        return one
    system = file_system_of(tree, os.path.realpath(one.path)) if one.kind == "file" else None
    return replace(one, uses=tuple(DiskUse(use.kind, use.what, use.name) for use in uses), file_system=system)


def _folder(found: Folder | Missing) -> Folder | Missing:
    if isinstance(found, Missing):
        return found
    return replace(found, file_system=file_system_of(Live(), os.path.realpath(found.path)))


def _identity(path: str) -> str:
    try:
        return identity_of(os.stat(path))
    except OSError:
        return ""
