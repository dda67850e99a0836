"""This machine -> what a reader of its figures has to know of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from tests.lab.pieces import qemu

ROOT = Path(__file__).parent.parent.parent


def describe() -> dict[str, str]:
    return {
        "CPU": _cpu(),
        "memory": f"{_total_memory():.1f} GiB",
        "kernel": f"Linux {platform.release()}",
        "QEMU": _first(_said(qemu(), "--version")).removeprefix("QEMU emulator version "),
        "Python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def commit() -> str:
    """With the date; a tree that was changed since says so."""
    changed = _said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", "launcher", "tests")
    short = _first(_said("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"))
    return f"{short}{' and changes' if changed.strip() else ''}, {time.strftime('%Y-%m-%d', time.gmtime())}"


def _cpu() -> str:
    told = Path("/proc/cpuinfo").read_text()
    (model, *_) = re.findall(r"^model name\s*: (.*)$", told, re.MULTILINE)
    inside = ", itself in a virtual machine" if re.search(r"^flags.*\bhypervisor\b", told, re.MULTILINE) else ""
    return f"{os.cpu_count()} x {model}{inside}"


def _total_memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _first(text: str) -> str:
    return text.splitlines()[0] if text else "unknown"
