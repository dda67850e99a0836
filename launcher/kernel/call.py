"""One ioctl: its kernel name in, its result out, OSError with that name when it fails."""

from __future__ import annotations

import os

from launcher.native import ffi, lib
from launcher.typed import Any


def ioctl(fd: int, name: str, argument: Any = None) -> int:
    """`argument` is a cffi pointer, an int, or nothing."""
    request = getattr(lib, name)
    if argument is None or isinstance(argument, int):
        result = lib.kernel_ioctl_value(fd, request, argument or 0)
    else:
        result = lib.kernel_ioctl(fd, request, argument)
    return check(result, name)


def check(result: int, name: str) -> int:
    """0 and up pass; -errno becomes OSError."""
    if result < 0:
        raise OSError(-result, os.strerror(-result), name)
    return result


def fill(struct: Any, changes: Any) -> None:
    """Set the named fields of a cffi struct, nested ones from nested mappings."""
    for name, value in changes.items():
        if isinstance(value, dict):
            fill(getattr(struct, name), value)
        else:
            setattr(struct, name, value)


def fields(struct: Any) -> dict[str, int]:
    """The integer fields of a cffi struct by name."""
    found = {name: getattr(struct, name) for name, _ in ffi.typeof(struct).fields}
    return {name: value for name, value in found.items() if isinstance(value, int)}
