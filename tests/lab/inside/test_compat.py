"""A host whose /dev/vfio/vfio is iommufd's: what is seen of it, what the plan makes of it, a drive by both ways.

The tests of devices run there by those containers (test_devices.py), and its verdicts are compared (test_verdicts.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.api.hosts import this_host
from launcher.planner.backend import serves_containers, shares_bars
from tests.conftest import EXAMPLES, Cli
from tests.lab.inside.passing import E1000E, NVME, linux

pytestmark = [pytest.mark.host("compat"), pytest.mark.usefixtures("host_as_before"), pytest.mark.long]

TWO = {"disk": NVME, "nic": E1000E}
READ = "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=8 iflag=direct"


def test_the_facts_say_whose_containers_are() -> None:
    host = this_host()
    assert Path("/dev/vfio/vfio").is_char_device()
    assert not Path("/sys/module/vfio_iommu_type1").exists()
    assert serves_containers(host.linux)
    assert shares_bars(host, "iommufd")
    assert not shares_bars(host, "type1")


@pytest.mark.parametrize(
    ("vfio", "by", "apart"),
    [("auto", "VFIO iommufd", False), ("iommufd", "VFIO iommufd", False), ("type1", "VFIO type1", True)],
)
def test_the_plan_takes_iommufd_unless_the_spec_says_otherwise(cli: Cli, vfio: str, by: str, apart: bool) -> None:
    plan = cli.run("plan", cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices=TWO, vfio=vfio))
    assert plan.code == 0, plan.out + plan.err
    assert by in plan.out
    assert ("warning[W323]" in plan.out) is apart
    assert ("take `vfio: iommufd`" in plan.out) is apart


@pytest.mark.parametrize(("vfio", "peers"), [("auto", True), ("type1", False)])
def test_a_guest_reads_its_drive_by_either_way(cli: Cli, initrd: Path, vfio: str, peers: bool) -> None:
    done = cli.run("up", "-v", linux(cli, initrd, TWO, vfio=vfio), stdin=f"{READ}\npoweroff\n")
    assert done.code == 0, done.out + done.err
    assert "8+0 records in" in done.out
    assert (" 0 maps of BARs" not in done.err) is peers
    assert "0 failed calls" in done.err
