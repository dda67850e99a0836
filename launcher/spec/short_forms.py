"""What a section may be written as instead in; the section, written out, out. A Problem is raised otherwise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from launcher.patterns import re
from launcher.spec.problems import Problem

# What stands for a whole entry is the value of this field.
MAIN = {"devices": "pci", "disks": "path", "nics": "user", "shares": "path"}

KERNELS = ("bzimage", "vmlinu", "linux")  # what their names begin with


def boot(given: object) -> object:
    """`uefi`, `bios` or a path is the firmware. A name that only kernels have is left to be refused."""
    is_kernel = isinstance(given, str) and re.match("|".join(KERNELS), given.rpartition("/")[2], re.IGNORECASE)
    return given if is_kernel or not isinstance(given, str) else _long_form("firmware", given)


def cpus(given: object) -> object:
    """A number is the count; a topology says it as well."""
    given = _long_form("count", given)
    if not isinstance(given, Mapping) or "count" in given or not isinstance(given.get("topology"), Mapping):
        return given
    numbers = [given["topology"].get(key, 1) for key in ("sockets", "cores", "threads")]
    return {**given, "count": prod(numbers) if all(type(one) is int and one > 0 for one in numbers) else 1}


def device(given: object) -> object:
    """An address is the device's."""
    return _long_form(MAIN["devices"], given)


def mdev(given: object) -> object:
    """A UUID is that of a mediated device that is there."""
    return None if given is None else _long_form("uuid", given)


def disk(given: object) -> object:
    """A path is that of an image or a block device."""
    return _long_form(MAIN["disks"], given)


def nic(given: object) -> object:
    """`user` is the network that needs no rights."""
    return _long_form(MAIN["nics"], True if given == "user" else given)


def share(given: object) -> object:
    """A path is that of a folder."""
    return _long_form(MAIN["shares"], given)


def vsock(given: object) -> object:
    """True is a context id that follows from the VM's name, false is none."""
    if given is None or given is False:
        return None
    return _long_form("cid", "auto" if given is True else given)


def banks(given: object) -> object:
    """A size is one bank of it."""
    if isinstance(given, list | tuple) and not given:
        raise Problem("E102", "a VM without memory", help=("add a bank, as in `- size: 8GiB`",)).error()
    if isinstance(given, Mapping):
        help_ = ("write a list of banks, each with `- size:` first",)
        raise Problem("E105", "expected a size or a list of banks, found a mapping", help=help_).error()
    return given if isinstance(given, list | tuple) else [{"size": given}]


def _long_form(field: str, given: object) -> object:
    """A value that is no mapping, nor a section that is made, is the value of the one obvious field."""
    return given if isinstance(given, Mapping) or hasattr(given, "said") else {field: given}
