"""Paths of boot files in, BootFiles out: size, digest and what the signature says. Reads regular files only."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping

from launcher.images.boot_files import BootFile, BootFiles
from launcher.images.signature import Image, identify
from launcher.values import Missing, missing

_NO_DIGEST = ""


def read_boot_files(kernel: str, initrd: str | None, roms: Mapping[str, str]) -> BootFiles:
    """`roms` are paths by the alias of their device."""
    found = {alias: read_boot_file(path) for alias, path in roms.items()}
    return BootFiles(read_boot_file(kernel), None if initrd is None else read_boot_file(initrd), found)


def read_boot_file(path: str) -> BootFile | Missing:
    try:
        # A FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return missing(error, path)
    except ValueError:  # no path: it has a NUL in it, or half of a character
        return Missing("absent", path)
    try:
        return _describe(path, descriptor)
    except OSError as error:
        return missing(error, path)
    finally:
        os.close(descriptor)


def _describe(path: str, descriptor: int) -> BootFile:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        return BootFile(path, "directory", 0, _NO_DIGEST)
    if not stat.S_ISREG(status.st_mode):
        return BootFile(path, "unknown", 0, _NO_DIGEST)
    image = identify(status.st_size, lambda offset, length: os.pread(descriptor, length, offset))
    return _boot_file(path, status.st_size, _digest(descriptor), image)


def _digest(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _boot_file(path: str, size: int, digest: str, image: Image) -> BootFile:
    return BootFile(path, image.kind, size, digest, image.entry, image.segments, image.problem, image.initrd_max)
