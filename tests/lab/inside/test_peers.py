"""A device that reads and writes the memory of another by DMA, in a guest that has both (peer to peer)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.hosts import HOSTS, Host
from tests.lab.inside.passing import EDU, GUEST, SHARED_MEMORY, linux, order, start, until

pytestmark = pytest.mark.usefixtures("host_as_before")

SHARED = GUEST.replace("10.0", "11.0")
DEVICES = {alias: {"pci": one, "allow": ["no-reset"]} for alias, one in (("edu", EDU), ("shared", SHARED_MEMORY))}
# Of QEMU's edu (docs/specs/edu.txt): registers of its DMA, and where that finds its own memory, a page.
SOURCE, TARGET, COUNT, COMMAND, OWN = 0x80, 0x88, 0x90, 0x98, 0x40000
READ, WRITE = 1, 3
THERE, BACK = 0, 0x10000  # in the shared memory


@pytest.mark.parametrize(
    ("host", "vfio"),
    [
        pytest.param(HOSTS[host], vfio, id=f"{host}-{vfio}")
        for host, vfio in (
            *(("zoo", "type1"), ("iommufd", "type1"), ("iommufd", "iommufd")),
            *(("compat", "type1"), ("compat", "iommufd")),
        )
    ],
)
def test_a_device_reaches_the_memory_of_another_unless_the_plan_warns(
    cli: Cli, initrd: Path, host: Host, vfio: str
) -> None:
    """Also after that memory was off and on again. Where the plan warns, the IOMMU is in between."""
    planned = cli.run("plan", "--json", linux(cli, initrd, DEVICES, vfio=vfio)).json()
    together = "W323" not in {one["code"] for one in planned["diagnostics"]}
    up = start(cli, initrd, DEVICES, vfio=vfio)
    switch_on(up)
    maps = peer_maps(cli)
    print(f"{vfio} on {host.name}: {maps} maps of BARs")
    assert bool(maps) is together
    assert copied(up, 0x600D0DA7) is together
    order(up, f"echo 0 > {SHARED}/enable; echo 1 > {SHARED}/enable; echo again $((0 + 1))", "again 1")
    assert copied(up, 0x0DDBA115) is together
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "0 failed calls" in err


@pytest.mark.long
@pytest.mark.host("compat")
def test_dma_bufs_of_bars_serve_each_life_of_a_guest_that_reboots(cli: Cli, initrd: Path) -> None:
    """They were made before the runner was confined. Each life maps them anew, from the same memory."""
    up = start(cli, initrd, DEVICES, vfio="iommufd")
    for life, word in enumerate((0x600D0DA7, 0x0DDBA115, 0x5EC0DA1F)):
        if life:
            order(up, "echo going $((0 + 1)); reboot", "going 1")
            until(up, "^init at")
        switch_on(up)
        assert copied(up, word)
        print(f"life {life}: {peer_maps(cli)} maps of BARs")
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "after 2 reboots" in err
    assert "0 failed calls" in err


def switch_on(up: subprocess.Popen[str]) -> None:
    """Both devices' memory, and edu's DMA."""
    order(up, f"for one in {GUEST} {SHARED}; do echo 1 > $one/enable; done; echo on $((0 + 1))", "on 1")
    master = f"printf '\\006' | dd of={GUEST}/config bs=1 seek=4 conv=notrunc 2> /dev/null"
    order(up, f"{master}; echo master $((0 + 1))", "master 1")


def peer_maps(cli: Cli) -> int:
    (found,) = cli.run("inspect", "--json", cli.name).json()["report"]["containers"]
    count: int = found["peer_maps"]
    return count


def copied(up: subprocess.Popen[str], word: int) -> bool:
    """edu reads it from one place in the shared memory and writes it to another: whether it arrives there."""
    memory = f"words {SHARED}/resource2"
    bar = f"bar=$(sed -n 3p {SHARED}/resource | cut -d' ' -f1)"
    orders = (
        *(f"{memory} {THERE:#x} {word:#x}", f"{memory} {BACK:#x} 0", bar),
        *transfer(f"$((bar + {THERE:#x}))", f"{OWN:#x}", READ),
        *transfer(f"{OWN:#x}", f"$((bar + {BACK:#x}))", WRITE),
        *(f"{memory} {BACK:#x}", "echo copied $((0 + 1))"),
    )
    said = order(up, "; ".join(orders), "copied 1")
    print(said)
    return f"word {BACK:#x} is {word:08x}" in said


def transfer(source: str, target: str, command: int) -> tuple[str, ...]:
    """Of a word, to the end."""
    register = f"words {GUEST}/resource0"
    given = ((SOURCE, source), (TARGET, target), (COUNT, "4"), (COMMAND, str(command)))
    busy = f"until {register} {COMMAND:#x} | grep -q '[02468ace]$'; do :; done"
    return (*(f"{register} {place:#x} {value} 8 > /dev/null" for place, value in given), busy)
