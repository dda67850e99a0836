"""What firmware finds of its machine: fw_cfg, tables that it places itself, clock, ids. And what hostile ones ask."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from launcher.kernel.api import MemoryPart
from launcher.kernel.fw_cfg import FwCfgItems
from launcher.kernel.memory import HostMemory
from launcher.machine.board import Told
from launcher.machine.start import Patch
from launcher.machine.x86 import acpi, platform, smbios, table_loader
from launcher.machine.x86.cmos import Cmos
from launcher.machine.x86.fw_cfg import FwCfg
from launcher.native import lib
from launcher.plan.steps import Topology
from launcher.values import GIB, MIB, PciAddress, Span, guest_uuid
from tests.budget import runs

SIZE, PIECE = 64 * 1024, 16 * 1024
ONE = Topology(1, 1, 1)
NOW = time.struct_time((2026, 11, 29, 14, 5, 9, 6, 333, 0))  # a Sunday


class Memory:
    """RAM from 0 on, in four pieces, and fw_cfg that has it."""

    def __init__(self, about: Told) -> None:
        self._pieces = [HostMemory(PIECE, 0, None) for _ in range(SIZE // PIECE)]
        parts = (MemoryPart(n * PIECE, PIECE, one.address, None, 0) for n, one in enumerate(self._pieces))
        self.items = FwCfgItems(tuple(parts))
        (self.fw_cfg,) = (one for one in platform.models(about, self.items) if isinstance(one, FwCfg))

    def read(self, guest: int, size: int) -> bytes:
        whole = b"".join(one.read(0, PIECE) for one in self._pieces)
        return whole[guest : guest + size]

    def write(self, guest: int, data: bytes) -> None:
        """A byte at a time, since it may lie in both."""
        for at, byte in enumerate(data, guest):
            self._pieces[at // PIECE].write(at % PIECE, bytes([byte]))

    def out(self, offset: int, data: bytes) -> bool:
        """What a guest writes to the ports, as the machine serves it. True: the model was asked about it."""
        asked = bool(lib.fw_cfg_write(self.items.pointer, offset, len(data), int.from_bytes(data, "little"), False))
        if asked:
            self.fw_cfg.write(offset, data)
        return asked


def told(**more: Any) -> Told:
    plain: dict[str, Any] = {
        "kind": "uefi",
        "topology": ONE,
        "window": None,
        "ram": (Span(0, GIB),),
        "reserved": (),
        "order": (),
        "bars": tuple,
        "now": lambda: NOW,
    }
    return Told(**plain | more)


def ask(memory: Memory, control: int, length: int, guest: int, request: int = 0x100) -> int:
    """A DMA request; its control word afterwards."""
    memory.write(request, struct.pack(">IIQ", control, length, guest))
    memory.out(4, (request >> 32).to_bytes(4, "big"))
    memory.out(8, (request & 0xFFFFFFFF).to_bytes(4, "big"))
    return int.from_bytes(memory.read(request, 4), "big")


def files(about: Told) -> dict[str, bytes]:
    """All there are, by DMA as firmware reads them."""
    memory = Memory(about)
    assert ask(memory, 0x19 << 16 | 8 | 2, 4, 0x200) == 0
    found = {}
    for _ in range(int.from_bytes(memory.read(0x200, 4), "big")):
        assert ask(memory, 2, 64, 0x200) == 0  # goes on where the last one ended, but for those in between
        size, key, _, name = struct.unpack(">IHH56s", memory.read(0x200, 64))
        found[name.rstrip(b"\0").decode()] = (size, key)
    contents = {}
    for name, (size, key) in found.items():
        assert ask(memory, key << 16 | 8 | 2, size, 0x1000) == 0
        contents[name] = memory.read(0x1000, size)
    return contents


def test_what_firmware_reads_by_port_and_by_dma_is_the_same() -> None:
    memory = Memory(told(topology=Topology(1, 3, 1)))
    read = memory.fw_cfg.read
    memory.out(0, struct.pack("<H", 0))
    assert bytes(read(1, 1) for _ in range(5)) == b"QEMU\0"
    assert read(4, 4).to_bytes(4, "little") == b"QEMU"
    assert read(8, 4).to_bytes(4, "little") == b" CFG"
    assert read(8, 8) == (1 << 64) - 1
    assert ask(memory, 5 << 16 | 8 | 2, 2, 0x200) == 0
    assert memory.read(0x200, 2) == b"\3\0"


def test_a_request_and_what_it_reads_may_lie_in_two_banks() -> None:
    memory = Memory(told())
    assert ask(memory, 8 | 2, 6, 2 * PIECE - 2, request=PIECE - 5) == 0
    assert memory.read(2 * PIECE - 2, 6) == b"QEMU\0\0"


@pytest.mark.parametrize(
    ("control", "length", "guest"),
    [(2, 4, 1 << 40), (2, 4, SIZE - 2), (2, 1 << 30, 0x200), (16, 4, 0x200), (4, 0xFFFFFFFF, 0), (2, 4, (1 << 64) - 2)],
    ids=["nowhere", "over the end", "endless", "a write", "an endless skip", "over the end of all addresses"],
)
def test_a_request_that_cannot_be_is_an_error_and_moves_nothing(control: int, length: int, guest: int) -> None:
    memory = Memory(told())
    before = memory.read(0x200, 64)
    assert ask(memory, control, length, guest) == 1
    assert memory.read(0x200, 64) == before
    assert ask(memory, 8 | 2, 4, 0x200) == 0
    assert memory.read(0x200, 4) == b"QEMU"


def test_a_request_that_is_in_no_ram_is_not_answered() -> None:
    memory = Memory(told())
    memory.out(4, b"\0\0\0\1")
    memory.out(8, b"\0\0\1\0")
    memory.out(8, (SIZE - 8).to_bytes(4, "big"))
    assert memory.read(0, SIZE) == bytes(SIZE)


def test_the_model_is_asked_about_nothing_but_what_is_made_when_firmware_selects_it() -> None:
    """Each DMA access is two writes, and firmware makes thousands."""
    memory = Memory(told(name="trainer", uuid=guest_uuid("trainer")))
    assert ask(memory, 0x19 << 16 | 8 | 2, 4, 0x200) == 0
    entries = int.from_bytes(memory.read(0x200, 4), "big")
    assert ask(memory, 2, 64 * entries, 0x200) == 0
    found = struct.iter_unpack(">IHH56s", memory.read(0x200, 64 * entries))
    asked = [name.rstrip(b"\0") for _, key, _, name in found if memory.out(0, key.to_bytes(2, "little"))]
    assert asked == [table_loader.TABLES.encode()]


def test_nothing_that_a_guest_writes_to_fw_cfg_raises() -> None:
    drawn, memory = random.Random(17), Memory(told(order=(PciAddress(0, 0, 2, 0),)))
    for _ in range(runs(2000)):
        memory.write(drawn.randrange(SIZE - 16), drawn.randbytes(16))
        offset, size = drawn.randrange(12), drawn.choice((1, 2, 4))
        address = drawn.choice((drawn.randrange(SIZE), drawn.randrange(1 << 32)))
        memory.out(*drawn.choice(((offset, drawn.randbytes(size)), (8, address.to_bytes(4, "big")))))
        assert 0 <= memory.fw_cfg.read(offset, size) < 1 << 8 * size


def test_there_are_no_more_items_than_fw_cfg_has_room_for() -> None:
    items = FwCfgItems(())
    items.put(lib.FW_CFG_ITEMS - 1, b"last")
    items.write(0, (lib.FW_CFG_ITEMS - 1).to_bytes(2, "little"))
    assert bytes(items.read(1, 1) for _ in range(5)) == b"last\0"
    for key in (lib.FW_CFG_ITEMS, 0xFFFF):
        items.write(0, key.to_bytes(2, "little"))
        assert items.read(1, 1) == 0
    with pytest.raises(ValueError, match="item 0x40"):
        items.put(lib.FW_CFG_ITEMS, b"")


def placed_by_firmware(found: dict[str, bytes], base: int) -> tuple[bytes, bytes]:
    """RSDP and tables, after its script has been carried out: the interpreter that firmware has."""
    images = {name: bytearray(found[name]) for name in (table_loader.RSDP, table_loader.TABLES)}
    script = found[table_loader.SCRIPT]
    for start in range(0, len(script), 128):
        (kind,), entry = struct.unpack_from("<I", script, start), script[start + 4 : start + 128]
        image = images[entry[:56].rstrip(b"\0").decode()]
        if kind == 2:
            assert entry[56:112].rstrip(b"\0").decode() == table_loader.TABLES
            offset, size = struct.unpack_from("<IB", entry, 112)
            value = int.from_bytes(image[offset : offset + size], "little") + base
            image[offset : offset + size] = value.to_bytes(size, "little")
        elif kind == 3:
            offset, first, length = struct.unpack_from("<III", entry, 56)
            image[offset] = -sum(image[first : first + length]) & 0xFF
    return bytes(images[table_loader.RSDP]), bytes(images[table_loader.TABLES])


@pytest.mark.parametrize("processors", [1, 64])
def test_tables_that_firmware_has_placed_are_those_that_a_kernel_gets(processors: int) -> None:
    topology, start = Topology(1, processors, 1), acpi.layout.ACPI_TABLES.start + 64
    window, bars = Span(32 * GIB, 32 * GIB), Span(GIB, acpi.layout.BARS_32.end - GIB)
    rsdp, tables = placed_by_firmware(files(told(topology=topology, window=window)), start)
    wanted = acpi.tables(topology, window, bars, timer=True)
    assert rsdp == wanted[0].data
    for one in wanted[1:]:
        assert tables[one.guest - start :][: len(one.data)] == one.data, one.data[:4]


def test_the_tables_say_where_firmware_has_put_the_bars_when_it_asks_for_them() -> None:
    """Their size stays: the directory has it before."""
    place: list[Span] = [Span(0xC0000000, MIB)]
    memory = Memory(told(bars=lambda: tuple(place)))
    before = dict(files(told()))[table_loader.TABLES]
    place += [Span(0x38_0000_0000, 256 * MIB), Span(0x38_4000_0000, 16 * MIB)]
    key = 0x20 + sorted(files(told())).index(table_loader.TABLES)
    assert ask(memory, key << 16 | 8 | 2, len(before), 0x1000) == 0
    after = memory.read(0x1000, len(before))
    assert struct.pack("<QQ", 0x38_0000_0000, 0x38_40FF_FFFF) in after
    assert struct.pack("<QQ", 0x38_0000_0000, 0x38_40FF_FFFF) not in before


def test_a_pm_timer_is_told_of_where_there_is_one() -> None:
    def fadt(patches: tuple[Patch, ...]) -> bytes:
        return next(one.data for one in patches if one.data[:4] == b"FACP")

    assert struct.unpack_from("<I", fadt(acpi.tables(ONE, None)), 76) == (0,)
    with_timer = fadt(acpi.tables(ONE, None, timer=True))
    assert struct.unpack_from("<I", with_timer, 76) == (0x608,)
    assert struct.unpack_from("<BBBBQ", with_timer, 208) == (1, 32, 0, 0, 0x608)


def test_firmware_is_told_of_ram_order_and_the_window_for_large_bars() -> None:
    ram = (Span(0, GIB), Span(GIB, 2 * GIB), Span(4 * GIB, GIB))  # of three banks
    order = (PciAddress(0, 0, 2, 0), PciAddress(0, 0, 0x12, 3))
    found = files(told(ram=ram, order=order, window=Span(64 * GIB, 40 * GIB)))
    entries = set(struct.iter_unpack("<QQI", found["etc/e820"]))
    assert {(0, 3 * GIB, 1), (4 * GIB, GIB, 1)} < entries
    assert found["bootorder"] == b"/pci@i0cf8/device@2\n/pci@i0cf8/device@12,3\0"
    assert found["opt/ovmf/X-PciMmio64Mb"] == b"40960"
    assert not {"bootorder", "opt/ovmf/X-PciMmio64Mb"} & files(told()).keys()


def test_a_vm_with_a_name_has_the_same_smbios_tables_as_one_that_starts_by_a_kernel() -> None:
    uuid = "01234567-89ab-4def-8123-456789abcdef"
    found = files(told(name="trainer", uuid=uuid))
    anchor, tables = smbios.patches("trainer", uuid)
    assert found["etc/smbios/smbios-tables"] == tables.data
    entry = bytearray(found["etc/smbios/smbios-anchor"])
    entry[5], entry[16:24] = 0, tables.guest.to_bytes(8, "little")  # as firmware does
    assert acpi.summed(bytes(entry), 5) == anchor.data
    assert not any(name.startswith("etc/smbios") for name in files(told()))


def clock(mode: int, registers: tuple[int, ...]) -> list[int]:
    model = Cmos(GIB, 0, lambda: NOW)
    for offset, value in ((0, 0x0B), (1, mode)):
        model.write(offset, bytes([value]))
    return [read(model)(register) for register in registers]


def read(model: Cmos) -> Callable[[int], int]:
    def one(register: int) -> int:
        model.write(0, bytes([register | 0x80]))  # NMIs off
        return model.read(1, 1)

    return one


def test_firmware_is_told_who_its_machine_is() -> None:
    """OvmfPkg's SmbiosPlatformDxe and SeaBIOS take the tables where their size is what the entry point says."""
    uuid = guest_uuid("trainer")
    found = files(told(name="trainer", uuid=uuid))
    anchor, tables = found["etc/smbios/smbios-anchor"], found["etc/smbios/smbios-tables"]
    assert tables == smbios.tables("trainer", uuid)
    assert (len(anchor), anchor[:5], struct.unpack_from("<I", anchor, 12)[0]) == (24, b"_SM3_", len(tables))
    assert not any(name.startswith("etc/smbios") for name in files(told()))


