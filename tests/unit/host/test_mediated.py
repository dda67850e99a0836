"""Mediated devices as sysfs shows them, of a host with mtty and a vGPU without a driver: facts."""

from __future__ import annotations

from launcher.host.facts import MediatedParent, MediatedType
from launcher.host.mediated import read_mediated, read_parents
from launcher.host.survey import survey
from launcher.host.tree import Recorded
from launcher.values import Mdev, Missing

SERIAL, VGPU = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "11111111-2222-3333-4444-555555555555"
BUS = "/sys/bus/mdev/devices"


def tree() -> Recorded:
    texts = {
        f"{BUS}/{SERIAL}/mdev_type/name": "Dual port serial\n",
        f"{BUS}/{SERIAL}/mdev_type/device_api": "vfio-pci\n",
        f"{BUS}/{SERIAL}/vfio-dev/vfio0/dev": "245:0\n",
        f"{BUS}/{VGPU}/mdev_type/device_api": "vfio-pci\n",
        "/sys/class/mdev_bus/0000:3b:00.0/numa_node": "1\n",
        f"{BUS}/not-a-uuid/mdev_type/name": "x",
    }
    links = {
        f"{BUS}/{SERIAL}": f"../../../devices/virtual/mtty/mtty/{SERIAL}",
        f"{BUS}/{SERIAL}/mdev_type": "../mdev_supported_types/mtty-2",
        f"{BUS}/{SERIAL}/driver": "../../../../../bus/mdev/drivers/mtty",
        f"{BUS}/{SERIAL}/iommu_group": "../../../../../kernel/iommu_groups/21",
        f"{BUS}/{VGPU}": f"../../../devices/pci0000:3a/0000:3b:00.0/{VGPU}",
        f"{BUS}/{VGPU}/mdev_type": "../mdev_supported_types/nvidia-63",
    }
    return Recorded(texts, links)


def test_each_is_found_with_what_it_is_part_of() -> None:
    vgpu, serial = read_mediated(tree())
    assert (serial.address, serial.type, serial.name) == (Mdev(SERIAL), "mtty-2", "Dual port serial")
    assert (serial.parent, serial.driver, serial.group, serial.vfio, serial.node) == ("mtty", "mtty", 21, "vfio0", None)
    assert (vgpu.type, vgpu.api, vgpu.parent, vgpu.node) == ("nvidia-63", "vfio-pci", "0000:3b:00.0", 1)
    assert (vgpu.name, vgpu.driver, vgpu.group, vgpu.vfio) == (None, None, None, None)


def test_a_host_has_them_among_its_facts_unless_nobody_asks_for_devices() -> None:
    nothing = Missing("absent", "/dev/kvm")
    assert [str(one.address) for one in survey(tree(), nothing).mediated] == [VGPU, SERIAL]
    assert survey(tree(), nothing, depth="machine").mediated == ()
    assert survey(Recorded({}), nothing).mediated == ()


def test_what_makes_them_says_what_and_how_many_more() -> None:
    kinds = "/sys/class/mdev_bus/mtty/mdev_supported_types"
    texts = {
        f"{kinds}/mtty-1/name": "Single port serial\n",
        f"{kinds}/mtty-1/device_api": "vfio-pci\n",
        f"{kinds}/mtty-1/available_instances": "24\n",
        f"{kinds}/mtty-2/create": "",
        "/sys/class/mdev_bus/0000:3b:00.0/numa_node": "1\n",
    }
    found = (
        MediatedParent("0000:3b:00.0", (), 1),
        MediatedParent(
            "mtty",
            (MediatedType("mtty-1", "Single port serial", "vfio-pci", 24), MediatedType("mtty-2", None, None, None)),
        ),
    )
    assert read_parents(Recorded(texts)) == found
    nothing = Missing("absent", "/dev/kvm")
    assert survey(Recorded(texts), nothing).mediated_parents == found
    assert survey(Recorded(texts), nothing, depth="machine").mediated_parents == ()
