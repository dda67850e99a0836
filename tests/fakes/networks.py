"""What physical functions of the fake kernel give virtual ones: the class that asks rtnetlink, on a fake of that."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from launcher.kernel.rtnetlink import VirtualFunction
from launcher.kernel.virtual_functions import VirtualFunctions
from launcher.record import replace
from launcher.values import VfSettings
from tests.fakes.handle import refuse

if TYPE_CHECKING:
    from launcher.kernel.api import VfPlace
    from launcher.kernel.virtual_functions import Link
    from tests.fakes.host import FakeFunction
    from tests.fakes.kernel import FakeKernel

INDEX = 7  # of the interface of the first physical function


class FakeVirtualFunctions(VirtualFunctions):
    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(connect=lambda: FakeLink(kernel))
        self._kernel = kernel

    def interface(self, place: VfPlace, link: Link) -> int:
        found = self._kernel.host.at(place.address)
        if found is None or (found.physical, found.number) != (place.physical, place.number):
            refuse(errno.ENOENT, "readlink")
        if not found.answered:
            refuse(errno.ENODEV, "RTM_GETLINK")
        return INDEX + self._kernel.host.physical().index(place.physical)


class FakeLink:
    """tests/vf_rules.py holds it to what netdevsim answers in the lab."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def fileno(self) -> int:
        return -1

    def functions(self, index: int) -> tuple[VirtualFunction, ...]:
        self._kernel.call("RTM_GETLINK")
        self._kernel.host.recall()
        return tuple(VirtualFunction(one.number, one.told) for one in self._behind(index, "RTM_GETLINK"))

    def set(self, index: int, number: int, settings: VfSettings) -> None:
        """In the order of the kernel, and what was taken before one is refused stays."""
        self._kernel.call("RTM_SETLINK")
        self._kernel.host.recall()
        one = next((one for one in self._behind(index, "RTM_SETLINK") if one.number == number), None)
        for name in ("mac", "vlan", "spoofcheck", "trust"):
            value = getattr(settings, name)
            if value is not None and (one is None or (name == "mac" and int(value[:2], 16) & 1)):
                refuse(errno.EINVAL, "RTM_SETLINK")
            if value is not None and one is not None:
                one.told = replace(one.told, **{name: value})
                self._kernel.host.keep()

    def _behind(self, index: int, call: str) -> list[FakeFunction]:
        known = self._kernel.host.physical()
        if not 0 <= index - INDEX < len(known):
            refuse(errno.ENODEV, call)
        return [one for one in self._kernel.host.functions if one.physical == known[index - INDEX]]

    def close(self) -> None:
        """A socket: nothing is left of it."""
