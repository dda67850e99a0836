"""A name in; a tap of that name out, as a descriptor: the interface of a guest's NIC (tun/tap in the kernel's docs).

A tap that `make` has made goes with its last descriptor. OSError as the kernel gives it.
"""

from __future__ import annotations

import _socket as socket
import errno
import fcntl
import os
import struct
from contextlib import closing, suppress

from launcher.kernel.rtnetlink import Rtnetlink

_NODE = "/dev/net/tun"
# linux/if_tun.h, linux/if.h: numbers of the interface to user space, which do not change.
_TUNSETIFF, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_TUN_EXCL = 0x0002, 0x1000, 0x4000, 0x8000
_IFREQ = struct.Struct("=16sH22x")  # struct ifreq: ifr_name, ifr_flags
_HEADER = 12  # bytes of struct virtio_net_hdr_v1, in front of each packet
_MOST_NAME = 15
# How its address begins. A bridge whose own nobody has set has that of its port with the lowest: the host's would
# change whenever a guest comes or goes (br_stp_recalculate_bridge_id, net/bridge/br_stp_if.c).
_HIGH = b"\xfe"
_USUAL = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR


def make(name: str, bridge: str, mtu: int) -> int:
    """New, up and in the bridge, without an address. EBUSY: there is one of this name; EPERM: without CAP_NET_ADMIN;
    ENODEV: there is no such bridge."""
    fd = _open(name, _USUAL | _IFF_TUN_EXCL)
    try:
        with closing(Rtnetlink()) as kernel:
            kernel.join(_index(name), _index(bridge), _HIGH + os.urandom(5), mtu)
    except BaseException:
        os.close(fd)
        raise
    return fd


def attach(name: str) -> int:
    """One that is there. ENODEV: there is none; EBUSY: a process has it; EPERM: it is another user's; EINVAL: it is no
    tap, or one for several queues, of which other processes may have some."""
    _index(name)
    return _open(name, _USUAL)


def is_there(name: str) -> bool:
    """In the name space of this process, which that of a mounted /sys need not be. A keeper without rights may ask."""
    return os.path.lexists(f"/proc/sys/net/ipv4/conf/{name}")


def _open(name: str, flags: int) -> int:
    if not 0 < len(name.encode()) <= _MOST_NAME:
        raise OSError(errno.EINVAL, "a name of 1 to 15 bytes is wanted", "TUNSETIFF")
    fd = os.open(_NODE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _ioctl(fd, "TUNSETIFF", _TUNSETIFF, _IFREQ.pack(name.encode(), flags))
        _ioctl(fd, "TUNSETVNETHDRSZ", _TUNSETVNETHDRSZ, struct.pack("=i", _HEADER))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _ioctl(fd: int, name: str, request: int, argument: bytes) -> None:
    try:
        fcntl.ioctl(fd, request, argument)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None


def _index(name: str) -> int:
    with suppress(OSError):  # it says no errno
        return socket.if_nametoindex(name)
    raise OSError(errno.ENODEV, f"there is no interface {name}", name)
