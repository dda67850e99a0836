"""The step that serves cloud-init's disk in, a descriptor of that disk out: a file in memory that nobody can change."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack

from launcher.digests import sha256
from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.sealed import seal
from launcher.machine.vfat import vfat
from launcher.plan.seed import LABEL, SeedFile, StartSeedEngine

LARGEST = 1 << 20  # bytes of one file


def made_in_memory(step: StartSeedEngine, stack: ExitStack) -> int:
    """`stack` closes it; it is gone when the last who has it is. OSError, StepFailed: a file is another by now."""
    disk = vfat(LABEL, {one.name: _content(one) for one in step.files})
    fd = os.memfd_create(step.alias, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, fd)
    left = memoryview(disk)
    while left:
        left = left[os.write(fd, left) :]
    seal(fd)
    return fd


def _content(one: SeedFile) -> bytes:
    content = _read(one.path) if one.path else one.text.encode()
    if sha256(content) != one.sha256:
        raise StepFailed(
            Diagnostic("E563", f"{one.path} is another file than when it was planned", help=("plan again",))
        )
    return content


def _read(path: str) -> bytes:
    """Regular files only: a FIFO would wait for its writer."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise StepFailed(Diagnostic("E563", f"{path} is no file any more", help=("plan again",)))
        content = bytearray()
        while len(content) <= LARGEST and (piece := file.read(LARGEST + 1)):
            content += piece
    return bytes(content)
