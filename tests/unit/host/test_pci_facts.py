"""Functions from their folders in /sys: each trap once."""

from __future__ import annotations

import pytest

from launcher.host.facts import Config, PcieLink, PciFunction, Power, Sriov
from launcher.host.pci import Functions, read_pci
from launcher.host.tree import Recorded
from launcher.values import GIB, MIB, Missing, PciAddress
from tests.unit.host.trees import DEVICES, PCI, config, function, functions, tree

AWAKE = {"power_state": "D0", "power/runtime_status": "active", "power/control": "auto", "d3cold_allowed": "1"}
ASLEEP = AWAKE | {"power_state": "D3hot", "power/runtime_status": "suspended"}
LINK = {"current_link_width": "4", "max_link_width": "16"} | {
    f"{which}_link_speed": "16.0 GT/s PCIe" for which in ("current", "max")
}
VESA = """\
0x00000000c0000000 0x00000000cfffffff 0x0000000000042208
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x00000000000c0000 0x00000000000dffff 0x0000000000000212
"""


def only(machine: Recorded, **how: bool) -> PciFunction:
    (found,) = functions(machine, **how)
    return found


# ---- asleep, denied, dead ----


def test_a_device_that_sleeps_is_not_woken_unless_asked_for():
    machine = function(config(), **ASLEEP, **LINK, resource=VESA, resource0_resize="0000000000000f00")
    found = only(machine)
    assert found.config == Missing("asleep", f"{PCI}/config")
    assert found.link == Missing("asleep", f"{PCI}/current_link_width")
    assert isinstance(found.bars, tuple)
    assert found.bars[0].sizes == ()
    assert found.power == Power("D3hot", "suspended", "auto", True)
    deep = only(machine, deep=True)
    assert isinstance(deep.config, Config)
    assert deep.link == PcieLink(4, 16, "16.0 GT/s PCIe", "16.0 GT/s PCIe")


@pytest.mark.parametrize("status", ["active", "unsupported"])
def test_one_that_is_active_or_has_no_runtime_power_management_is_read(status: str):
    assert isinstance(only(function(config(), **AWAKE | {"power/runtime_status": status})).config, Config)


def test_a_kernel_without_power_management_has_no_folder_power():
    found = only(function(config(), power_state="unknown"))
    assert found.power == Power("unknown", "unsupported", "on", True)
    assert isinstance(found.config, Config)


def test_d3cold_is_asleep_whatever_its_runtime_status_says():
    asleep = AWAKE | {"power_state": "D3cold", "power/runtime_status": "unsupported"}
    assert only(function(config(), **asleep)).config == Missing("asleep", f"{PCI}/config")


def test_64_bytes_are_a_denied_configuration_space():
    assert only(function(config()[:64], **AWAKE)).config == Missing("denied", f"{PCI}/config")
    denied = tree(denied=frozenset({f"{PCI}/config"}))
    assert only(denied).config == Missing("denied", f"{PCI}/config")


def test_raw_bytes_only_when_asked_for():
    space = config(size=256)
    quiet, raw = (only(function(space), raw=asked).config for asked in (False, True))
    assert isinstance(quiet, Config)
    assert isinstance(raw, Config)
    assert (quiet.raw, raw.raw) == (None, space.hex())


# ---- BARs ----


def test_a_bar_that_has_type_bits_and_a_line_of_zeros_is_unassigned():
    found = only(function(config(bars=(0, 0, 0xC)), resource=VESA)).config
    assert isinstance(found, Config)
    assert found.unassigned == (2,)


def test_resizable_bars_say_their_sizes_as_a_bitmap():
    (bar,) = only(function(config(), resource=VESA, resource0_resize="0000000000003f00")).bars
    assert (bar.sizes[0], bar.sizes[-1], len(bar.sizes)) == (256 * MIB, 8 * GIB, 6)


IOMEM = """\
c0000000-cfffffff : PCI Bus 0000:00
  c0000000-cfffffff : 0000:01:00.0
    c0000000-c02fffff : BOOTFB
  d0000000-d0003fff : 0000:01:00.1
"""


def test_the_framebuffer_of_the_firmware_claims_a_part_of_a_bar():
    (bar,) = only(tree({f"{PCI}/resource": VESA, "/proc/iomem": IOMEM})).bars
    assert bar.claimed == ("BOOTFB",)


def test_those_who_may_not_know_read_an_iomem_of_zeros():
    zeros = "00000000-00000000 : PCI Bus 0000:00\n  00000000-00000000 : BOOTFB\n"
    (bar,) = only(tree({f"{PCI}/resource": VESA, "/proc/iomem": zeros})).bars
    assert bar.claimed == ()


def test_the_rom_may_be_a_shadow_and_is_never_read():
    assert only(function(rom="", resource=VESA)).rom == "shadow"
    assert only(function(rom="", resource=VESA.replace("212", "200"))).rom == "bar"
    assert only(function(resource=VESA)).rom == "none"


# ---- links, errors, interrupts ----


def test_an_integrated_device_has_a_link_in_name_alone():
    for width in ("0", "255"):
        assert only(function(**LINK | {"max_link_width": width})).link is None


ERRORS = {
    "aer_dev_correctable": "RxErr 3\nBadTLP 1\nTOTAL_ERR_COR 4\n",
    "aer_dev_nonfatal": "Undefined 0\nTOTAL_ERR_NONFATAL 0\n",
    "aer_dev_fatal": "DLP 17\nTOTAL_ERR_FATAL 17\n",
}


def test_errors_are_the_totals_of_three_files():
    assert only(function(**ERRORS)).errors == {"correctable": 4, "nonfatal": 0, "fatal": 17}
    assert only(function()).errors == {}


