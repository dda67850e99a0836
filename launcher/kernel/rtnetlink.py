"""An interface in; what its driver says of the virtual functions behind it out, and what it is told of one: by
rtnetlink(7). OSError as the kernel gives it."""

from __future__ import annotations

import _socket as socket
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import closing, suppress

from launcher.row import NamedTuple
from launcher.typed import Any
from launcher.values import VfSettings, Vlan

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h: numbers of the interface to user space, which do not change.
_NLMSG_ERROR = 2
_RTM_NEWLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 18, 19
_NLM_F_REQUEST, _NLM_F_ACK = 1, 4
_IFLA_VFINFO_LIST, _IFLA_EXT_MASK = 22, 29
_IFLA_VF_INFO, _IFLA_VF_VLAN_INFO = 1, 1
_IFLA_VF_MAC, _IFLA_VF_VLAN, _IFLA_VF_SPOOFCHK, _IFLA_VF_TRUST, _IFLA_VF_VLAN_LIST = 1, 2, 4, 9, 12
_IFLA_ADDRESS, _IFLA_MTU, _IFLA_MASTER, _IFLA_AF_SPEC, _IFLA_INET6_ADDR_GEN_MODE = 1, 4, 10, 26, 8
_ADDR_GEN_MODE_NONE, _IFF_UP = 1, 1  # IN6_ADDR_GEN_MODE_NONE
_VF, _SKIP_STATS = 1, 8  # RTEXT_FILTER_
_NESTED = 0x3FFF  # the type without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_PROTOCOLS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}  # ETH_P_8021Q, ETH_P_8021AD

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ERROR = struct.Struct("=i")  # the first field of struct nlmsgerr
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_MAC = struct.Struct("=I32s")  # struct ifla_vf_mac
_VLAN = struct.Struct("=III")  # struct ifla_vf_vlan
_VLAN_INFO = struct.Struct("=III2s2x")  # struct ifla_vf_vlan_info; its protocol is in the order of the network
_FLAG = struct.Struct("=II")  # struct ifla_vf_spoofchk, struct ifla_vf_trust
_ETHER = 6  # bytes of an address
_MOST = 1 << 18  # bytes of an answer: the list of virtual functions has at most 64 KiB
_MOST_LATE = 8  # answers to questions that nobody waited for any more
_LONGEST = 5.0  # seconds for one: whoever holds the kernel's lock of interfaces is in the way


class VirtualFunction(NamedTuple):
    """`settings.mac` is what its physical function gives it, NO_MAC: none. What the driver does not say is None."""

    number: int
    settings: VfSettings


