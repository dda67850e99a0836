"""A host, its kernel and busybox -> the initramfs that finds the machine's files. Written as cpio, by hand."""

from __future__ import annotations

import lzma
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePath

from tests.lab.firmware import tables
from tests.lab.hosts import Host
from tests.lab.pieces import Kernel

INIT = Path(__file__).parent / "init.sh"

# What the init script needs first, then what the tests need. Dependencies come by themselves.
MODULES = """
    virtio_pci 9pnet_virtio 9p overlay
    kvm_amd vfio_pci vfio_iommu_type1 pci_stub
    nvme e1000 e1000e 8139too 8139cp virtio_net ahci xhci_pci pcnet32 ne2k_pci
""".split()  # noqa: SIM905


def initramfs(host: Host, kernel: Kernel, busybox: Path) -> bytes:
    """ACPI tables stand at the place for those that replace the firmware's (the kernel's initrd_table_override.rst)."""
    files = {f"kernel/firmware/acpi/{name}.aml": table for name, table in tables(host).items()}
    files |= {"bin/busybox": busybox.read_bytes(), "init": INIT.read_bytes(), "settings": _settings(host, kernel)}
    return archive(files | modules(kernel, MODULES))


def modules(kernel: Kernel, names: list[str]) -> dict[str, bytes]:
    """/modules with all of them that the kernel has, and in `order` the order in which they are to be inserted."""
    files: dict[str, bytes] = {}
    order = []
    for number, path in enumerate(_in_order(kernel.modules, names) if kernel.modules else ()):
        order.append(f"{number:02}-{path.name.split('.')[0]}.ko")
        files[f"modules/{order[-1]}"] = _plain(path)
    return files | {"modules/order": "\n".join(order).encode()}


def _settings(host: Host, kernel: Kernel) -> bytes:
    """What the init script reads: variables of the shell."""
    found = {"name": host.name}
    if kernel.modules:
        found |= {"modules": str(kernel.modules), "boot": str(kernel.image.parent)}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in found.items()).encode()


def archive(files: dict[str, bytes]) -> bytes:
    """All files may be run; their folders come before them, and before folders in them."""
    folders = sorted({str(folder) for name in files for folder in PurePath(name).parents if str(folder) != "."})
    entries = [_entry(name, 0o040755) for name in folders]
    entries += [_entry(name, 0o100755, content) for name, content in files.items()]
    return b"".join([*entries, _entry("TRAILER!!!", 0)])


def _entry(name: str, mode: int, content: bytes = b"") -> bytes:
    """One file in the format `newc` (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    inode, owner, group, links, modified, device, check = 0, 0, 0, 1, 0, (0, 0, 0, 0), 0
    numbers = (inode, mode, owner, group, links, modified, len(content), *device, len(name) + 1, check)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _in_order(modules: Path, names: list[str]) -> Iterator[Path]:
    """Their files, each after those that it depends on. What is built in, or is not there, is left out."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[name] = others.split()
    by_name = {_name(path): path for path in needs}
    wanted = [by_name[name] for name in names if name in by_name]
    order: dict[str, None] = {}  # a set that keeps its order
    for one in wanted:
        order |= dict.fromkeys([*reversed(needs[one]), one])
    return (modules / path for path in order)


def _name(path: str) -> str:
    """kernel/fs/9p/9p.ko.xz -> 9p; modules answer to - and _ alike."""
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def _plain(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    return path.read_bytes()
