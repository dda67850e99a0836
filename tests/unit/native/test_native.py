"""The C floor as Python sees it: the stub names what is there, hostile tables are refused."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

from launcher import native
from launcher.native import ffi, lib


def test_the_stub_names_exactly_what_the_module_has() -> None:
    stub = ast.parse(Path(native.__file__).with_name("_native.pyi").read_text())
    library = next(node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == "Lib")
    named = {node.name for node in library.body if isinstance(node, ast.FunctionDef)}
    named |= {
        node.target.id for node in library.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert named == set(dir(lib))


def test_traps_that_overlap_or_are_not_sorted_are_refused() -> None:
    machine = lib.machine_create(-1, 4, 9)
    traps = ffi.new("struct trap[]", [(0x10, 8, 0, -1, lib.TRAP_SERIAL), (0x14, 8, 0, -1, lib.TRAP_POWER)])
    assert lib.machine_set_ports(machine, traps, 2) == -errno.EINVAL
    assert lib.machine_set_ports(machine, traps, 1) == 0
    assert lib.machine_set_ports(machine, traps, 100_000) == -errno.E2BIG
    lib.machine_destroy(machine)


def test_memory_that_cannot_be_had_is_an_errno() -> None:
    made = ffi.new("void **")
    assert lib.memory_take(1 << 60, 0, -1, made) == -errno.ENOMEM
    assert lib.memory_take(1 << 62, 1 << 30, -1, made) == -errno.ENOMEM
    assert lib.memory_take(1 << 20, 0, 5000, made) == -errno.EINVAL


def test_a_ring_needs_room_for_its_header_and_a_page() -> None:
    assert lib.ring_create(ffi.new("struct ring *"), ffi.new("uint8_t[]", 64), 64) == -errno.EINVAL