def test_the_clock_is_the_hosts_in_the_form_that_the_guest_has_chosen() -> None:
    registers = (0, 2, 4, 6, 7, 8, 9, 0x32)
    assert clock(0x02, registers) == [0x09, 0x05, 0x14, 1, 0x29, 0x11, 0x26, 0x20]
    assert clock(0x06, registers) == [9, 5, 14, 1, 29, 11, 26, 20]
    assert clock(0x00, (4,)) == [0x80 | 0x02]


def test_the_clocks_bytes_are_kept_and_its_time_is_not_set() -> None:
    model = Cmos(3 * GIB, 5 * GIB, lambda: NOW)
    look = read(model)
    for register, value in ((4, 7), (0x0D, 0), (0x0F, 0x5A)):
        model.write(0, bytes([register]))
        model.write(1, bytes([value]))
    assert [look(4), look(0x0D), look(0x0F)] == [0x14, 0x80, 0x5A]
    assert look(0x34) | look(0x35) << 8 == (3 * GIB - 16 * MIB) >> 16
    assert look(0x5B) | look(0x5C) << 8 | look(0x5D) << 16 == 5 * GIB >> 16
    assert [model.read(0, 1), model.read(1, 2)] == [0xFF, 0xFFFF]


def test_the_chipset_is_what_firmware_looks_for() -> None:
    ids = {slot: struct.unpack_from("<HH", image) for slot, image in platform.FUNCTIONS.items()}
    assert ids == {0: (0x8086, 0x1237), 8: (0x8086, 0x7000), 11: (0x8086, 0x7113)}
    assert (platform.FUNCTIONS[8][0x04], platform.FUNCTIONS[8][0x0E]) == (0x07, 0x80)
    assert struct.unpack_from("<I", platform.FUNCTIONS[11], 0x40) == (0x601,)
    assert all(len(image) == 4096 for image in platform.FUNCTIONS.values())
    code = bytes(128 * 1024) + b"tail" * 32 * 1024
    assert platform.shadow("bios", code) == (Patch(0xE0000, b"tail" * 32 * 1024),)
    assert platform.shadow("uefi", code) == ()
