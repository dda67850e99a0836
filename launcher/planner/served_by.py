"""Files of a spec and who runs `up` in; as whom an engine serves them, and whether it may, out. Pure.

Of root's VM an engine runs as the owner of what it serves, without a capability; of anybody else's as that user. It
gets what it serves as descriptors that the keeper opened, so that folders on the way do not matter to it.
"""

from __future__ import annotations

from launcher.host.facts import ENGINES
from launcher.record import record
from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from launcher.host.facts import Process
    from launcher.images.disk_files import Rights
    from launcher.spec.parts import Disk, VmSpec

READ, WRITE, ENTER = 4, 2, 1
MADE = "made"  # what Serving.name_space is where the kernel makes one
_DISKS, _SHARES, _USER_NETWORK = ENGINES


@record
class Server:
    """Whom an engine runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"uid {self.uid}"


def server_of(rights: Rights, process: Process) -> Server:
    if process.uid == 0 and not process.own_user_namespace:
        return Server(rights.uid, rights.gid)
    return Server(process.uid, process.gid, process.groups)


def may(rights: Rights, server: Server, wanted: int) -> bool:
    """By owner and mode, the first class that fits deciding. What an access list says is not known: it is tried."""
    if rights.listed:
        return True
    if server.uid == rights.uid:
        granted = rights.mode >> 6
    elif rights.gid in (server.gid, *server.groups):
        granted = rights.mode >> 3
    else:
        granted = rights.mode
    return granted & wanted == wanted


def format_of(disk: Disk) -> Literal["raw", "qcow2"]:
    """By the name where the spec does not say it; never by the content, which the guest writes."""
    return disk.format or ("qcow2" if (disk.path or "").endswith(".qcow2") else "raw")


def sockets_of(spec: VmSpec) -> dict[str, str]:
    """Of engines of others, by the name of the entry, `disks.root`."""
    disks = {f"disks.{alias}": one.socket for alias, one in spec.disks.items()}
    nics = {f"nics.{alias}": one.socket for alias, one in spec.nics.items()}
    return {entry: path for entry, path in (disks | nics).items() if path is not None}


def apart_from_users(spec: VmSpec, process: Process) -> dict[str, str]:
    """What of it is served in a user namespace, by the name of the entry: the engine. virtiofsd is root of one, passt
    shuts itself into one, and an engine that root starts lives in one, where its keeper may end it."""
    disks = spec.disks.items() if process.uid == 0 else ()
    return {
        **{f"shares.{alias}": _SHARES for alias in spec.shares},
        **{f"nics.{alias}": _USER_NETWORK for alias, one in spec.nics.items() if one.user},
        **{f"disks.{alias}": _DISKS for alias, one in disks if one.path is not None},
        **({"cloud-init": _DISKS} if process.uid == 0 and spec.cloud_init is not None else {}),
    }


def wanted_engines(spec: VmSpec) -> tuple[str, ...] | None:
    """The programs that serve what the spec has; None: it has neither disks nor NICs, shares, vsock or cloud-init."""
    if not (spec.disks or spec.nics or spec.shares or spec.vsock or spec.cloud_init):
        return None
    wanted = {
        _DISKS: any(one.path is not None for one in spec.disks.values()) or spec.cloud_init is not None,
        _SHARES: bool(spec.shares),
        _USER_NETWORK: any(one.user for one in spec.nics.values()),
    }
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)
