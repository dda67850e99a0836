"""The environment in; descriptors of /dev/kvm and /dev/vfio/* that whoever started us has opened for us out.

As sd_listen_fds(3) does it: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, from descriptor 3 on. `kvm` names /dev/kvm, `vfio`
the container, `vfio-12` group 12, `iommufd` /dev/iommu, `vfio-cdev-0000-01-00.0` the own node of 0000:01:00.0, for a
colon ends a name, `vfio-cdev-UUID` that of a mediated device; other names are not for us. What does not fit together
hands nothing in. A name alone is no proof: a descriptor is of the device that it is of, by its number, as far as sysfs
has that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from launcher.values import host_device

FIRST = 3
KVM, CONTAINER, GROUP, IOMMUFD = "/dev/kvm", "/dev/vfio/vfio", "/dev/vfio/{}", "/dev/iommu"
CDEV, OF_GROUP = "vfio-cdev-", "vfio-"
_HEXADECIMAL = frozenset("0123456789abcdef")
_ALONE = {"kvm": (KVM, "misc/kvm"), "vfio": (CONTAINER, "misc/vfio"), "iommufd": (IOMMUFD, "misc/iommu")}
Handed = Mapping[str, tuple[int, ...]]


def handed() -> Handed:
    """By path. To be asked before a fork: they are given to one process, which may pass them on.

    No program that we start has them, whatever they are called.
    """
    numbers = _numbers(os.environ)
    kept = {fd for fd in numbers if _keep(fd)}
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, tuple[int, ...]] = {}
    for fd, name in zip(numbers, names, strict=True) if len(names) == len(numbers) else ():
        with suppress(OSError):  # no such function is VFIO's
            if fd in kept and (path := _path(name, fd)):
                found[path] = (*found.get(path, ()), fd)
    return found


def _keep(fd: int) -> bool:
    """From who is executed. False: there is none of this number."""
    try:
        os.set_inheritable(fd, False)
    except OSError:
        return False
    return True


def pass_on() -> None:
    """In a process that was forked from the one they were given to: it has them, too."""
    if os.environ.get("LISTEN_PID") == str(os.getppid()):
        os.environ["LISTEN_PID"] = str(os.getpid())


def let_go(given: Mapping[str, Sequence[int]], is_done: Callable[[str], bool]) -> None:
    """Close those whose paths are done with: whoever has them now is another process."""
    for path in filter(is_done, given):
        for fd in given[path]:
            with suppress(OSError):
                os.close(fd)


def _numbers(environment: Mapping[str, str]) -> range:
    """No process has more than five digits of them in a row, whose names would fit into an environment."""
    count = environment.get("LISTEN_FDS", "")
    ours = environment.get("LISTEN_PID") == str(os.getpid()) and len(count) <= 5 and count.isascii()
    return range(FIRST, FIRST + int(count)) if ours and count.isdecimal() else range(0)


def _path(name: str, fd: int) -> str | None:
    if name.startswith(CDEV):
        return _own_node(name, fd)
    number = name.removeprefix(OF_GROUP)
    path, place = (GROUP.format(number), f"vfio/{number}") if _is_group(name, number) else _ALONE.get(name, (None, ""))
    return path if path and _is(place, fd) else None


def _is_group(name: str, number: str) -> bool:
    """As it is written: no more than digits, and no 0 before others."""
    is_number = number.isascii() and number.isdecimal() and (number == "0" or number[0] != "0")
    return is_number and name != number


def _is(place: str, fd: int) -> bool:
    """Whether it is of that device, as far as we may know it: a container may do without sysfs."""
    from launcher.kernel.sysfs import number_at, number_in  # few are given one

    number = number_in(place)
    return number is None or number == number_at(fd)


def _own_node(name: str, fd: int) -> str | None:
    """By the name that it has now."""
    try:
        address = host_device(_with_colons(name.removeprefix(CDEV)))
    except ValueError:
        return None
    from launcher.kernel.sysfs import node_of, number_at, number_of

    return node_of(address) if number_of(address) == number_at(fd) else None


def _with_colons(name: str) -> str:
    """0000-01-00.0 as the 0000:01:00.0 that it means; all else as it is."""
    domain, bus, rest = name[:4], name[5:7], name[8:]
    is_function = name[4:5] == name[7:8] == "-" and rest[2:3] == "." and _HEXADECIMAL.issuperset(domain + bus)
    return f"{domain}:{bus}:{rest}" if is_function else name
