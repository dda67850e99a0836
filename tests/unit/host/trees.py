"""Recorded trees for the tests of the host: a PCI function with its files, a configuration space with its parts."""

from __future__ import annotations

import struct

from launcher.host.facts import PciFunction
from launcher.host.pci import read_pci
from launcher.host.tree import Recorded, Status, Tree
from launcher.host.uses import NOTHING, Used

DEVICES = "/sys/bus/pci/devices"
ADDRESS = "0000:01:00.0"
PCI = f"{DEVICES}/{ADDRESS}"


def tree(
    texts: dict[str, str] | None = None,
    links: dict[str, str] | None = None,
    *,
    denied: frozenset[str] = frozenset(),
    blobs: dict[str, bytes] | None = None,
    nodes: dict[str, Status] | None = None,
) -> Recorded:
    """A machine with one function, 0000:01:00.0 below the port 0000:00:02.0."""
    own = {f"{PCI}/uevent": "PCI_CLASS=10802\nPCI_ID=144D:A809\n"}
    above = {PCI: f"../../../devices/pci0000:00/0000:00:02.0/{ADDRESS}"}
    return Recorded(own | (texts or {}), above | (links or {}), denied, blobs or {}, nodes or {})


def functions(machine: Tree, used: Used = NOTHING, *, deep: bool = False, raw: bool = False) -> tuple[PciFunction, ...]:
    found = read_pci(machine, used, deep=deep, raw=raw)
    assert found.gone == ()
    return found.there


def function(blob: bytes | None = None, **files: str) -> Recorded:
    """Its files by name, `config` as bytes."""
    blobs = {} if blob is None else {f"{PCI}/config": blob}
    return tree({f"{PCI}/{name}": text for name, text in files.items()}, blobs=blobs)


def config(
    *capabilities: tuple[int, bytes],
    extended: tuple[tuple[int, bytes], ...] = (),
    bars: tuple[int, ...] = (),
    header: int = 0,
    pin: int = 1,
    size: int = 4096,
) -> bytes:
    """Capabilities are (id, the bytes behind id and next)."""
    space = bytearray(size)
    space[0:4] = bytes.fromhex("4d1409a8")
    space[0x0E], space[0x3D] = header, pin
    struct.pack_into(f"<{len(bars)}I", space, 0x10, *bars)
    if capabilities:
        space[6], space[0x34] = 0x10, 0x40
    place = 0x40
    for number, (name, body) in enumerate(capabilities, 1):
        end = place + 2 + len(body)
        following = -(-end // 4) * 4
        space[place:end] = bytes((name, following if number < len(capabilities) else 0)) + body
        place = following
    place = 0x100
    for number, (name, body) in enumerate(extended, 1):
        end = place + 4 + len(body)
        head = name | 1 << 16 | (end if number < len(extended) else 0) << 20
        space[place:end] = struct.pack("<I", head) + body
        place = end
    return bytes(space)
