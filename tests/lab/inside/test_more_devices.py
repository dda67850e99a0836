"""Devices that a payload of ours drives register by register, and devices that are special in how the host has them."""

from __future__ import annotations

import fcntl
import json
import mmap
import re
import struct
import subprocess
import termios
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.inside.passing import (
    E1000E,
    EDU,
    GUEST,
    NVME,
    PCI,
    SATA,
    SHARED_MEMORY,
    USB,
    bindings,
    boot,
    comes,
    interrupts,
)

pytestmark = pytest.mark.usefixtures("host_as_before")

GIBIBYTE = 1 << 30


def words(out: str) -> dict[int, int]:
    """What the program said of each offset, last."""
    said = re.findall(r"word (?:0x)?([0-9a-f]+) is ([0-9a-f]{8})", out)
    return {int(where, 16): int(word, 16) for where, word in said}


@pytest.mark.short
@pytest.mark.host("zoo", "iommufd")
def test_registers_dma_and_both_kinds_of_interrupt_of_one_device(cli: Cli, payload: Callable[[str], Path]) -> None:
    """What it reads and writes beyond the VM's RAM reaches the IOMMU and nothing else."""
    spec = cli.spec(payload("edu"), memory="64MiB", devices={"edu": {"pci": EDU, "allow": ["no-reset"]}})
    done = cli.run("up", spec)
    assert [line for line in done.out.splitlines() if line.startswith("edu: ")] == [
        "edu: registers ok",
        "edu: dma ok",
        "edu: dma beyond ram brings nothing",
        "edu: intx 2 of one raise",
        "edu: intx 3",
        "edu: msi 2",
        "edu: msi 3 from dma",
        "edu: intx 4 after msi",
    ], done.out + done.err
    assert done.code == 0, done.err
    kernel = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    faults = [line for line in kernel.splitlines() if f"Request device [{EDU[5:]}] fault addr 0x8000000" in line]
    assert any("DMA Read" in line for line in faults), kernel
    assert any("DMA Write" in line for line in faults), kernel


@pytest.mark.host("zoo", "iommufd")
def test_host_and_guest_see_the_same_words_in_a_large_bar(cli: Cli, initrd: Path) -> None:
    """The host's word is at the start, the guest's are in the middle and at the end."""
    middle, end = GIBIBYTE // 2 + 0x1000, GIBIBYTE - 4
    (PCI / SHARED_MEMORY / "enable").write_text("1")
    try:
        with (PCI / SHARED_MEMORY / "resource2").open("r+b") as file, mmap.mmap(file.fileno(), GIBIBYTE) as memory:
            memory[:4] = struct.pack("<I", 0xC0FFEE01)
        write = f"words {GUEST}/resource2 {middle:#x} 0x12345678; words {GUEST}/resource2 {end:#x} 0x9abcdef0"
        done = boot(
            cli,
            initrd,
            {"shared": {"pci": SHARED_MEMORY, "allow": ["no-reset"]}},
            f"echo 1 > {GUEST}/enable; words {GUEST}/resource2 0; {write}",
        )
        assert words(done.out) == {0: 0xC0FFEE01, middle: 0x12345678, end: 0x9ABCDEF0}, done.out + done.err
        with (PCI / SHARED_MEMORY / "resource2").open("r+b") as file, mmap.mmap(file.fileno(), GIBIBYTE) as memory:
            found = [struct.unpack("<I", memory[place : place + 4])[0] for place in (0, middle, end)]
        assert found == [0xC0FFEE01, 0x12345678, 0x9ABCDEF0]
    finally:
        (PCI / SHARED_MEMORY / "enable").write_text("0")


@pytest.mark.host("virtual-functions")
def test_a_virtual_function_is_a_controller_of_its_own_in_the_guest(cli: Cli, initrd: Path) -> None:
    """Its drive has no namespace, so it is asked who it is."""
    _give_resources_to_virtual_functions(1)
    look = "lspci; cd /sys/class/nvme/nvme0; grep . serial cntlid state; grep nvme /proc/interrupts"
    done = boot(cli, initrd, {"vf": {"pci": NVME, "vf": 0}}, look)
    assert "00:10.0 Class 0108: 1b36:0010 nvme" in done.out, done.out + done.err
    assert re.findall(r"^(serial|cntlid|state):(\S+)", done.out, re.MULTILINE) == [
        ("serial", "lab-nvme"),
        ("cntlid", "1"),  # the drive itself is 0
        ("state", "live"),
    ], done.out
    assert re.search(r"MSI.*nvme0q0", done.out), done.out


@pytest.mark.host("virtual-functions")
def test_two_virtual_functions_are_both_reset_at_the_end(cli: Cli, initrd: Path) -> None:
    """Linux 6.12.117 leaves one as its guest had it when both are closed at one moment; that of the host may not."""
    _give_resources_to_virtual_functions(2)
    devices = {f"vf{n}": {"pci": NVME, "vf": n} for n in range(2)}
    done = boot(cli, initrd, devices, "grep . /sys/class/nvme/*/state")
    assert len(re.findall(r"^/sys\S+:live", done.out, re.MULTILINE)) == 2, done.out + done.err
    assert [_configuration(PCI / NVME / f"virtfn{n}") for n in range(2)] == [0, 0]


def _configuration(function: Path) -> int:
    """CC (NVM Express 1.4, 3.1.5), which the guest's driver has written."""
    with (function / "resource0").open("r+b") as file, mmap.mmap(file.fileno(), 4096) as bar:
        return int.from_bytes(bar[0x14:0x18], "little")


