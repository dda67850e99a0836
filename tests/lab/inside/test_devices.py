"""Real devices in a Linux guest: what it sees of them, what it reads and writes, and what is left on the host."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests import speed
from tests.conftest import EXAMPLES, PATIENCE, Cli, processes_of
from tests.lab.inside.passing import (
    BEHIND_BRIDGE,
    E1000E,
    EDU,
    MOUNT,
    NVME,
    PCI,
    PEER,
    RTL8139,
    SHARED_MEMORY,
    TALKS,
    boot,
    card,
    comes,
    interrupts,
    order,
    received,
    start,
    until,
)

pytestmark = pytest.mark.usefixtures("host_as_before")

MSIX, PAGE = 0x11, 4096
READ = "dd if=/dev/nvme0n1 of=/dev/null bs=4k iflag=direct"
BOOTS = 6 if os.environ.get("VMLAUNCH_LONG") else 3


@pytest.mark.short
@pytest.mark.host("zoo", "amd", "iommufd", "compat")
def test_a_file_on_an_nvme_drive_is_what_the_guest_wrote(cli: Cli, initrd: Path, tmp_path: Path, host: Any) -> None:
    address = "0000:00:02.0" if host.name == "amd" else NVME
    write = "dd if=/dev/urandom of=/mnt/file bs=64k count=64 2>/dev/null; sync; echo 3 > /proc/sys/vm/drop_caches"
    look = "sha256sum /mnt/file; umount /mnt; grep nvme /proc/interrupts; lspci"
    done = boot(cli, initrd, {"disk": address}, f"{MOUNT}; {write}; {look}")
    told = re.findall(r"^([0-9a-f]{64})  /mnt/file", done.out, re.MULTILINE)
    assert told, done.out
    assert interrupts(done.out, "nvme0q1") > 2
    assert "MSI" in done.out
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(["modprobe", "-qa", "crc32c_generic", "ext4"], check=False)  # built into some kernels
    drive = Path("/dev/nvme0n1")
    assert comes(drive.is_block_device)
    subprocess.run(["mount", "-o", "ro", "/dev/nvme0n1", mount], check=True)
    try:
        assert hashlib.sha256((mount / "file").read_bytes()).hexdigest() == told[0]
    finally:
        subprocess.run(["umount", mount], check=True)


EXPRESS, ENDPOINT, INTEGRATED = 0x10, 0, 9
DUMP = "hexdump -v -e '1/1 \"%02x\"' /sys/bus/pci/devices/0000:00:10.0/config; echo"


@pytest.mark.host("zoo", "iommufd", "compat")
def test_an_endpoint_of_the_host_is_integrated_in_the_guest_and_has_no_link(cli: Cli, initrd: Path) -> None:
    before = (PCI / NVME / "config").read_bytes()
    kind, link = express(before)
    assert (kind, any(link)) == (ENDPOINT, True)
    done = boot(
        cli, initrd, {"disk": NVME}, f"{DUMP}; cat /sys/bus/pci/devices/0000:00:10.0/current_link_speed; {READ} count=8"
    )
    (dump,) = re.findall(r"^([0-9a-f]{512,8192})\r?$", done.out, re.MULTILINE)
    assert express(bytes.fromhex(dump)) == (INTEGRATED, bytes(8)), done.out
    assert re.search(r"^Unknown", done.out, re.MULTILINE), done.out
    assert "8+0 records in" in done.out


def express(config: bytes) -> tuple[int, bytes]:
    """The type of a PCI Express function, and its link registers."""
    offset = config[0x34]
    while config[offset] != EXPRESS:
        offset = config[offset + 1]
    return config[offset + 2] >> 4, config[offset + 0x0C : offset + 0x14]


@pytest.mark.host("zoo", "iommufd", "compat")
@pytest.mark.parametrize(("mode", "word"), [("2", "PCI-MSI"), ("0", "IO-APIC")])
@pytest.mark.usefixtures("peer")
def test_packets_are_answered_with_each_kind_of_interrupt(cli: Cli, initrd: Path, mode: str, word: str) -> None:
    """Mode 1, MSI, is left out: QEMU's e1000e fails its driver's test of MSI on any machine."""
    look = "grep $card /proc/interrupts"
    done = boot(
        cli,
        initrd,
        {"nic": E1000E},
        f"rmmod e1000e; insmod /modules/*e1000e.ko IntMode={mode}; {card('00:10.0')}; {TALKS}; {look}",
    )
    assert received(done.out) >= 18, done.out + done.err
    assert word in done.out
    assert interrupts(done.out, word) > 10


@pytest.mark.host("zoo", "iommufd", "compat")
@pytest.mark.usefixtures("peer")
def test_a_card_with_a_small_bar_ports_and_intx_works(cli: Cli, initrd: Path) -> None:
    done = boot(
        cli,
        initrd,
        {"nic": {"pci": RTL8139, "allow": ["no-reset"]}},
        f"{card('00:10.0')}; {TALKS}; cat /proc/interrupts",
    )
    assert received(done.out) >= 18, done.out + done.err
    assert interrupts(done.out, "IO-APIC") > 10


@pytest.mark.host("zoo", "iommufd", "compat")
@pytest.mark.usefixtures("peer")
def test_two_cards_on_one_interrupt_line_work_together(cli: Cli, initrd: Path) -> None:
    """Guest slots 10 and 14 have one GSI."""
    devices = {
        "first": {"pci": RTL8139, "guest": "00:10.0", "allow": ["no-reset"]},
        "second": {"pci": BEHIND_BRIDGE, "guest": "00:14.0", "companions": "detach", "allow": ["no-reset"]},
    }
    both = f"{card('00:10.0')}; {TALKS}; {card('00:14.0', '10.7.0.3')}; {TALKS}"
    done = boot(cli, initrd, devices, f"{both}; grep eth /proc/interrupts")
    assert [int(count) >= 18 for count in re.findall(r"(\d+) packets received", done.out)] == [True, True], done.out
    assert re.search(r"IO-APIC .*eth\d, eth\d", done.out), done.out


@pytest.mark.host("zoo", "large", "iommufd", "compat")
@pytest.mark.usefixtures("peer")
def test_a_file_goes_over_the_network_to_the_disk(cli: Cli, initrd: Path, host: Any) -> None:
    """NVMe and network card in one VM, RAM in two banks; the host serves the file. Each vCPU's vector fires."""
    vcpus, low, high, mebibytes = (4, "3GiB", "2GiB", 16) if host.name == "large" else (1, "256MiB", "512MiB", 1)
    content = os.urandom(mebibytes << 20)
    with serving(content):
        take = f"nc -w {speed.seconds(20)} {PEER} 4711 < /dev/null"
        store = f"{MOUNT}; {take} > /mnt/file"
        read = "sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum /mnt/file; umount /mnt"
        each = f"for n in $(seq 0 {vcpus - 1}); do taskset $((1 << n)) {READ} count=8; done; grep MSI /proc/interrupts"
        done = boot(
            cli,
            initrd,
            {"disk": NVME, "nic": E1000E},
            f"{card('00:11.0')}; {store}; {read}; {each}",
            memory=[{"size": low}, {"size": high, "at": "0x100000000"}],
            cpus=vcpus,
        )
    assert f"{hashlib.sha256(content).hexdigest()}  /mnt/file" in done.out, done.out
    for name in (*(f"nvme0q{n}" for n in range(vcpus + 1)), "eth0-rx-0", "eth0-tx-0"):
        assert interrupts(done.out, name) > 0, done.out


