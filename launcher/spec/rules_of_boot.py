"""What a guest starts with, and in which order firmware tries its disks, in; what is wrong between them out. Pure."""

from __future__ import annotations

from launcher.spec.problems import Problem
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    from launcher.spec.problems import FieldPath

    class Boot(Protocol):
        """What is asked here, as the model or the record of it has it."""

        @property
        def kernel(self) -> str | None: ...
        @property
        def initrd(self) -> str | None: ...
        @property
        def cmdline(self) -> str: ...
        @property
        def firmware(self) -> str | None: ...
        @property
        def variables(self) -> str | None: ...

    class Ordered(Protocol):
        """A disk, or a device."""

        @property
        def boot_order(self) -> int | None: ...


_OF_A_KERNEL = "the boot loader on the guest's disk has its own: take it out, or name a `kernel` in place of `firmware`"


def of_boot(one: Boot) -> Iterator[Problem]:
    if one.kernel is not None and one.firmware is not None:
        message = "both `kernel` and `firmware` say what the guest starts with"
        yield Problem("E133", message, ("firmware",), key=True, help=("keep one",))
    elif one.firmware is None:
        yield from _without_firmware(one)
    else:
        yield from _with_firmware(one, one.firmware)


def _without_firmware(one: Boot) -> Iterator[Problem]:
    if one.kernel is None:
        help_ = ("add `kernel:`, as in `kernel: ./bzImage`", "or `firmware: uefi`, which boots from a disk")
        yield Problem("E102", "`kernel` is missing", key=True, help=help_)
    if one.variables is not None:
        help_ = ("take it out: a guest that starts from its kernel has none", "or write `firmware: uefi`")
        yield _lonely("variables", "firmware", help_)


def _with_firmware(one: Boot, firmware: str) -> Iterator[Problem]:
    if one.initrd is not None:
        yield _lonely("initrd", "kernel", (_OF_A_KERNEL,))
    if one.cmdline:
        yield _lonely("cmdline", "kernel", (_OF_A_KERNEL,))
    if one.variables is not None and firmware == "bios":
        help_ = ("take it out", "or write `firmware: uefi`")
        yield Problem("E122", "a BIOS keeps no variables", ("variables",), key=True, help=help_)


def _lonely(key: str, partner: str, help_: tuple[str, ...]) -> Problem:
    return Problem("E122", f"`{key}` goes with `{partner}`, which is not there", (key,), key=True, help=help_)


def of_orders(boot: Boot | None, disks: Mapping[str, Ordered], devices: Mapping[str, Ordered]) -> Iterator[Problem]:
    """Without a `boot` that is valid nothing is said of its kind."""
    ordered = [("disks", alias, one.boot_order) for alias, one in disks.items()]
    ordered += [("devices", alias, one.boot_order) for alias, one in devices.items()]
    first: dict[int, FieldPath] = {}
    for kind, alias, order in ordered:
        path = (kind, alias, "boot-order")
        if order is not None and boot is not None and boot.firmware is None:
            yield Problem("E134", "the guest starts from its kernel, and from no disk", path, key=True, help=_NO_ORDER)
        elif order is not None and (there := first.setdefault(order, path)) != path:
            yield Problem("E135", f"{order} is already the place of `{there[1]}`", path, help=_ANOTHER, also=there)


_NO_ORDER = ("take it out", "or write `boot: uefi` in place of a kernel")
_ANOTHER = ("write another number: the lowest is tried first",)
