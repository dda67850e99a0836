"""What the kernel says of virtual functions: answers as rtnl_fill_vfinfo lays them out, and those of this kernel."""

from __future__ import annotations

import errno
import random
import struct
from contextlib import suppress

import pytest

from launcher.kernel.rtnetlink import NO_MAC, VirtualFunction, functions_in, virtual_functions


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def function(number: int, mac: str) -> bytes:
    """Of the attributes of a function that the kernel sends, the MAC is the first one; a VLAN stands for the rest."""
    address = attribute(1, struct.pack("=I32s", number, bytes.fromhex(mac.replace(":", ""))))
    return attribute(1, address + attribute(2, struct.pack("=III", number, 100, 0)))


def answer(*functions: bytes, kind: int = 16) -> bytes:
    name = attribute(3, b"eth0\0")
    body = bytes(16) + name + attribute(21, struct.pack("=I", len(functions)))
    body += attribute(22, b"".join(functions)) if functions else b""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def test_each_function_comes_with_the_mac_that_it_is_given() -> None:
    found = functions_in(answer(function(0, NO_MAC), function(1, "52:54:00:aa:00:02")))
    assert list(found) == [VirtualFunction(0, NO_MAC), VirtualFunction(1, "52:54:00:aa:00:02")]


def test_an_interface_whose_driver_says_nothing_has_none() -> None:
    assert list(functions_in(answer())) == []


def test_the_nested_bit_of_a_type_is_no_part_of_it() -> None:
    plain = answer(function(0, NO_MAC))
    at = plain.index(attribute(22, function(0, NO_MAC)))
    assert list(functions_in(plain[: at + 2] + struct.pack("=H", 22 | 0x8000) + plain[at + 4 :])) == [
        VirtualFunction(0, NO_MAC)
    ]


def test_an_errno_of_the_kernel_is_raised() -> None:
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EOPNOTSUPP) + bytes(16)
    with pytest.raises(OSError, match="RTM_GETLINK") as caught:
        list(functions_in(refusal))
    assert caught.value.errno == errno.EOPNOTSUPP


def test_a_damaged_answer_is_refused_or_read_within_its_bounds() -> None:
    whole, drawn = answer(function(0, NO_MAC), function(1, "52:54:00:aa:00:02")), random.Random(1)
    for _ in range(5000):
        damaged = bytearray(whole[: drawn.randrange(len(whole) + 1)])
        for _ in range(drawn.randrange(4)):
            if damaged:
                damaged[drawn.randrange(len(damaged))] = drawn.randrange(256)
        with suppress(OSError):
            assert len(list(functions_in(bytes(damaged)))) <= len(whole) // 4


def test_this_kernel_answers_of_an_interface_without_virtual_functions() -> None:
    assert virtual_functions("lo") == ()
    with pytest.raises(OSError, match="interface"):
        virtual_functions("none-such")
