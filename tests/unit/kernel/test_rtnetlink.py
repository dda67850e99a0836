"""What the kernel says of virtual functions: answers as rtnl_fill_vfinfo lays them out, and those of this kernel."""

from __future__ import annotations

import errno
import random
import struct
from contextlib import suppress

import pytest

from launcher.kernel.rtnetlink import check_done, functions_in, virtual_functions
from launcher.values import NO_MAC, VfSettings, Vlan


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def function(number: int, mac: str, trust: int = -1, spoof: int = 1, *vlans: bytes) -> bytes:
    """The attributes of one as the kernel sends them; without a list of VLANs it is older than 4.9."""
    address = struct.pack("=I32s", number, bytes.fromhex(mac.replace(":", "")))
    flags = [attribute(kind, struct.pack("=Ii", number, value)) for kind, value in ((9, trust), (4, spoof))]
    old = attribute(2, struct.pack("=III", number, 100, 3))
    return attribute(
        1, attribute(1, address) + old + b"".join(flags) + (attribute(12, b"".join(vlans)) if vlans else b"")
    )


def vlan(number: int, qos: int, protocol: bytes) -> bytes:
    return attribute(1, struct.pack("=III2sxx", 0, number, qos, protocol))


def answer(*functions: bytes, kind: int = 16) -> bytes:
    name = attribute(3, b"eth0\0")
    body = bytes(16) + name + attribute(21, struct.pack("=I", len(functions)))
    body += attribute(22, b"".join(functions)) if functions else b""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def test_each_function_comes_with_the_mac_that_it_is_given() -> None:
    found = functions_in(answer(function(0, NO_MAC), function(1, "52:54:00:aa:00:02")))
    assert [(one.number, one.settings.mac) for one in found] == [(0, NO_MAC), (1, "52:54:00:aa:00:02")]


@pytest.mark.parametrize(
    ("vlans", "vlan_"),
    [((), Vlan(100, 3)), ((vlan(7, 0, b"\x81\x00"),), Vlan(7)), ((vlan(7, 2, b"\x88\xa8"),), Vlan(7, 2, "802.1ad")),
     ((vlan(0, 0, b"\0\0"),), Vlan(0)), ((vlan(0, 0, b"\x88\xa8"),), Vlan(0)),
     ((vlan(7, 0, b"\x12\x34"),), None), ((vlan(5000, 0, b"\x81\x00"),), None), ((vlan(7, 9, b"\x81\x00"),), None)],
)  # fmt: skip
def test_a_vlan_is_one_that_can_be_set_again_or_not_known(vlans: tuple[bytes, ...], vlan_: Vlan | None) -> None:
    (found,) = functions_in(answer(function(0, NO_MAC, 0, 0, *vlans)))
    assert found.settings == VfSettings(NO_MAC, vlan_, trust=False, spoofcheck=False)


@pytest.mark.parametrize(("said", "meant"), [(-1, None), (0, False), (1, True), (7, None)])
def test_what_a_driver_does_not_know_is_none(said: int, meant: bool | None) -> None:
    (found,) = functions_in(answer(function(0, NO_MAC, said, said)))
    assert (found.settings.trust, found.settings.spoofcheck) == (meant, meant)


def test_an_interface_whose_driver_says_nothing_has_none() -> None:
    assert list(functions_in(answer())) == []


def test_the_nested_bit_of_a_type_is_no_part_of_it() -> None:
    plain = answer(function(0, NO_MAC))
    at = plain.index(attribute(22, function(0, NO_MAC)))
    marked = plain[: at + 2] + struct.pack("=H", 22 | 0x8000) + plain[at + 4 :]
    assert list(functions_in(marked)) == list(functions_in(plain)) != []


def test_an_errno_of_the_kernel_is_raised() -> None:
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EOPNOTSUPP) + bytes(16)
    with pytest.raises(OSError, match="RTM_GETLINK") as caught:
        list(functions_in(refusal))
    assert caught.value.errno == errno.EOPNOTSUPP


def test_what_is_no_answer_to_a_change_is_refused() -> None:
    check_done(struct.pack("=IHHIIi", 36, 2, 0, 1, 0, 0) + bytes(16))
    for odd in (b"", answer(), struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EPERM)):
        with pytest.raises(OSError, match="RTM_SETLINK"):
            check_done(odd)


def test_a_damaged_answer_is_refused_or_read_within_its_bounds() -> None:
    whole, drawn = (
        answer(function(0, NO_MAC, 1, 0, vlan(7, 0, b"\x81\x00")), function(1, "52:54:00:aa:00:02")),
        random.Random(1),
    )
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
