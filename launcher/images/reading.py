"""Paths of boot files in, BootFiles out: size, digest and what the signature says. Reads regular files only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping

from launcher.copies import Here
from launcher.digests import hasher
from launcher.images.boot_files import BootFile, BootFiles
from launcher.images.opening import looked_at
from launcher.images.signature import Image, identify
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.images.boot_files import Flash
    from launcher.images.option_rom import OptionRom

    Read = Callable[[int, int], bytes]
    AsRom = Callable[[int, Read], OptionRom]
    AsFlash = Callable[[int, Read], Flash | None]

_NO_DIGEST = ""
_PIECE = 1 << 20
# What a guest starts with is in its low RAM, below 4 GiB. Of a disk that is named as a kernel the digest would take
# minutes, and nobody would ask for it.
LARGEST = 1 << 33


def read_boot_files(kernel: str | None, initrd: str | None, roms: Mapping[str, str]) -> BootFiles:
    """`roms` are paths by the alias of their device."""
    found = {alias: read_boot_file(path, _parser()) for alias, path in roms.items()}
    return BootFiles(
        None if kernel is None else read_boot_file(kernel, as_kernel=True),
        None if initrd is None else read_boot_file(initrd),
        found,
    )


def with_firmware(files: BootFiles, firmware: str | None, variables: str | None) -> BootFiles:
    """The paths of what a spec names in place of a kernel."""
    from launcher.images.firmware import flash_of
    from launcher.images.variables import read_variables

    return replace(
        files,
        firmware=None if firmware is None else read_boot_file(firmware, as_flash=flash_of),
        variables=None if variables is None else read_variables(variables),
    )


def _parser() -> AsRom:
    """Imported where a file is to be one."""
    from launcher.images.option_rom import parse_rom

    return parse_rom


def read_boot_file(
    path: str, as_rom: AsRom | None = None, as_flash: AsFlash | None = None, *, as_kernel: bool = False
) -> BootFile | Missing:
    """`as_rom` is for files that are to be option ROMs, `as_flash` for those that are to be firmware; `as_kernel`: what
    is none is not digested. Any file may be an initial RAM disk."""
    return looked_at(path, lambda descriptor: _describe(path, descriptor, as_rom, as_flash, as_kernel))


def _describe(path: str, descriptor: int, as_rom: AsRom | None, as_flash: AsFlash | None, as_kernel: bool) -> BootFile:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        return BootFile(path, "directory", 0, _NO_DIGEST)
    if not stat.S_ISREG(status.st_mode):
        return BootFile(path, "unknown", 0, _NO_DIGEST, content="special")

    def read(offset: int, length: int) -> bytes:
        """A file system of a network may give less at a time than is asked for."""
        pieces: list[bytes] = []
        at, end = offset, min(offset + length, status.st_size)
        while at < end and (piece := os.pread(descriptor, end - at, at)):
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    image = identify(status.st_size, read)
    if status.st_size > LARGEST:
        image = Image("unknown", content=image.content or "huge")
    useless = as_kernel and image.kind in ("unknown", "elf")
    digest = _NO_DIGEST if useless or status.st_size > LARGEST else _digest(descriptor, status.st_size)
    found = _boot_file(path, status.st_size, digest, image)
    if as_flash and status.st_size:
        found = replace(found, flash=as_flash(status.st_size, read))
    if as_rom and status.st_size:
        found = replace(found, rom=as_rom(status.st_size, read))
    if _age(os.fstat(descriptor)) != _age(status):  # written to meanwhile: digest and image may be of two files
        Here.copies.forget(found.sha256)
    return found


def _age(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(descriptor: int, size: int) -> str:
    """Of as many bytes as it says that it has: files in /proc that never end say 0."""
    return Here.copies.digested(_pieces(descriptor, size), size, hasher(size))


def _pieces(descriptor: int, size: int) -> Iterator[bytes]:
    at = 0
    while at < size and (piece := os.pread(descriptor, min(size - at, _PIECE), at)):
        yield piece
        at += len(piece)


def _boot_file(path: str, size: int, digest: str, image: Image) -> BootFile:
    found = BootFile(path, image.kind, size, digest, image.entry, image.segments, image.problem, image.initrd_max)
    return replace(found, content=image.content, linux=image.linux, inside=image.inside)