@contextmanager
def serving(content: bytes) -> Iterator[None]:
    """To everybody who connects to port 4711."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(content)

    with socket.create_server((PEER, 4711)) as listening:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.host("zoo", "iommufd", "compat")
def test_a_large_bar_is_mapped_above_4_gib(cli: Cli, initrd: Path) -> None:
    """ivshmem: what is written is read again."""
    bar = "/sys/bus/pci/devices/0000:00:10.0/resource2"
    look = f"head -3 /sys/bus/pci/devices/0000:00:10.0/resource; lspci; echo 2 > /proc/self/oom_score_adj; ls -l {bar}"
    done = boot(cli, initrd, {"shared": {"pci": SHARED_MEMORY, "allow": ["no-reset"]}}, look)
    places = re.findall(r"0x([0-9a-f]{16}) 0x([0-9a-f]{16}) 0x000000000014220c", done.out)
    assert places, done.out
    start, last = (int(word, 16) for word in places[0])
    assert start >= 4 << 30
    assert last - start + 1 == 1 << 30


@pytest.mark.host("zoo", "iommufd", "compat")
def test_reading_a_drive_does_not_leave_the_kernel(cli: Cli, initrd: Path) -> None:
    """What returns from KVM_RUN there are, the order itself causes: its characters come and go."""
    up = start(cli, initrd, {"disk": NVME})
    exits = []
    for count in (1, 101, 9101):
        order(up, f"{READ} count={count:04} 2> /dev/null; echo read $((0 + {count}))", f"read {count}")
        report = cli.run("inspect", "--json", cli.name).json()["report"]
        exits.append((report["vcpus"][0]["exits"], report["counts"]["trapped"]))
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    few, many = (after - before for (before, _), (after, _) in pairwise(exits))
    print(f"{few} returns with 101 reads, {many} with 9101")
    assert many - few < 100
    assert exits[0][1] == exits[2][1]


# What a guest's kernel warns of here, whatever its devices are.
OF_THE_LAB = (
    "Speculative Return Stack Overflow: ",  # an emulated processor has no microcode
    "hrtimer: interrupt took ",  # an emulated processor is late
    "workqueue: .* hogged CPU for ",  # the same
    "clocksource: ",  # the same
    # Ubuntu's kernel, built for machines that have an EISA bus, IMA, or such a BIOS
    "device-mapper: core: CONFIG_IMA_DISABLE_HTABLE is disabled",
    "platform eisa.0: ",
    "amd_pstate: the _CPC object is not present",
)


@pytest.mark.short
@pytest.mark.host("zoo", "iommufd", "compat")
def test_five_devices_work_in_one_guest(cli: Cli, initrd: Path) -> None:
    """What the report says of each, and what the guest does with them and warns of."""
    devices = {"disk": NVME, "nic": E1000E} | {
        name: {"pci": address, "allow": ["no-reset"]}
        for name, address in (("card", RTL8139), ("edu", EDU), ("shared", SHARED_MEMORY))
    }
    # QEMU before 8.2 keeps XSETBV from KVM (SVM_EXIT_XSETBV), so CPUID 0xd contradicts XCR0, and Linux warns of that.
    up = start(cli, initrd, devices, cmdline="noxsave")
    order(up, "lspci | grep -c 00:1[0-4].0; for one in /sys/class/net/e*; do ip link set ${one##*/} up; done", "5")
    order(up, f"{READ} count=10 2> /dev/null; echo read $((0 + 10))", "read 10")
    report = cli.run("inspect", "--json", cli.name).json()["report"]
    said = {one["alias"]: (one["interrupts"], one["state"]) for one in report["devices"]}
    # Where virtio_pci is built in (Debian 13), it looks at all that is Red Hat's and leaves this one's memory on.
    assert said.pop("shared") in (("none", "never switched on; not reset"), ("none", "memory on; not reset"))
    assert said == {
        "disk": ("msix", "memory on"),
        "nic": ("msix", "memory on"),
        "card": ("intx", "ports and memory on; not reset"),
        "edu": ("intx", "never switched on; not reset"),
    }
    served = {(one["alias"], bar["index"]): bar["served"] for one in report["devices"] for bar in one["bars"]}
    assert served == {
        ("disk", 0): "split",
        ("nic", 0): "mmap",
        ("nic", 1): "mmap",
        ("nic", 2): "trap",
        ("nic", 3): "split",
        ("card", 0): "trap",
        ("card", 1): "trap",
        ("edu", 0): "mmap",
        ("shared", 0): "trap",
        ("shared", 2): "mmap",
    }
    assert [(one["ram_maps"], one["ram_bytes"]) for one in report["containers"]] == [(1, 512 << 20)]
    warned = warnings(order(up, "dmesg -r; echo told $((0 + 1))", "told 1"))
    assert [line for line in warned if not any(re.match(known, line) for known in OF_THE_LAB)] == []
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "as it was: 5 changes undone" in err
    assert "0 failed calls" in err


def warnings(messages: str) -> list[str]:
    """Of what `dmesg -r` says: what is a warning, or worse (Documentation/core-api/printk-basics.rst)."""
    assert "<5>" in messages, messages  # the first line of all, which is a notice
    return re.findall(r"^<[0-4]>\[ *[\d.]+\] (.*?)\r?$", messages, re.MULTILINE)


@pytest.mark.host("zoo", "iommufd", "compat")
def test_devices_are_reset_and_work_again_after_each_reboot(cli: Cli, initrd: Path) -> None:
    """The guest counts its boots on the drive."""
    read = "n=$(dd if=/dev/nvme0n1 bs=1 count=1 2>/dev/null); n=$((${n:-0} + 1))"
    write = "printf $n | dd of=/dev/nvme0n1 conv=sync 2>/dev/null; sync"
    clear = "dd if=/dev/zero of=/dev/nvme0n1 bs=512 count=1 2>/dev/null"
    step = f"{read}; {write}; echo boot $n; [ $n -lt {BOOTS} ] && reboot; {clear}"
    up = start(cli, initrd, {"disk": NVME})
    for n in range(1, BOOTS):
        order(up, step, f"boot {n}")
        until(up, "^init at")
    order(up, step, f"boot {BOOTS}")
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert f"after {BOOTS - 1} reboot" in err


@pytest.mark.long
@pytest.mark.host("zoo", "iommufd", "compat")
def test_up_and_down_fifty_times_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    """Drivers, overrides and open groups are looked at after every test. How long each took is printed."""
    plan = tmp_path / "vm.plan"
    cli.run("plan", "-o", plan, cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices={"disk": NVME}))
    before, seconds = (pinned(), open_files()), []
    for _ in range(50):
        began = time.monotonic()
        done = cli.run("up", plan)
        assert done.code == 0, done.err
        seconds.append(time.monotonic() - began)
    print(f"ten lives took {sum(seconds[:10]):.1f} s at first and {sum(seconds[-10:]):.1f} s at last")
    print(f"{before[1]} files were open before and {open_files()} after")
    assert pinned() == before[0]
    assert open_files() < before[1] + 50


def open_files() -> int:
    """Of the whole machine (Documentation/admin-guide/sysctl/fs.rst, file-nr)."""
    return int(Path("/proc/sys/fs/file-nr").read_text().split()[0])


def pinned() -> int:
    """Pages (the kernel's Documentation/core-api/pin_user_pages.rst), with what CPUs have counted and not told yet."""
    Path("/proc/sys/vm/stat_refresh").write_text("1")
    counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counts["nr_foll_pin_acquired"]) - int(counts["nr_foll_pin_released"])


