"""Nothing in; what this process gave up for good out, by name: `on`, or why the kernel refuses."""

from __future__ import annotations

import os

from launcher.native import lib

# seccomp comes last: it allows none of these calls.
MEASURES = {
    "no_new_privs": lambda: lib.kernel_prctl(lib.PR_SET_NO_NEW_PRIVS, 1),
    "not_dumpable": lambda: lib.kernel_prctl(lib.PR_SET_DUMPABLE, 0),
    "no_capabilities": lib.confine_capabilities,
    "landlock": lib.confine_files,
    "seccomp": lib.confine_calls,
}
ON = "on"


def confine() -> dict[str, str]:
    """Before there are other threads: but for seccomp each of these is one thread's, and those it starts."""
    results = {name: measure() for name, measure in MEASURES.items()}
    return {name: os.strerror(-result) if result < 0 else ON for name, result in results.items()}


def probe() -> dict[str, int]:
    """What of that this kernel has, as HostFacts has it. All that runs KVM for us has the rest (Linux 3.5)."""
    return {"landlock": max(lib.confine_landlock(), 0), "seccomp": lib.confine_seccomp() == 0}
