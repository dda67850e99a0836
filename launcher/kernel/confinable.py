"""Nothing in; which measures that confine a process the kernel has, by the names of HostFacts, out."""

from __future__ import annotations

from launcher.native import lib


def probe() -> dict[str, int]:
    """Every kernel that runs our VMs has the others (Linux 3.5)."""
    return {"landlock": max(lib.confine_landlock(), 0), "seccomp": lib.confine_seccomp() == 0}
