"""A query of VFIO in; its answer, and the chain of capabilities behind it, out."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.kernel.call import ioctl
from launcher.native import ffi
from launcher.typed import Any

MOST = 32  # capabilities of a chain; the kernel knows a handful


def ask(kind: str, fd: int, call: str, index: int | None = None) -> tuple[Any, Any]:
    """A query whose answer may have capabilities behind it: asked twice when the kernel wants more room."""
    size = ffi.sizeof(kind)
    while True:
        buffer = ffi.new("uint8_t[]", size)
        info = ffi.cast(f"{kind} *", buffer)
        info.argsz = size
        if index is not None:
            info.index = index
        ioctl(fd, call, info)
        if info.argsz <= size:
            return info, buffer
        size = info.argsz


def capabilities(buffer: Any, first: int) -> Iterator[tuple[int, Any]]:
    """Id and place of each in the chain, which is bounded and stays inside the buffer."""
    offset, header = first, "struct vfio_info_cap_header *"
    for _ in range(MOST):
        if not 0 < offset <= len(buffer) - ffi.sizeof("struct vfio_info_cap_header"):
            return
        found = ffi.cast(header, buffer + offset)
        yield found.id, buffer + offset
        offset = found.next
