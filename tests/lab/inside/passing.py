"""What tests that pass devices to guests share: the devices of host zoo, a boot of Linux with them, what it said."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import speed
from tests.conftest import PATIENCE, Cli, Done
from tests.lab.pieces import distribution_kernel

PCI = Path("/sys/bus/pci/devices")
CMDLINE = "console=ttyS0 quiet panic=-1"
PEER = "10.7.0.1"  # the host's own card, on the cable that all cards are on

NVME, E1000E, RTL8139, BEHIND_BRIDGE = "0000:01:00.0", "0000:02:00.0", "0000:00:09.0", "0000:09:01.0"
EDU, SHARED_MEMORY, USB, SATA = "0000:00:08.0", "0000:00:0b.0", "0000:04:00.0", "0000:00:1f.2"
GUEST = "/sys/bus/pci/devices/0000:00:10.0"
MOUNT = "mke2fs /dev/nvme0n1 > /dev/null; mkdir -p /mnt; mount /dev/nvme0n1 /mnt || poweroff"
TALKS = f"ping -I $card -c 20 -i 0.2 -w {speed.seconds(30)} -q {PEER}"


def bindings() -> dict[str, tuple[str, str]]:
    found = {}
    for device in PCI.iterdir():
        driver = (device / "driver").resolve().name if (device / "driver").exists() else ""
        found[device.name] = (driver, (device / "driver_override").read_text().strip())
    return found


def holders() -> list[str]:
    links = (link for process in Path("/proc").glob("[0-9]*") for link in (process / "fd").glob("*"))
    found = []
    for link in links:
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if "vfio" in target:
            found.append(f"{link}: {target}")
    return found


def linux(cli: Cli, initrd: Path, devices: dict[str, Any], cmdline: str = "", **fields: Any) -> Path:
    """The spec of a Linux guest that does what it reads on its console."""
    kernel = {"kernel": str(distribution_kernel().image), "initrd": str(initrd), "cmdline": f"{CMDLINE} {cmdline}"}
    return cli.spec(Path("replaced"), **{"memory": "512MiB", "boot": kernel, "devices": devices} | fields)


def boot(cli: Cli, initrd: Path, devices: dict[str, Any], commands: str, cmdline: str = "", **fields: Any) -> Done:
    done = cli.run("up", linux(cli, initrd, devices, cmdline, **fields), stdin=f"{commands}\npoweroff\n")
    assert done.code == 0, done.out + done.err
    return done


def start(cli: Cli, initrd: Path, devices: dict[str, Any], **fields: Any) -> subprocess.Popen[str]:
    """Attached, and ready for orders."""
    up = cli.start("up", "-v", linux(cli, initrd, devices, **fields), stdin=subprocess.PIPE)
    until(up, "^init at")
    return up


def order(up: subprocess.Popen[str], line: str, answer: str) -> str:
    """What the guest said up to `answer`, a whole line; the order itself may be echoed."""
    assert up.stdin is not None
    up.stdin.write(f"{line}\n")
    up.stdin.flush()
    return until(up, f"^{re.escape(answer)}$")


def until(up: subprocess.Popen[str], pattern: str) -> str:
    """What the guest said up to that line."""
    assert up.stdout is not None
    assert up.stderr is not None
    said = ""
    while line := up.stdout.readline():
        said += line
        if re.search(pattern, line.strip()):
            return said
    raise AssertionError(f"no {pattern} in {said}{up.stderr.read()}")


def card(address: str, ip: str = "10.7.0.2") -> str:
    """A shell word for the guest: the name of the network interface at this guest address, up and with an address."""
    find = f"card=$(ls /sys/bus/pci/devices/0000:{address}/net)"
    return f"{find}; ip addr add {ip}/24 dev $card; ip link set $card up; sleep 3"


def interrupts(out: str, word: str) -> int:
    """How often the guest's lines of /proc/interrupts with this word fired."""
    lines = [line.split() for line in out.splitlines() if word in line and re.match(r" *\d+:", line)]
    return sum(int(cell) for line in lines for cell in line[1:] if cell.isdecimal())


def received(out: str) -> int:
    return int(re.findall(r"(\d+) packets received", out)[-1])


def comes(condition: Callable[[], bool]) -> bool:
    """What others do in their own time: drivers, links, slots."""
    patience = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < patience:
        time.sleep(0.1)
    return condition()
