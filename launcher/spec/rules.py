"""Valid parts of a spec in, what is wrong between them out. Pure.

The rules take parts and not the whole, so that they can judge the good devices of a spec that has a bad one too.
"""

from __future__ import annotations

from launcher.spec.problems import FieldPath, Problem
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, KIB, MIB, Span, show_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Protocol

    from launcher.values import HostDevice, Mdev, PciAddress

    class Named(Protocol):
        """A mediated device."""

        @property
        def uuid(self) -> Mdev | None: ...

    class Assigned(Protocol):
        """What is asked here of a device of the spec."""

        @property
        def pci(self) -> PciAddress | None: ...
        @property
        def vf(self) -> int | None: ...
        @property
        def mdev(self) -> Named | None: ...
        @property
        def guest(self) -> PciAddress | None: ...

    class Counted(Protocol):
        """Of a topology."""

        @property
        def sockets(self) -> int: ...
        @property
        def cores(self) -> int: ...
        @property
        def threads(self) -> int: ...

    class Networked(Protocol):
        """Of a virtual function."""

        @property
        def mac(self) -> str | None: ...
        @property
        def vlan(self) -> int | None: ...
        @property
        def trust(self) -> bool | None: ...
        @property
        def spoofcheck(self) -> bool | None: ...

    class Placed(Protocol):
        """And of a bank of memory."""

        @property
        def size(self) -> int: ...
        @property
        def at(self) -> int | None: ...


# Keys of a device, as a spec writes them, that are about PCI functions: a mediated device has no ids to expect, no
# companions in its group, and nothing is taken from the host for it.
NOT_OF_MDEV = ("expect", "companions", "bind", "rom", "allow", "boot-order", "network")
_NAMES = ("pci", "match", "mdev")  # of which each device has one

PAGE_SIZES = {"4KiB": 4 * KIB, "thp": 4 * KIB, "2MiB": 2 * MIB, "1GiB": GIB}


def of_cpus(count: int, pin: tuple[int, ...] | None, topology: Counted | None) -> Iterator[Problem]:
    if topology is not None and (in_all := topology.sockets * topology.cores * topology.threads) != count:
        parts = ((topology.sockets, "socket"), (topology.cores, "core"), (topology.threads, "thread"))
        product = " x ".join(_counted(*part) for part in parts)
        help_ = (f"write `count: {in_all}`, or leave `count` out", "or correct the topology")
        yield Problem("E440", f"{product} are {in_all}, not {_counted(count, 'vCPU')}", ("topology",), help=help_)
    if pin is not None and len(pin) != count:
        yield _pins(pin, count)


def of_bank(size: int, pages: str, at: int | None) -> Iterator[Problem]:
    page = PAGE_SIZES[pages]
    if size % page:
        message = f"{show_size(size)} is not a whole number of {pages} pages"
        yield Problem("E108", message, ("size",), help=(f"take a multiple of {pages}, or smaller pages",))
    if at is not None and at % page:
        yield _off_boundary(at, page)


def _off_boundary(at: int, page: int) -> Problem:
    """100000000 is a round number in hex only: whoever forgot the 0x means another place."""
    message = f"{at:#x} is not on a {show_size(page)} boundary, where the bank's pages start"
    fix, meant = f"{at // page * page:#x}", f"0x{at}"
    if str(at).endswith("000") and int(meant, 16) % page == 0:
        help_ = (f"if `{meant}` is meant, write that: {at} is {at:#x}", f"the boundary below is {fix}")
        return Problem("E109", message, ("at",), help=help_)
    return Problem("E109", message, ("at",), help=(f"write {fix}",), fix=fix)


def _pins(pin: tuple[int, ...], count: int) -> Problem:
    message = f"{_counted(len(pin), 'host CPU')} for {_counted(count, 'vCPU')}"
    if not pin:
        help_ = ("write one for each, as in `pin: 8-15`", "or take `pin` out, and the kernel chooses")
        return Problem("E120", message, ("pin",), help=help_)
    first, last = pin[0], pin[0] + count - 1
    if pin[:count] == tuple(range(first, last + 1)):
        other = f"or the first {count} of them, `pin: {first}-{last}`"
    else:
        other = f"or as many host CPUs as there are vCPUs, {count}"
    help_ = (f"each vCPU has one host CPU of its own: write `count: {len(pin)}`", other)
    return Problem("E120", message, ("pin",), help=help_)


