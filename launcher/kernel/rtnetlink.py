"""An interface in; what its driver says of the virtual functions behind it out: rtnetlink(7). OSError as the kernel
gives it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h: numbers of the interface to user space, which do not change.
_NLMSG_ERROR = 2
_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_NLM_F_REQUEST = 1
_IFLA_VFINFO_LIST, _IFLA_EXT_MASK = 22, 29
_IFLA_VF_INFO, _IFLA_VF_MAC = 1, 1
_VF, _SKIP_STATS = 1, 8  # RTEXT_FILTER_
_NESTED = 0x3FFF  # the type without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ERROR = struct.Struct("=i")  # the first field of struct nlmsgerr
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_MAC = struct.Struct("=I32s")  # struct ifla_vf_mac
_ETHER = 6  # bytes of an address
NO_MAC = bytes(_ETHER).hex(":")
_MOST = 1 << 18  # bytes of an answer: the list of virtual functions has at most 64 KiB
_LONGEST = 5.0  # seconds for it: whoever holds the kernel's lock of interfaces is in the way


class VirtualFunction(NamedTuple):
    """`mac`: what its physical function gives it; NO_MAC: none, so its driver makes one up."""

    number: int
    mac: str


def virtual_functions(interface: str) -> tuple[VirtualFunction, ...]:
    """Those of the physical function that has the interface; empty where its driver does not say, or it has none.

    OSError: there is no such interface (ENODEV), it took longer than 5 s, or this process may have no such socket.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_LONGEST)
        kernel.connect((0, 0))  # the kernel: nobody else's words are heard
        kernel.send(_question(socket.if_nametoindex(interface)))
        return tuple(functions_in(kernel.recv(_MOST)))


def functions_in(answer: bytes) -> Iterator[VirtualFunction]:
    """OSError: the answer is an errno, or none that the kernel would give."""
    if len(answer) < _HEADER.size + 4:
        raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG), "RTM_GETLINK")
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        number = -_ERROR.unpack_from(answer, _HEADER.size)[0]
        raise OSError(number, os.strerror(number), "RTM_GETLINK")
    if kind != _RTM_NEWLINK or length > len(answer):
        raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG), "RTM_GETLINK")
    for one in _of(answer[_HEADER.size + _LINK.size : length], _IFLA_VFINFO_LIST):
        for function in _of(one, _IFLA_VF_INFO):
            yield from map(_read, _of(function, _IFLA_VF_MAC))


def _question(index: int) -> bytes:
    mask = struct.pack("=I", _VF | _SKIP_STATS)
    body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + _ATTRIBUTE.pack(_ATTRIBUTE.size + 4, _IFLA_EXT_MASK) + mask
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETLINK, _NLM_F_REQUEST, 1, 0) + body


def _of(attributes: bytes, wanted: int) -> Iterator[bytes]:
    """The values of those attributes that are of this kind; one that does not fit ends the list."""
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size or at + length > len(attributes):
            return
        if kind & _NESTED == wanted:
            yield attributes[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _read(value: bytes) -> VirtualFunction:
    """Of InfiniBand the address is longer; a MAC is its first bytes."""
    if len(value) < _MAC.size:
        raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG), "RTM_GETLINK")
    number, mac = _MAC.unpack_from(value)
    return VirtualFunction(number, mac[:_ETHER].hex(":"))
