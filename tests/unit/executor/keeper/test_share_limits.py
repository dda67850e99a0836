"""What virtiofsd may have open: as many files as a guest looks at, and it holds each of them."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import Literal

import pytest

from launcher.executor.keeper import engines
from launcher.executor.keeper.engine_orders import OPEN_BY_SHARES
from launcher.kernel.real import RealKernel
from launcher.plan.virtio import StartShareEngine
from tests.unit.executor.keeper.test_engines import kernel

__all__ = ["kernel"]  # the fixture
KINDS: dict[Literal["c", "rust"], str] = {"c": "/usr/lib/qemu/virtiofsd", "rust": "/usr/libexec/virtiofsd"}
HERE = [kind for kind, program in KINDS.items() if os.access(program, os.X_OK) and not os.path.islink(program)]


@pytest.mark.parametrize("kind", HERE or [pytest.param("", marks=pytest.mark.skip(reason="no virtiofsd"))])
def test_a_guest_may_look_at_more_than_some_thousand_files(
    kernel: RealKernel, tmp_path: Path, kind: Literal["c", "rust"]
) -> None:
    status = tmp_path.stat()
    identity = f"{status.st_dev}:{status.st_ino}"
    step = StartShareEngine(KINDS[kind], kind, "work", str(tmp_path), identity, False, status.st_uid, status.st_gid)
    engines.prepare(step, kernel)
    engines.start(step, kernel)
    limits = Path(f"/proc/{kernel.engines[0].pid}/limits").read_text()
    (open_files,) = re.findall(r"Max open files +(\d+)", limits)
    assert int(open_files) == min(OPEN_BY_SHARES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
