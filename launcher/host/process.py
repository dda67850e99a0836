"""A Tree in; who runs `up` out: identity, capabilities, limits, allowed CPUs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from launcher.host.facts import Process
from launcher.host.lists import ids, keyed, str_of

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_STATE = "/run/vmlaunch"

# Those a launcher of VMs can need, by bit (capability.h). The rest would only make facts files differ.
_CAPABILITIES = {
    1: "cap_dac_override",
    12: "cap_net_admin",
    14: "cap_ipc_lock",
    16: "cap_sys_module",
    17: "cap_sys_rawio",
    21: "cap_sys_admin",
    23: "cap_sys_nice",
    24: "cap_sys_resource",
}


def read_process(tree: Tree, runtime_folder: str | None) -> Process:
    """`runtime_folder` is $XDG_RUNTIME_DIR, which only counts for those who are not root."""
    status = keyed(tree.read_text("/proc/self/status"), ":")
    limits = str_of(tree.read_text("/proc/self/limits"))
    uid = _effective(status.get("Uid", ""))
    return Process(
        uid=uid,
        gid=_effective(status.get("Gid", "")),
        capabilities=_capabilities(status.get("CapEff", "0")),
        memlock=_limit(limits, "Max locked memory"),
        open_files=_limit(limits, "Max open files"),
        cpus=ids(status.get("Cpus_allowed_list", "")),
        state_folder=state_folder(uid, runtime_folder),
    )


def _effective(line: str) -> int:
    """Real, effective, saved and file system id."""
    words = line.split()
    return int(words[1]) if len(words) > 1 else 0


def _capabilities(mask: str) -> tuple[str, ...]:
    bits = int(mask, 16)
    return tuple(name for bit, name in _CAPABILITIES.items() if bits >> bit & 1)


def _limit(limits: str, name: str) -> int | None:
    """The hard limit: `up` raises the soft one to it by itself."""
    match = re.search(rf"^{name} +\S+ +(\S+)", limits, re.MULTILINE)
    return int(match[1]) if match and match[1].isdecimal() else None


def state_folder(uid: int, runtime_folder: str | None) -> str | None:
    if uid == 0:
        return _STATE
    return f"{runtime_folder.rstrip('/')}/vmlaunch" if runtime_folder else None
