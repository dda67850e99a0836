"""SMBIOS tables, read back as DSP0134 has them: who the machine is, and where a guest finds it."""

from __future__ import annotations

import struct
from itertools import pairwise
from uuid import UUID

import pytest

from launcher.machine.boards import board_of
from launcher.machine.x86 import layout, mptable, smbios
from launcher.plan.steps import DescribeMachine, Topology
from launcher.values import guest_uuid

NAME = "trainer"
ID = guest_uuid(NAME)


def structures(data: bytes) -> dict[int, tuple[bytes, list[str]]]:
    found = {}
    while data:
        kind, length = data[0], data[1]
        texts, _, rest = data[length:].partition(b"\0\0")
        found[kind] = (data[:length], texts.decode().split("\0"))
        data = rest.lstrip(b"\0") if kind == smbios.END else rest
    return found


def test_the_entry_point_leads_to_the_tables() -> None:
    anchor, made = smbios.patches(NAME, ID)
    assert anchor.guest % 16 == 0
    assert 0xF0000 <= anchor.guest < 0x100000
    sign, _, length, major, _, _, revision, _, size, address = struct.unpack("<5sBBBBBBBIQ", anchor.data)
    assert (sign, length, major, revision) == (b"_SM3_", len(anchor.data), 3, 1)
    assert sum(anchor.data) % 256 == 0
    assert (size, address) == (len(made.data), made.guest)


def test_the_system_has_the_name_as_its_serial_number_and_a_uuid_of_it() -> None:
    found = structures(smbios.patches(NAME, ID)[1].data)
    assert list(found) == [0, 1, 3, 127]
    fields, texts = found[smbios.SYSTEM]
    maker, _, _, serial = (texts[number - 1] for number in fields[4:8])
    assert (maker, serial) == (smbios.MAKER, NAME)
    assert str(UUID(bytes_le=fields[8:24])) == ID
    assert {kind: len(fields) for kind, (fields, _) in found.items()} == {0: 24, 1: 27, 3: 22, 127: 4}


def test_they_are_in_nobodys_way() -> None:
    spans = [(one.guest, one.guest + len(one.data)) for one in smbios.patches("n" * 63, ID)]
    spans += [(one.guest, one.guest + len(one.data)) for one in mptable.mp_table(Topology(1, 255, 1))]
    ordered = sorted(spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(ordered))
    assert layout.LAYOUT.tables.end == 0x100000
    assert board_of("x86_64").identity("", "") == ()


@pytest.mark.parametrize(("name", "uuid"), [("a/b", ID), (NAME, "x"), ("", ID), (NAME, "")])
def test_a_name_or_a_uuid_that_is_none_is_in_no_plan(name: str, uuid: str) -> None:
    with pytest.raises(ValueError, match="is none"):
        DescribeMachine(1, None, name=name, uuid=uuid)
