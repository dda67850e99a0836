"""A virtual function in; what its physical function gives it out, and changed, by the interface that it has now: sysfs
says which, rtnetlink the rest. OSError as the kernel gives it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import closing

from launcher.kernel.api import VfChange, VfPlace
from launcher.kernel.rtnetlink import Rtnetlink, VirtualFunction
from launcher.typed import Protocol
from launcher.values import LABELS, NO_MAC, VfSettings, show_setting

_DEVICES = "/sys/bus/pci/devices"
_MOST_INTERFACES = 64  # of one function that are asked


class Link(Protocol):
    """See kernel.rtnetlink.Rtnetlink."""

    def fileno(self) -> int: ...
    def functions(self, index: int) -> Sequence[VirtualFunction]: ...
    def set(self, index: int, number: int, settings: VfSettings) -> None: ...
    def close(self) -> None: ...


class VirtualFunctions:
    """An interface is found anew each time, by the address of its function: names change, and others take them."""

    def __init__(self, devices: str | os.PathLike[str] = _DEVICES, connect: Callable[[], Link] = Rtnetlink) -> None:
        self._devices, self.connect = os.fspath(devices), connect

    def settings(self, place: VfPlace) -> VfSettings:
        """ENOENT: there is no such virtual function any more; ENODEV: no interface here answers for it."""
        with closing(self.connect()) as link:
            return settings(link, self.interface(place, link), place.number)

    def change(self, change: VfChange) -> tuple[str, ...]:
        """What is as it was becomes as it is to be; answers the names of the fields that are neither, and left so."""
        with closing(self.connect()) as link:
            return make(link, self.interface(change.place, link), change)

    def interface(self, place: VfPlace, link: Link) -> int:
        """The index of that whose driver answers for it."""
        folder = f"{self._devices}/{place.physical}"
        here = os.path.basename(os.readlink(f"{folder}/virtfn{place.number}"))
        if here != str(place.address):
            words = f"virtual function {place.number} of {place.physical} is {here}, not {place.address}"
            raise OSError(errno.ENOENT, words)
        for index in _indexes(f"{folder}/net"):
            if any(one.number == place.number for one in link.functions(index)):
                return index
        raise OSError(errno.ENODEV, f"no interface of {place.physical} answers for virtual function {place.number}")


def _indexes(folder: str) -> list[int]:
    """Of the interfaces of a function that are in this name space of networks."""
    try:
        names = sorted(os.listdir(folder))[:_MOST_INTERFACES]
    except FileNotFoundError:
        return []
    return [_index(f"{folder}/{name}/ifindex") for name in names]


def _index(file: str) -> int:
    with open(file) as opened:
        return int(opened.read())


def settings(link: Link, index: int, number: int) -> VfSettings:
    found = (one.settings for one in link.functions(index) if one.number == number)
    if (here := next(found, None)) is None:
        raise OSError(errno.ENOENT, f"virtual function {number} is not there any more", "RTM_GETLINK")
    return here


def make(link: Link, index: int, change: VfChange) -> tuple[str, ...]:
    """The change, on the interface of this index, read back. EIO: the driver took it and is not so."""
    here = settings(link, index, change.place.number).said()
    was, becomes = change.was.said(), change.becomes.said()
    foreign = tuple(name for name in becomes if here.get(name) not in (was.get(name), becomes[name]))
    wanted = [name for name in becomes if name not in foreign and here[name] != becomes[name]]
    if wanted:
        for names in _in_turn(wanted, becomes):
            link.set(index, change.place.number, change.becomes.only(names))
        _check(settings(link, index, change.place.number).said(), change, wanted)
    return foreign


def _in_turn(wanted: list[str], becomes: dict[str, object]) -> list[list[str]]:
    """mlx4 takes no MAC away while it checks against spoofing, and in one message the kernel sets the MAC first."""
    if len(wanted) == 1 or becomes.get("spoofcheck") is not False or "spoofcheck" not in wanted:
        return [wanted]
    return [["spoofcheck"], [name for name in wanted if name != "spoofcheck"]]


def _check(here: dict[str, object], change: VfChange, wanted: list[str]) -> None:
    was, becomes = change.was.said(), change.becomes.said()
    odd = [name for name in wanted if here.get(name) != becomes[name] and not _is_made_up(name, here, was, becomes)]
    if odd:
        words = ", ".join(f"{LABELS[name]} {show_setting(here.get(name))}" for name in odd)
        raise OSError(errno.EIO, f"its driver took it, and says now: {words}", "RTM_SETLINK")


def _is_made_up(name: str, here: dict[str, object], was: dict[str, object], becomes: dict[str, object]) -> bool:
    """Without a MAC of its physical function's, some drivers give it one of their own at once."""
    return name == "mac" and becomes[name] == NO_MAC and here.get(name) != was[name]
