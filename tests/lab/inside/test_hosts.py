"""Each lab host is what hosts.py says of it, and `vmlaunch devices` sees it so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.lab.hosts import TABLE, Host

GROUPS = Path("/sys/kernel/iommu_groups")
DEVICES = Path("/sys/bus/pci/devices")


def groups() -> list[set[str]]:
    """The addresses in each group, without their domain: it is 0 in all lab hosts."""
    return [{device.name.removeprefix("0000:") for device in path.glob("devices/*")} for path in GROUPS.iterdir()]


def width(iommu: Path) -> int:
    """MGAW, bits 21:16 of the capability register: the widest address that it translates."""
    return (int((iommu / "intel-iommu" / "cap").read_text(), 16) >> 16 & 0x3F) + 1


# In no group: the IOMMU, itself a PCI device; what no driver has, to a virtio IOMMU; what the firmware does not name.
OUTSIDE = {
    "amd": ["00:01.0"],
    "amd-regions": ["00:01.0"],
    "virtio": ["00:00.0", "00:01.0"],
    "uncovered": ["00:00.0", "00:03.0", "00:1d.0", "00:1e.0", "00:1f.0", "00:1f.3"],
}


@pytest.mark.host(*(host.name for host in TABLE if host.name not in ("no-iommu", "switched-off", "noiommu-mode")))
def test_every_device_is_in_one_group_where_there_is_an_iommu(host: Host) -> None:
    found = sorted(device for group in groups() for device in group)
    everyone = sorted(path.name.removeprefix("0000:") for path in DEVICES.iterdir())
    assert found == [device for device in everyone if device not in OUTSIDE.get(host.name, ())]


@pytest.mark.host("no-iommu", "switched-off")
def test_there_are_no_groups_without_an_iommu_that_is_in_use() -> None:
    assert groups() == []


def test_devices_gives_the_groups_of_sysfs(cli: Cli) -> None:
    facts = cli.run("devices", "--json").json()
    seen = [[address.removeprefix("0000:") for address in group["devices"]] for group in facts["groups"]]
    assert sorted(map(sorted, seen)) == sorted(map(sorted, groups()))


@pytest.mark.host("zoo", "iommufd", "compat")
@pytest.mark.parametrize(
    "group",
    [
        pytest.param({"01:00.0"}, id="alone-behind-a-port"),
        pytest.param(
            {"00:06.0", "05:00.0", "06:00.0", "06:01.0", "07:00.0", "08:00.0"}, id="behind-a-switch-without-acs"
        ),
        pytest.param({"00:07.0", "09:01.0", "09:02.0"}, id="behind-a-bridge"),
        pytest.param({"00:0c.0", "00:0c.1"}, id="functions-of-one-device"),
    ],
)
def test_the_zoo_has_this_group(group: set[str]) -> None:
    assert group in groups()


@pytest.mark.host("zoo", "amd", "narrow", "two-nodes", "no-iommu", "iommufd", "compat")
def test_the_nvme_drive_reads() -> None:
    with Path("/dev/nvme0n1").open("rb") as drive:
        assert len(drive.read(4096)) == 4096


@pytest.mark.host("plain", "zoo", "narrow", "two-nodes", "iommufd", "compat")
def test_an_intel_iommu_has_the_width_of_the_table(host: Host) -> None:
    bits = int(re.findall("aw-bits=([0-9]+)", host.iommu.value)[0])
    assert [width(path) for path in Path("/sys/class/iommu").glob("dmar*")] == [bits]


@pytest.mark.host("amd")
def test_an_amd_iommu_keeps_the_addresses_of_hypertransport() -> None:
    reserved = (GROUPS / "0" / "reserved_regions").read_text()
    assert "0x000000fd00000000 0x000000ffffffffff reserved" in reserved


@pytest.mark.host("two-nodes")
def test_two_nodes_share_memory_and_devices() -> None:
    nodes = Path("/sys/devices/system/node")
    pages = [(nodes / f"node{node}/hugepages/hugepages-2048kB/nr_hugepages").read_text().strip() for node in (0, 1)]
    assert pages == ["16", "32"]
    assert (DEVICES / "0000:81:00.0" / "numa_node").read_text().strip() == "1"


@pytest.mark.host("iommufd", "compat")
def test_our_kernel_has_iommufd() -> None:
    assert Path("/dev/iommu").is_char_device()