@pytest.mark.host("zoo", "iommufd", "compat")
def test_all_of_a_drive_is_mapped_but_the_pages_of_its_msix_tables(cli: Cli, payload: Callable[[str], Path]) -> None:
    """As the kernel says of the runner, beside what the device says of its tables."""
    config = (PCI / NVME / "config").read_bytes()
    at = capability(config, MSIX)
    control, table, pending = struct.unpack_from("<HII", config, at + 2)
    assert (control & 0x7FF, table & 7, pending & 7) == (64, 0, 0)
    pages = {place // PAGE for place in (*range(table, table + 65 * 16), *range(pending, pending + 16))}
    done = cli.run("up", "-d", cli.spec(payload("rests"), memory="64MiB", devices={"disk": NVME}), "--json")
    keeper = json.loads(done.out.splitlines()[-1])["report"]["pid"]
    (runner,) = processes_of(keeper)
    maps = Path(f"/proc/{runner}/maps").read_text()
    assert cli.run("down", "--kill", cli.name).code == 0
    mapped = {page for first, last in mapped_of_device(maps) for page in range(first // PAGE, last // PAGE)}
    first, last = (int(word, 16) for word in (PCI / NVME / "resource").read_text().split()[:2])
    begin = first // PAGE if max(mapped) >= first // PAGE else 0
    assert mapped == {begin + page for page in range((last + 1 - first) // PAGE) if page not in pages}


def capability(config: bytes, wanted: int) -> int:
    place = config[0x34]
    while config[place] != wanted:
        place = config[place + 1]
    return place


def mapped_of_device(maps: str) -> list[tuple[int, int]]:
    """From, to, as addresses of the host; from newer kernels as places in the device's file, where BAR 0 is first. The
    file is called by the device's own node where it was opened by that."""
    found = re.findall(r"^(\w+)-(\w+) \S+ (\w+) .*(?:vfio-device|/dev/vfio/devices/)", maps, re.MULTILINE)
    return [(int(at, 16), int(at, 16) + int(end, 16) - int(start, 16)) for start, end, at in found]
