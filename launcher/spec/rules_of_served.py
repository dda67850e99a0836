"""Valid disks, NICs, shares and vsock of a spec in, what is wrong between their parts and between them out. Pure."""

from __future__ import annotations

from launcher.spec.problems import Problem
from launcher.spec.served import tag_too_long
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Protocol

    from launcher.spec.problems import FieldPath

    class Disk(Protocol):
        """What is asked here of a disk, as the model or the record of it has it; so with the others."""

        @property
        def path(self) -> str | None: ...
        @property
        def socket(self) -> str | None: ...
        @property
        def format(self) -> str | None: ...
        @property
        def readonly(self) -> bool: ...
        @property
        def discard(self) -> bool: ...

    class Nic(Protocol):
        """A NIC."""

        @property
        def bridge(self) -> str | None: ...
        @property
        def tap(self) -> str | None: ...
        @property
        def socket(self) -> str | None: ...
        @property
        def user(self) -> bool | None: ...
        @property
        def mac(self) -> str | None: ...
        @property
        def mtu(self) -> int | None: ...

    class Networked(Protocol):
        """A device of the host, which may be given a MAC, too."""

        @property
        def network(self) -> Addressed | None: ...

    class Addressed(Protocol):
        """Its settings."""

        @property
        def mac(self) -> str | None: ...


MOST = 15  # guest slots 00:01 to 00:0f
MOST_BESIDE_FIRMWARE = 14  # which has a function at 00:01 of its own
_WAYS = {
    "disks": ("where its data is", "a disk has `path: ./debian.qcow2`, or the `socket:` of an engine of yours"),
    "nics": (
        "what it is connected to",
        "a NIC has `bridge: br0`, `tap: tap0`, `socket: /run/nic.sock` or `user: true`",
    ),
}


def of_disk(one: Disk) -> Iterator[Problem]:
    yield from _one_way("disks", [key for key in ("path", "socket") if getattr(one, key) is not None])
    if one.socket is not None:
        for key in ("format", "discard"):
            if getattr(one, key) not in (None, False):
                message = f"`{key}` is for the engine at the socket to say, which serves the disk"
                yield Problem("E141", message, (key,), key=True, help=("take it out",))
    elif one.discard and one.readonly:
        help_ = ("take one of the two out",)
        yield Problem("E141", "a disk that is only read gives nothing back", ("discard",), key=True, help=help_)


def of_nic(one: Nic) -> Iterator[Problem]:
    ways = [key for key in ("bridge", "tap", "socket", "user") if getattr(one, key) is not None]
    yield from _one_way("nics", ways)
    if one.mtu is not None and len(ways) == 1 and one.bridge is None:
        help_ = ("take it out: who has made the network has set its MTU",)
        yield Problem("E141", "`mtu` goes with `bridge`, whose tap is made here", ("mtu",), key=True, help=help_)


def _one_way(kind: str, ways: list[str]) -> Iterator[Problem]:
    if not ways:
        wanted, help_ = _WAYS[kind]
        yield Problem("E140", f"nothing says {wanted}", key=True, help=(help_,))
    if len(ways) > 1:
        named = " and ".join(f"`{one}`" for one in ways)
        yield Problem("E140", f"{named} are {len(ways)} ways for one", (ways[1],), key=True, help=("keep one",))


def of_aliases(kinds: Mapping[str, Collection[str]], alone: Collection[str]) -> Iterator[Problem]:
    """Messages, reports and engines know an entry by its alias alone. `alone`: keys that are their own, as vsock is."""
    seen: dict[str, str] = {key: key for key in alone}
    for kind, aliases in kinds.items():
        for alias in aliases:
            first = seen.setdefault(alias, kind)
            if first != kind:
                fix = f"{alias}-{kind[:-1]}"
                whose = f"of the {first} that stands beside it" if first in alone else f"of another entry, in `{first}`"
                message = f"`{alias}` is the alias {whose}"
                also = (first,) if first in alone else (first, alias)
                yield Problem("E145", message, (kind, alias), key=True, help=(f"write `{fix}`",), fix=fix, also=also)


def of_tags(shares: Iterable[str]) -> Iterator[Problem]:
    for alias in shares:
        if told := tag_too_long(alias, ("shares", alias)):
            yield told


def most_beside(firmware: str | None) -> int:
    return MOST if firmware is None else MOST_BESIDE_FIRMWARE


def of_number(
    disks: Collection[str],
    nics: Collection[str],
    shares: Collection[str],
    alone: Collection[str],
    most: int = MOST,
) -> Iterator[Problem]:
    """Of one kind after the other: the first that has no slot is told. Beside firmware there is one slot less."""
    every = [(kind, alias) for kind, some in zip(_KINDS, (disks, nics, shares), strict=True) for alias in some]
    wanted: list[FieldPath] = [*every, *((key,) for key in alone)]
    if len(wanted) > most:
        message = f"the guest has {most} slots for disks, NICs, shares and the like, and these are {len(wanted)}"
        help_ = ("take some out", "or pass drives and cards of the host by `devices:`, which has slots of its own")
        yield Problem("E149", message, wanted[most], key=True, help=help_)


_KINDS = ("disks", "nics", "shares")


def of_things(
    disks: Mapping[str, Disk], nics: Mapping[str, Nic], devices: Mapping[str, Networked]
) -> Iterator[Problem]:
    """What is one thing, and cannot be given to two."""
    first: dict[tuple[str, str], FieldPath] = {}
    for what, value, path, shared in (*_of_disks(disks), *_of_devices(devices), *_of_nics(nics)):
        there = first.setdefault((what, value), path)
        if there != path and path[0] != "devices" and not (shared and _is_shared(there, disks)):
            message = f"{what} {value} is already that of `{there[1]}`"
            yield Problem("E147", message, path, also=there, help=(_OTHERS[what],))


def _is_shared(path: FieldPath, disks: Mapping[str, Disk]) -> bool:
    return path[0] == "disks" and disks[path[1]].readonly


_Thing = tuple[str, str, "FieldPath", bool]
_OTHERS = {
    "the image": "two disks of one image need `readonly: true`, both",
    "the MAC": "write another one, or leave `mac` out",
    "the tap": "each NIC has a tap of its own; several go on one bridge",
    "the socket": "an engine serves one disk or NIC at a socket",
}


def _of_disks(disks: Mapping[str, Disk]) -> Iterator[_Thing]:
    for alias, one in disks.items():
        if one.path is not None:
            yield "the image", one.path, ("disks", alias, "path"), one.readonly
        if one.socket is not None:
            yield "the socket", one.socket, ("disks", alias, "socket"), False


def _of_devices(devices: Mapping[str, Networked]) -> Iterator[_Thing]:
    """That two of them have one MAC is for the network to say, which may be another one each."""
    for alias, one in devices.items():
        if one.network is not None and one.network.mac is not None:
            yield "the MAC", one.network.mac, ("devices", alias, "network", "mac"), False


def _of_nics(nics: Mapping[str, Nic]) -> Iterator[_Thing]:
    for alias, one in nics.items():
        given = {"the MAC": ("mac", one.mac), "the tap": ("tap", one.tap), "the socket": ("socket", one.socket)}
        yield from ((what, value, ("nics", alias, key), False) for what, (key, value) in given.items() if value)