def _give_resources_to_virtual_functions(count: int) -> None:
    """QEMU's docs/system/devices/nvme.rst: the drive gives away queues and interrupts, and is reset for it."""
    physical = PCI / NVME
    (physical / "sriov_numvfs").write_text("0")
    release, assign, online, queues, vectors = 1, 8, 9, 0, 1
    _manage(0, queues, release, 0)
    _manage(0, vectors, release, 0)
    (physical / "reset").write_text("1")
    (physical / "sriov_numvfs").write_text("2")
    for controller in range(1, count + 1):
        _manage(controller, vectors, assign, 1)
        _manage(controller, queues, assign, 2)
        _manage(controller, queues, online, 0)


def _manage(controller: int, resource: int, act: int, count: int) -> None:
    """The admin command Virtualization Management by NVME_IOCTL_ADMIN_CMD."""
    command = [0] * 18
    command[0], command[10], command[11] = 0x1C, controller << 16 | resource << 8 | act, count
    (node,) = (PCI / NVME / "nvme").iterdir()
    with Path("/dev", node.name).open("r+b", buffering=0) as file:
        assert fcntl.ioctl(file, 0xC0484E41, bytearray(struct.pack("<18I", *command))) == 0


@pytest.mark.host("shared")
def test_two_functions_of_one_slot_are_two_functions_of_one_slot_in_the_guest(cli: Cli, initrd: Path) -> None:
    write = "dd if=/dev/urandom of=/dev/nvme0n1 bs=64k count=4 2>/dev/null; sync; grep nvme0q1 /proc/interrupts"
    done = boot(cli, initrd, {"nic": NVME, "disk": "0000:01:00.1"}, f"lspci; {write}; ls {GUEST}/net")
    slot = [line.strip() for line in done.out.splitlines() if line.startswith("00:10.")]
    assert slot == ["00:10.0 Class 0200: 8086:10d3 e1000e", "00:10.1 Class 0108: 1b36:0010 nvme"], done.out
    assert interrupts(done.out, "nvme0q1") > 0
    assert "eth0" in done.out


@pytest.mark.host("plain")
def test_a_controller_on_the_board_is_lent_with_its_group(cli: Cli, initrd: Path) -> None:
    """SATA, SMBus and the ISA bridge are one group, whose reserved region is `direct-relaxable` from 0 to 16 MiB."""
    assert bindings()[SATA][0] == "ahci"
    device = {"pci": SATA, "companions": "detach", "allow": ["no-reset", "in-use"]}
    version = f"echo 1 > {GUEST}/enable; words {GUEST}/resource5 0x10"
    done = boot(cli, initrd, {"sata": device}, f"lspci; {version}")
    assert "00:10.0 Class 0106: 8086:2922" in done.out, done.out + done.err
    assert words(done.out) == {0x10: 0x00010000}  # AHCI 1.0


@pytest.mark.host("zoo", "iommufd")
def test_a_device_that_the_host_wants_back_is_given_back(cli: Cli, payload: Callable[[str], Path]) -> None:
    """Who unbinds it waits in the kernel; the VM is asked to power off meanwhile."""
    up = cli.start("up", cli.spec(payload("button"), memory="64MiB", devices={"disk": NVME}))
    assert up.stdout is not None
    while "!" not in (line := up.stdout.readline(1)):
        assert line
    unbind = f"echo {NVME} > {PCI}/{NVME}/driver/unbind"
    with subprocess.Popen(["sh", "-c", unbind], stderr=subprocess.PIPE, text=True) as wanting:
        out, err = up.communicate(timeout=PATIENCE)
        _, complaint = wanting.communicate(timeout=PATIENCE)
    assert (wanting.returncode, complaint) == (0, "")
    assert up.returncode == 0, out + err
    assert "W526" in err, err
    assert "the host wants disk back" in err
    assert "undone" not in err.partition("warning")[0], err


@pytest.mark.long
@pytest.mark.host("zoo", "iommufd")
@pytest.mark.parametrize("others", [{}, {"disk": NVME, "nic": E1000E}], ids=["alone", "of three"])
def test_a_device_that_is_pulled_out_is_given_up(
    cli: Cli, payload: Callable[[str], Path], others: dict[str, str]
) -> None:
    """QEMU's device_del: ACPI asks the kernel, which waits for the VM. What is plugged in again is the host's, and so
    is what was not pulled out."""
    up = cli.start("up", cli.spec(payload("button"), memory="64MiB", devices={"usb": USB, **others}))
    assert up.stdout is not None
    while "!" not in (line := up.stdout.readline(1)):
        assert line
    monitor("device_del usb")
    out, err = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "W526" in err, err
    assert "the host wants usb back" in err
    assert "undone" not in err.partition("warning")[0], err
    assert comes(lambda: not (PCI / USB).exists())
    monitor("device_add qemu-xhci,id=usb,bus=usb-port")
    assert comes((PCI / USB / "driver").exists)


def monitor(order: str) -> None:
    """To QEMU, which is to have nothing to say to it.

    A port that is opened for the first time echoes: QEMU has its own greeting as an order then, and its answer to that,
    until the echo is off. 0xff ends whatever of it has come (docs/interop/qmp-spec).
    """
    orders: tuple[dict[str, object], ...] = (
        {"execute": "qmp_capabilities"},
        {"execute": "human-monitor-command", "arguments": {"command-line": order}, "id": order},
    )
    with Path("/dev/ttyS1").open("r+b", buffering=0) as port:
        tty.setraw(port, termios.TCSANOW)
        port.write(b"\xff" + "".join(map(json.dumps, orders)).encode())
        said = b""
        while not (answer := re.search(rf'{{"return": "(.*)", "id": "{order}"}}'.encode(), said)):
            said += port.read(1 << 12)
    assert not answer[1], said