def of_match(keys: Collection[str]) -> Iterator[Problem]:
    if not keys:
        help_ = ("give at least one of class, id, serial, slot, node, pf",)
        yield Problem("E123", "an empty match would find every device", help=help_)


def of_network(values: Collection[object]) -> Iterator[Problem]:
    if all(one is None for one in values):
        help_ = ("give at least one of mac, vlan, trust, spoofcheck, or leave `network` out",)
        yield Problem("E132", "nothing says what is to be set", help=help_)


def of_vgpu(keys: Collection[str]) -> Iterator[Problem]:
    """One that is there, one of those of a type, or what makes one."""
    if "parent" in keys and "type" not in keys:
        help_ = ("write `type: nvidia-63`, or take `parent` out",)
        yield Problem("E122", "`parent` goes with `type`, which is not there", ("parent",), key=True, help=help_)
    if {"uuid", "type"} <= set(keys) and "parent" not in keys:
        help_ = ("write `parent: 0000:41:00.0`, whose driver is to make it, or take `type` out",)
        yield Problem("E122", "`uuid` says which it is, and `type` any of them", ("type",), key=True, help=help_)
    if not keys:
        ways = ("add `uuid:` of one that is there, or `type:` for any", "or `parent:` and `type:` of one that is made")
        yield Problem("E121", "nothing says which device it is", key=True, help=ways)


def of_device(keys: Collection[str]) -> Iterator[Problem]:
    """Which keys go together. It needs the keys only, so it also judges a device with invalid values."""
    named = [one for one in _NAMES if one in keys]
    if len(named) > 1:
        first, second = (f"`{one}`" for one in named[:2])
        fact = f"both {first} and {second} say which device it is"
        yield Problem("E121", fact, (named[1],), key=True, help=("keep one",))
    if not named:
        help_ = ("add `pci:` with its address on the host", "or `match:` with its properties")
        yield Problem("E121", "nothing says which device it is", key=True, help=help_)
    for key, needed, example in (("vf", "pci", "0000:3b:00.0"), ("pick", "match", "{class: gpu}")):
        if key in keys and needed not in keys:
            other = next((f" in place of `{one}`" for one in named), "")
            way = f"write `{needed}: {example}`{other}, or take `{key}` out"
            yield Problem("E122", f"`{key}` goes with `{needed}`, which is not there", (key,), key=True, help=(way,))
    if named == ["mdev"]:
        for key in (one for one in keys if one.replace("_", "-") in NOT_OF_MDEV):
            fact = f"`{key.replace('_', '-')}` is about PCI devices of the host, and `mdev` names none"
            yield Problem("E122", fact, (key.replace("_", "-"),), key=True, help=("take it out",))


def of_devices(devices: Mapping[str, Assigned]) -> Iterator[Problem]:
    hosts: dict[tuple[HostDevice, int | None], str] = {}
    guests: dict[PciAddress, str] = {}
    for alias, device in devices.items():
        named = device.pci or (device.mdev.uuid if device.mdev else None)
        if named is not None:
            first = hosts.setdefault((named, device.vf), alias)
            if first != alias:
                field = "pci" if device.pci else "mdev"
                yield _twice("E124", f"{named} is already given to `{first}`", alias, first, field)
        if device.guest is not None:
            first = guests.setdefault(device.guest, alias)
            if first != alias:
                yield _twice("E125", f"{device.guest.guest} is already the place of `{first}`", alias, first, "guest")


def _twice(code: str, message: str, alias: str, first: str, field: str) -> Problem:
    return Problem(code, message, ("devices", alias, field), also=("devices", first, field))


def of_memory(banks: Mapping[int, Placed]) -> Iterator[Problem]:
    placed: dict[int, Span] = {}
    for number, bank in banks.items():
        if bank.at is None:
            continue
        span = Span(bank.at, bank.size)
        other = next((one for one, taken in placed.items() if taken.overlaps(span)), None)
        if other is not None:
            message = f"{span} overlaps bank {other}, {placed[other]}"
            yield Problem("E110", message, _at(number), also=_at(other))
        placed[number] = span


def _at(number: int) -> FieldPath:
    return ("memory", str(number), "at")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