def test_a_bridge_that_lets_no_messages_through_silences_all_below_it():
    links = {f"{DEVICES}/0000:00:02.0": "../../../devices/pci0000:00/0000:00:02.0"}
    port = {f"{DEVICES}/0000:00:02.0/uevent": "PCI_ID=8086:1901", f"{DEVICES}/0000:00:02.0/msi_bus": "0"}
    quiet = tree({f"{PCI}/msi_bus": "1"} | port, links)
    by_address = {str(one.address): one for one in functions(quiet)}
    assert by_address["0000:01:00.0"].messages is False
    assert only(tree({f"{PCI}/msi_bus": "1"})).messages


def test_the_line_of_an_interrupt_and_the_card_the_machine_booted_with():
    found = only(function(irq="11", boot_vga="1"))
    assert (found.irq, found.boot_vga) == (11, True)
    assert only(function(boot_vga="0")).boot_vga is False


# ---- reset ----


def test_a_method_that_was_switched_off_differs_from_none_at_all():
    off, none = only(function(reset_method="", reset="")), only(function())
    assert (off.reset, off.reset_off) == ((), True)
    assert (none.reset, none.reset_off) == ((), False)


def test_before_5_15_a_reset_is_there_and_its_methods_are_not_known():
    assert only(function(reset="")).reset == Missing("absent", f"{PCI}/reset_method")


# ---- SR-IOV, places ----


def test_a_physical_function_says_its_virtual_functions_device_in_hex_without_0x():
    files = {
        "totalvfs": "63",
        "numvfs": "0",
        "offset": "128",
        "stride": "2",
        "vf_device": "10",
        "drivers_autoprobe": "1",
    }
    assert only(function(**{f"sriov_{name}": text for name, text in files.items()})).sriov == Sriov(
        63, 0, 128, 2, True, "0010"
    )


def test_a_virtual_function_is_read_from_files_and_not_from_its_registers():
    space = b"\xff" * 4 + config()[4:]
    found = only(tree(links={f"{PCI}/physfn": "../0000:01:00.4"}, blobs={f"{PCI}/config": space}))
    assert (found.id, found.physical_function) == ("144d:a809", PciAddress(0, 1, 0, 4))
    assert isinstance(found.config, Config)
    assert not found.config.dead


def test_its_place_is_in_the_link_of_its_folder():
    links = {f"{PCI}/iommu": "../../../../virtual/iommu/dmar1", f"{PCI}/vfio-dev/vfio3/subsystem": "x"}
    found = only(tree(links=links))
    assert (found.parent, found.iommu, found.vfio) == (PciAddress(0, 0, 2, 0), "dmar1", "vfio3")


def test_what_is_behind_a_volume_management_device_has_it_for_a_parent():
    address = "10000:e0:06.0"
    link = f"../../../devices/pci0000:e0/0000:e0:00.5/pci10000:e0/{address}"
    (found,) = functions(Recorded({f"{DEVICES}/{address}/uevent": "PCI_ID=8086:A0B0"}, {f"{DEVICES}/{address}": link}))
    assert found.parent == PciAddress(0, 0xE0, 0, 5)


def test_port_services_in_a_path_are_no_functions():
    services = "../../../devices/pci0000:00/0000:00:02.0/0000:00:02.0:pcie001"
    assert only(tree(links={PCI: services + "/0000:01:00.0"})).parent == PciAddress(0, 0, 2, 0)


def test_a_function_that_can_be_unplugged_says_so():
    for files, removable in (({}, False), ({"removable": "removable"}, True), ({"removable": "fixed"}, False)):
        (found,) = functions(function(**files))
        assert found.removable == removable


# ---- gone meanwhile ----


class Going(Recorded):
    """The function is taken away before the read that `at` counts: all of it, or what the kernel takes first."""

    def __init__(self, whole: Recorded, at: int, kept: tuple[str, ...] = ()) -> None:
        super().__init__(whole.texts, whole.links, whole.denied, whole.blobs, whole.nodes)
        self.left, self.kept = at, kept

    def _is_gone(self, path: str) -> bool:
        if not path.startswith(PCI):
            return False
        self.left -= 1
        return self.left < 0 and not path.endswith(self.kept)

    def read_text(self, path: str) -> str | Missing:
        return Missing("absent", path) if self._is_gone(path) else super().read_text(path)

    def read_bytes(self, path: str, offset: int = 0, size: int | None = None) -> bytes | Missing:
        return Missing("absent", path) if self._is_gone(path) else super().read_bytes(path, offset, size)

    def read_link(self, path: str) -> str | Missing:
        return Missing("absent", path) if self._is_gone(path) else super().read_link(path)

    def list_folder(self, path: str) -> tuple[str, ...] | Missing:
        return Missing("absent", path) if self._is_gone(path) else super().list_folder(path)


@pytest.mark.parametrize("kept", [(), ("/iommu_group", "/reset_method", "/resource", PCI)])
def test_a_function_that_goes_while_it_is_read_is_whole_or_gone(kept: tuple[str, ...]) -> None:
    """What is half read would be a device without a group, or without a reset."""
    texts = {"reset_method": "flr", "resource": "", "power_state": "D0"}
    files = {f"{PCI}/{name}": text for name, text in texts.items()}
    group = {f"{PCI}/iommu_group": "../../../../kernel/iommu_groups/13"}
    whole = tree(files, group, blobs={f"{PCI}/config": config()})
    (expected,), seen = read_pci(whole).there, set[bool]()
    for at in range(60):
        found = read_pci(Going(whole, at, kept))
        assert found in (Functions((), (expected.address,)), Functions((expected,)))
        seen.add(bool(found.gone))
    assert seen == {True, False}
