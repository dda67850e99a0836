"""Disk images as people have them: raw, qcow2, an ext4 file system; made by qemu-storage-daemon and mke2fs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import IO, Any

STORAGE_DAEMON = "qemu-storage-daemon"
BLOCK = 512


def storage_daemon() -> str | None:
    return shutil.which(STORAGE_DAEMON)


def lettered(target: Path, size: int = 1 << 20) -> Path:
    """Raw, in block n nothing but the n-th letter; after Z comes A."""
    target.write_bytes(b"".join(bytes([ord("A") + n % 26]) * BLOCK for n in range(size // BLOCK)))
    return target


def ext4(target: Path, folder: Path, size: int) -> Path:
    """Raw, with what is in `folder`; all of it belongs to root."""
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert mke2fs, "there is no mke2fs: install e2fsprogs"
    target.unlink(missing_ok=True)
    with target.open("wb") as image:
        image.truncate(size)
    options = ("-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", folder)
    subprocess.run([mke2fs, *options, target], check=True)
    return target


def qcow2(target: Path, size: int, backing: Path | None = None) -> Path:
    """Empty, or what the raw image `backing` holds."""
    more = {"backing-file": str(backing), "backing-fmt": "raw"} if backing else {}
    with Daemon() as daemon:
        daemon.create({"driver": "file", "filename": str(target), "size": 0})
        daemon.ask("blockdev-add", {"driver": "file", "node-name": "file", "filename": str(target)})
        daemon.create({"driver": "qcow2", "file": "file", "size": size} | more)
    return target


class Daemon:
    """qemu-storage-daemon, told what to do by words and by its monitor; what the words say is done when it answers."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def __enter__(self) -> Daemon:
        command = [STORAGE_DAEMON, *self._words, "--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask("qmp_capabilities", {})
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe(self._process.stdin).close()
        self._process.terminate()
        self._process.wait()
        self._pipe(self._process.stdout).close()

    def create(self, options: dict[str, Any]) -> None:
        """An image, or a format in one; the job tells whether that worked when it is asked, not before."""
        self.ask("blockdev-create", {"job-id": "create", "options": options})
        self._until(lambda said: said.get("event") == "JOB_STATUS_CHANGE" and said["data"]["status"] == "concluded")
        (job,) = self.ask("query-jobs", {})["return"]
        assert "error" not in job, job
        self.ask("job-dismiss", {"id": "create"})

    def ask(self, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        pipe = self._pipe(self._process.stdin)
        pipe.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
        pipe.flush()
        answer = self._until(lambda said: "return" in said or "error" in said)
        assert "return" in answer, answer
        return answer

    def _until(self, wanted: Any) -> dict[str, Any]:
        for line in self._pipe(self._process.stdout):
            said: dict[str, Any] = json.loads(line)
            if wanted(said):
                return said
        raise AssertionError(f"{STORAGE_DAEMON} ended with status {self._process.wait()}")

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