class Rtnetlink:
    """A socket to the kernel. OSError of all of these: TimeoutError after 5 s, ENODEV: no such interface."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket, self._asked = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE), 0
        self._socket.settimeout(_LONGEST)
        self._socket.connect((0, 0))  # the kernel: nobody else's words are heard

    def fileno(self) -> int:
        return self._socket.fileno()

    def functions(self, index: int) -> tuple[VirtualFunction, ...]:
        """Those of the physical function that has the interface; empty where its driver does not say, or has none."""
        mask = _attribute(_IFLA_EXT_MASK, struct.pack("=I", _VF | _SKIP_STATS))
        return tuple(functions_in(self._ask(_RTM_GETLINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + mask)))

    def set(self, index: int, number: int, settings: VfSettings) -> None:
        """What is said in them, in the order of the kernel. EPERM: without CAP_NET_ADMIN; the rest is the driver's,
        which may have taken a part: EOPNOTSUPP, EINVAL, ENODEV, EAGAIN (the card is reset)."""
        told = b"".join(_told(number, name, value) for name, value in settings.said().items())
        functions = _attribute(_IFLA_VFINFO_LIST, _attribute(_IFLA_VF_INFO, told))
        check_done(self._ask(_RTM_SETLINK, _NLM_F_ACK, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + functions))

    def join(self, index: int, bridge: int, mac: bytes, mtu: int) -> None:
        """The interface is up and a port of the bridge, and the host has no address of its own on it. ENODEV,
        EOPNOTSUPP, EINVAL: that is no bridge."""
        silent = _attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_ADDR_GEN_MODE_NONE]))
        family = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET6, silent))
        with suppress(OSError):  # the host has no IPv6. A message of its own: within one, `up` comes first
            check_done(self._ask(_RTM_SETLINK, _NLM_F_ACK, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + family))
        plain = _attribute(_IFLA_ADDRESS, mac)  # before it is a port (do_setlink, net/core/rtnetlink.c)
        plain += _attribute(_IFLA_MTU, struct.pack("=I", mtu)) + _attribute(_IFLA_MASTER, struct.pack("=I", bridge))
        up = _LINK.pack(socket.AF_UNSPEC, 0, index, _IFF_UP, _IFF_UP)
        check_done(self._ask(_RTM_SETLINK, _NLM_F_ACK, up + plain))

    def _ask(self, kind: int, flags: int, body: bytes) -> bytes:
        self._asked += 1
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | flags, self._asked, 0) + body)
        for _ in range(_MOST_LATE + 1):
            answer = self._socket.recv(_MOST)
            if len(answer) < _HEADER.size or _HEADER.unpack_from(answer)[3] == self._asked:
                return answer
        raise _unlikely("rtnetlink")

    def close(self) -> None:
        self._socket.close()


def virtual_functions(interface: str) -> tuple[VirtualFunction, ...]:
    """As Rtnetlink.functions. OSError, too, where this process may have no such socket."""
    with closing(Rtnetlink()) as kernel:
        return kernel.functions(socket.if_nametoindex(interface))


def functions_in(answer: bytes) -> Iterator[VirtualFunction]:
    """OSError: the answer is an errno, or none that the kernel would give."""
    length, kind = _opened(answer, "RTM_GETLINK")
    if kind != _RTM_NEWLINK or length > len(answer):
        raise _unlikely("RTM_GETLINK")
    for one in _of(answer[_HEADER.size + _LINK.size : length], _IFLA_VFINFO_LIST):
        for function in _of(one, _IFLA_VF_INFO):
            yield from _read(function)


def check_done(answer: bytes) -> None:
    """OSError, unless it says that it is done: error 0."""
    if _opened(answer, "RTM_SETLINK")[1] != _NLMSG_ERROR:
        raise _unlikely("RTM_SETLINK")


def _opened(answer: bytes, call: str) -> tuple[int, int]:
    """Length and type; OSError if it is an errno."""
    if len(answer) < _HEADER.size + _ERROR.size:
        raise _unlikely(call)
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR and (number := -_ERROR.unpack_from(answer, _HEADER.size)[0]):
        raise OSError(number, os.strerror(number), call)
    return length, kind


def _unlikely(call: str) -> OSError:
    return OSError(errno.EBADMSG, os.strerror(errno.EBADMSG), call)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


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


def _read(function: bytes) -> Iterator[VirtualFunction]:
    """One that has a MAC. Of InfiniBand the address is longer; a MAC is its first bytes."""
    for value in _of(function, _IFLA_VF_MAC):
        number, mac = _unpacked(_MAC, value)
        settings = VfSettings(
            mac[:_ETHER].hex(":"), _vlan(function), _flag(function, _IFLA_VF_TRUST), _flag(function, _IFLA_VF_SPOOFCHK)
        )
        yield VirtualFunction(number, settings)


def _flag(function: bytes, kind: int) -> bool | None:
    """None: the driver does not know it, which is -1 here."""
    for value in _of(function, kind):
        setting = _unpacked(_FLAG, value)[1]
        return bool(setting) if setting in (0, 1) else None
    return None


def _vlan(function: bytes) -> Vlan | None:
    """Linux 4.9 has a list of them, of one; before, all are 802.1Q. None: it is none that can be set again."""
    for listed in _of(function, _IFLA_VF_VLAN_LIST):
        for value in _of(listed, _IFLA_VF_VLAN_INFO):
            _, number, qos, protocol = _unpacked(_VLAN_INFO, value)
            return _vlan_of(number, qos, _PROTOCOLS.get(int.from_bytes(protocol, "big")))
    for value in _of(function, _IFLA_VF_VLAN):
        _, number, qos = _unpacked(_VLAN, value)
        return _vlan_of(number, qos, "802.1Q")
    return None


def _vlan_of(number: int, qos: int, protocol: Any) -> Vlan | None:
    """Without a VLAN there is no protocol either, and drivers say any, netdevsim 0 until it has had one."""
    protocol = protocol if number else "802.1Q"
    try:
        return Vlan(number, qos, protocol) if protocol else None
    except ValueError:
        return None


def _unpacked(form: struct.Struct, value: bytes) -> tuple[Any, ...]:
    if len(value) < form.size:
        raise _unlikely("RTM_GETLINK")
    return form.unpack_from(value)


def _told(number: int, name: str, value: Any) -> bytes:
    """The attribute that sets this field of VfSettings."""
    if name == "mac":
        return _attribute(_IFLA_VF_MAC, _MAC.pack(number, bytes.fromhex(value.replace(":", ""))))
    if name == "vlan":
        protocol = next(one for one, called in _PROTOCOLS.items() if called == value.protocol)
        info = _VLAN_INFO.pack(number, value.id, value.qos, protocol.to_bytes(2, "big"))
        return _attribute(_IFLA_VF_VLAN_LIST, _attribute(_IFLA_VF_VLAN_INFO, info))
    return _attribute(_FLAGS[name], _FLAG.pack(number, value))


_FLAGS = {"trust": _IFLA_VF_TRUST, "spoofcheck": _IFLA_VF_SPOOFCHK}
