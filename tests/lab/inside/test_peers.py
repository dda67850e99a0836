"""A device that reads and writes the memory of another by DMA, in a guest that has both (peer to peer)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.hosts import HOSTS, Host
from tests.lab.inside.passing import EDU, GUEST, SHARED_MEMORY, linux, order, start

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
    order(up, f"for one in {GUEST} {SHARED}; do echo 1 > $one/enable; done; echo on $((0 + 1))", "on 1")
    master = f"printf '\\006' | dd of={GUEST}/config bs=1 seek=4 conv=notrunc 2> /dev/null"
    order(up, f"{master}; echo master $((0 + 1))", "master 1")
    (found,) = cli.run("inspect", "--json", cli.name).json()["report"]["containers"]
    print(f"{vfio} on {host.name}: {found['peer_maps']} maps of BARs")
    assert bool(found["peer_maps"]) is together
    assert copied(up, 0x600D0DA7) is together
    order(up, f"echo 0 > {SHARED}/enable; echo 1 > {SHARED}/enable; echo again $((0 + 1))", "again 1")
    assert copied(up, 0x0DDBA115) is together
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "0 failed calls" in err


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
