"""The environment in; descriptors of /dev/kvm and /dev/vfio/* that whoever started us has opened for us out.

As sd_listen_fds(3) does it: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, from descriptor 3 on. `kvm` names /dev/kvm, `vfio`
the container, `vfio-12` group 12, `iommufd` /dev/iommu, `vfio-cdev-0000-01-00.0` the own node of 0000:01:00.0, for a
colon ends a name, and `vfio-cdev-UUID` that of a mediated device; other names are not for us.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from launcher.values import host_device

FIRST = 3
KVM, CONTAINER, GROUP, IOMMUFD = "/dev/kvm", "/dev/vfio/vfio", "/dev/vfio/{}", "/dev/iommu"
CDEV = "vfio-cdev-"
Handed = Mapping[str, tuple[int, ...]]


def handed() -> Handed:
    """By path. To be asked before a fork: they are given to one process, which may pass them on."""
    found: dict[str, tuple[int, ...]] = {}
    for fd, name in _named(os.environ):
        with suppress(OSError):  # there is none of this number, or no such function is VFIO's
            os.set_inheritable(fd, False)
            path = _node(name, fd) if name.startswith(CDEV) else _path(name)
            if path:
                found[path] = (*found.get(path, ()), fd)
    return found


def pass_on() -> None:
    """In a process that was forked from the one they were given to: it has them, too."""
    if os.environ.get("LISTEN_PID") == str(os.getppid()):
        os.environ["LISTEN_PID"] = str(os.getpid())


def _named(environment: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") == str(os.getpid()) and count.isdecimal():
        names = environment.get("LISTEN_FDNAMES", "").split(":")
        yield from zip(range(FIRST, FIRST + int(count)), names, strict=False)


def _path(name: str) -> str | None:
    kind, _, number = name.partition("-")
    if kind == "vfio" and number.isdecimal():
        return GROUP.format(number)
    return {"kvm": KVM, "vfio": CONTAINER, "iommufd": IOMMUFD}.get(name)


def _node(name: str, fd: int) -> str | None:
    """By the name that it has now. A descriptor of another function is none of it, whatever it is called."""
    try:
        address = host_device(re.sub(r"^([0-9a-f]{4})-([0-9a-f]{2})-(?=..\.)", r"\1:\2:", name.removeprefix(CDEV)))
    except ValueError:
        return None
    from launcher.kernel.sysfs import node_of, number_of  # few are given one

    number = os.fstat(fd).st_rdev
    return node_of(address) if number_of(address) == (os.major(number), os.minor(number)) else None
