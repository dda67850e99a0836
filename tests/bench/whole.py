"""A Linux guest with a disk, a NIC in a bridge and vsock, ours and QEMU's, on the same file and the same host."""

from __future__ import annotations

import atexit
import json
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

from launcher.values import MIB
from tests.bench import contenders
from tests.bench.boot import EXITS
from tests.bench.built import Built
from tests.bench.contenders import ENVIRONMENT, OURS, Q35
from tests.bench.devices import NVME, to_vfio
from tests.bench.linux import MEBIBYTES, QUIET, Guest
from tests.bench.measure import Figures, Run
from tests.bench.passed import exits, memory_of
from tests.bench.stamps import StampFile
from tests.bench.table import PRIVATE, SHARED
from tests.lab.inside.whole import BRIDGE, BRIDGED, PORT, networks, serving, sh

SECONDS, TRIPS = 3, 200
DISK = 64 * MIB
CID, QEMUS_CID, QEMUS_TAP = 42, 43, "vmqemu0"
HOST = f"{BRIDGED}.1"
POPULATE_AND_MAP = ("take-memory", "map-dma")


def whole(built: Built, folder: Path) -> dict[str, Run]:
    return _contenders(built, folder, _life)


def disks(built: Built, folder: Path) -> dict[str, Run]:
    """Nothing but their reads."""
    return _contenders(built, folder, _reading)


def boots(built: Built, folder: Path) -> dict[str, Run]:
    """Nothing but that, and what it takes by then."""
    return _contenders(built, folder, _boot)


def _contenders(built: Built, folder: Path, life: Callable[[list[str], StampFile], Figures]) -> dict[str, Run]:
    _join(built.talk)
    image = folder / "disk.img"
    image.write_bytes(bytes(range(256)) * (DISK // 256))
    boot = built.whole | {"cmdline": QUIET}
    more = {"disks": {"root": str(image)}, "nics": {"lan": {"bridge": BRIDGE}}, "vsock": CID}
    commands = {
        OURS: contenders.up(folder, boot, 1, MEBIBYTES, **more),
        Q35: contenders.qemu_command("q35", boot, 1, MEBIBYTES, *_of_qemu(image)),
    }
    file = StampFile(folder / "stamps", built.stamps)
    return {name: partial(life, command, file) for name, command in commands.items()}


@cache
def _join(talk: Path) -> None:
    """A bridge that stays until the process ends, and a tap in it: QEMU has rights to join none."""
    stay = ExitStack()
    atexit.register(stay.close)
    stay.enter_context(networks())
    stay.enter_context(serving(talk))
    sh("ip", "tuntap", "add", QEMUS_TAP, "mode", "tap", "vnet_hdr")
    stay.callback(sh, "ip", "link", "del", QEMUS_TAP)
    sh("ip", "link", "set", QEMUS_TAP, "master", BRIDGE, "up")


def _of_qemu(image: Path) -> list[str]:
    return [
        *("-cpu", "host", "-object", "iothread,id=thread"),
        *("-drive", f"if=none,id=root,format=raw,file={image},{contenders.opened(image)}"),
        *("-device", "virtio-blk-pci,bus=pcie.0,addr=1.0,drive=root,iothread=thread,disable-legacy=on"),
        *("-netdev", f"tap,id=lan,ifname={QEMUS_TAP},script=no,downscript=no,vhost=on"),
        *("-device", "virtio-net-pci,bus=pcie.0,addr=2.0,netdev=lan,romfile=,disable-legacy=on"),
        *("-device", f"vhost-vsock-pci,bus=pcie.0,addr=3.0,guest-cid={QEMUS_CID}"),
    ]


def _boot(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        figures: Figures = guest.init()
        figures |= memory_of(guest.processes())
        counted = [int(count.replace(",", "")) for count in EXITS.findall(guest.power_off())]
    return figures | ({"exits": sum(counted)} if counted else {})


def _life(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        guest.until("init at")
        figures: Figures = {}
        address = 2 if guest.is_ours else 3
        guest.order(f"ip addr add {BRIDGED}.{address}/24 dev eth0; ip link set eth0 up; ping -c 2 -w 60 {HOST}")
        guest.until("packets received")
        figures |= _reads(guest)
        for way, word in (("send", "sent"), ("take", "taken")):
            count, seconds = _asked(guest, f"talk {way} {HOST} {PORT} {SECONDS}", rf"^{word} (\d+) in ([\d.]+)")
            figures[word] = count / seconds / 1e6
        guest.order(f"ping -c 50 -i 0.05 -q {HOST}")
        ping, _ = guest.until(r"round-trip min/avg/max = ([\d.]+)/([\d.]+)")
        figures["ping"] = float(ping[2])
        count, seconds = _trips(guest, "host", 10 * TRIPS)
        figures["trips"] = count / seconds
        return figures | memory_of(guest.processes()) | (_returns(guest) if guest.is_ours else {})


def _reading(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        guest.until("init at")
        return _reads(guest)


def _reads(guest: Guest) -> Figures:
    found = {}
    for depth in (1, 32):
        count, seconds = _asked(guest, f"reads {depth} {SECONDS} /dev/vda virtio", r"^reads (\d+) in ([\d.]+)")
        found[f"reads {depth}"] = count / seconds
    return found


def _returns(guest: Guest) -> Figures:
    """Asking for them is work of the host, and not done while the guest's work is timed."""
    reads = "dd if=/dev/vda of=/dev/null bs=4k iflag=direct count={:05} 2>/dev/null"
    works = {
        "read": reads,
        "trip": f"talk trips {HOST} {PORT} {{:05}} >/dev/null",
        "message": f"talk trips host {PORT} {{:05}} >/dev/null",
    }
    found, seen = {}, [exits()]
    for what, work in works.items():
        for count in (1, 1 + TRIPS):
            _asked(guest, f"{work.format(count)}; echo $((40 + 2)) of 0", r"^(42) of (0)")
            seen.append(exits())
        before, idle, after = seen[-3:]
        found[f"returns a {what}"] = max(0.0, (after - idle) - (idle - before)) / TRIPS
    return found


def _trips(guest: Guest, address: str, count: int) -> tuple[float, float]:
    return _asked(guest, f"talk trips {address} {PORT} {count}", r"^trips (\d+) in ([\d.]+)")


def _asked(guest: Guest, order: str, answer: str) -> tuple[float, float]:
    guest.order(order)
    line: re.Match[str] = guest.until(answer)[0]
    return float(line[1]), float(line[2])


def shared_memory(built: Built, folder: Path) -> dict[str, Run]:
    to_vfio(NVME)
    hello = Path(__file__).parent.parent.parent / "examples" / "hello.elf"
    image = folder / "disk.img"
    image.write_bytes(bytes(MIB))
    found: dict[str, Run] = {}
    for name, disks in ((PRIVATE, {}), (SHARED, {"root": str(image)})):
        own = folder / name.replace(" ", "-")
        own.mkdir()
        command = contenders.up(own, {"kernel": str(hello)}, 1, 1024, devices={"drive": NVME}, disks=disks)
        found[name] = partial(_steps, command)
    return found


def _steps(command: list[str]) -> Figures:
    done = subprocess.run(
        [*command, "--json"], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    plan = json.loads(contenders.run([*contenders.VMLAUNCH, "plan", command[-1], "--json"]))
    contenders.down()
    wanted = {one["n"] for one in plan["steps"] if one["op"] in POPULATE_AND_MAP}
    return {"ms": 1000 * sum(one["seconds"] for one in report["steps"] if one["n"] in wanted)}
