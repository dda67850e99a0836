"""A file descriptor that is closed once."""

from __future__ import annotations

import os


class Descriptor:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Eventfd(Descriptor):
    """A counter that the kernel adds to and somebody reads: an interrupt on its way."""

    def __init__(self) -> None:
        super().__init__(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def fire(self) -> None:
        os.eventfd_write(self.fd, 1)

    def take(self) -> bool:
        """True: it had fired since the last look."""
        try:
            return os.eventfd_read(self.fd) > 0
        except BlockingIOError:
            return False
