"""A command in -> a Linux guest that does what it is told, by vmlaunch or by QEMU; what it says, its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import IO

from tests.bench import contenders
from tests.bench.contenders import DEADLINE, ENVIRONMENT, OURS, Q35
from tests.bench.stamps import StampFile, Stamps, now
from tests.conftest import processes_of

MEBIBYTES = 512
QUIET = "console=ttyS0 quiet loglevel=3 panic=-1"  # 4 is quiet, and KVM says that it finds no SVM


def two(folder: Path, boot: dict[str, str], vcpus: int, cmdline: str = QUIET) -> dict[str, list[str]]:
    whole = boot | {"cmdline": cmdline}
    theirs = contenders.qemu_command("q35", whole, vcpus, MEBIBYTES, "-cpu", "host")
    return {OURS: contenders.up(folder, whole, vcpus, MEBIBYTES), Q35: theirs}


class Guest:
    """Use: with Guest(command, file) as guest: guest.until(...). It is powered off at the end, or was before; one that
    takes longer than DEADLINE is ended, and what waits for it fails.
    """

    def __init__(self, command: list[str], file: StampFile | None = None) -> None:
        self._file = file
        self.is_ours = sys.executable in command
        self.began = now()
        self._process = subprocess.Popen(
            command,
            env=file.environment() if file else ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Guest:
        self._deadline = Timer(DEADLINE, self._kill)
        self._deadline.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None and self._process.returncode is None:
                self.power_off()
        finally:
            self._deadline.cancel()
            self._kill()
            self._process.wait()
            if self.is_ours:
                contenders.down()

    def _kill(self) -> None:
        """With strace goes what it traces."""
        for process in self.processes() if self._process.poll() is None else ():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def begun(self) -> float:
        """When its first vCPU ran."""
        while not (moment := self.stamps().first_run):
            if self._process.poll() is not None:
                raise SystemExit(f"no vCPU ever ran:\n{self._stderr().read()}")
            time.sleep(0.001)
        return moment

    def until(self, pattern: str) -> tuple[re.Match[str], str]:
        """The line, and all that was said up to it."""
        assert self._process.stdout is not None
        said = ""
        while line := self._process.stdout.readline():
            said += line
            if found := re.search(pattern, line):
                return found, said
        raise SystemExit(f"the guest never said {pattern}:\n{said}{self._stderr().read()}")

    def init(self) -> dict[str, float]:
        """Its init is there: since Enter, since the first KVM_RUN, and by the guest's own clock."""
        line, _ = self.until(r"init at ([\d.]+)")
        moment = now()
        figures = {"enter": moment - self.began, "uptime": float(line[1])}
        return figures | ({"seconds": moment - self.stamps().first_run} if self._file else {})

    def order(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def power_off(self) -> str:
        """Return the report when its processes have ended."""
        _, told = self._process.communicate("poweroff\n")
        return told

    def end(self) -> None:
        """By force: what boots from an image takes no orders yet."""
        self._kill()
        self._process.wait()

    def stamps(self) -> Stamps:
        assert self._file is not None
        return self._file.read()

    def processes(self) -> list[int]:
        return [self._process.pid, *processes_of(self._process.pid)]

    def _stderr(self) -> IO[str]:
        assert self._process.stderr is not None
        return self._process.stderr
