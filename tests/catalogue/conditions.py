"""The rows about resets, power, interrupts, graphics and links, and those of the same subject that have no rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from launcher.host.facts import Config, HostFacts, IommuUnit, Msix, PcieLink, PciFunction, Power
from launcher.record import replace
from launcher.values import Missing, Moment, PciAddress
from tests.catalogue.row import ONE, Row, gpu07, lab, small, with_function, with_linux, with_process
from tests.planning import host

DISK, GPU, OTHER_GPU, NIC, VF = "0000:02:00.0", "0000:c1:00.0", "0000:e1:00.0", "0000:3b:00.0", "0000:3b:01.0"
PORT = "0000:00:01.1"  # the bridge above the disk

_START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices:"
ON_GPU = f"{_START} {{gpu: {{pci: {GPU}, companions: attach}}}}\n"
ON_VF = f"{_START} {{nic: {{pci: {NIC}, vf: 0}}}}\n"
AT_2, NVME_DISK = small("it: 0000:00:02.0"), small("disk: 0000:01:00.0")  # of lab hosts
TAKEN_2 = small("it: {pci: 0000:00:02.0, allow: [no-reset, in-use]}")
NO_RESET = f"{_START} {{disk: {{pci: {DISK}, allow: [no-reset]}}}}\n"

MSIX = Msix(33, 0, 0x2000, 0, 0x3000)
NVME = Config(pin=1, port="endpoint", flr=True, msix=MSIX)


def disk(**fields: Any) -> Callable[[], HostFacts]:
    """The server, with a disk that differs."""
    return function(DISK, **fields)


def function(address: str, **fields: Any) -> Callable[[], HostFacts]:
    return lambda: with_function(host("gpu07"), address, **fields)


def beside(driver: str | None, group: int = 14, **fields: Any) -> Callable[[], HostFacts]:
    """The disk and a second one on one bus below a bridge, and no reset for the first but that of the bus."""

    def made() -> HostFacts:
        facts = with_function(host("gpu07"), DISK, parent=PciAddress.parse(PORT), **fields)
        first = next(one for one in facts.pci if str(one.address) == DISK)
        second = replace(first, address=PciAddress.parse("0000:02:01.0"), driver=driver, group=group, serial=None)
        groups = (
            replace(one, devices=(*one.devices, second.address)) if one.number == group else one for one in facts.groups
        )
        return replace(facts, pci=tuple(sorted((*facts.pci, second), key=_address)), groups=tuple(groups))

    return made


def _address(one: PciFunction) -> PciAddress:
    return one.address


def behind_a_cable(link: PcieLink) -> Callable[[], HostFacts]:
    """The disk in a case on Thunderbolt: the port above it is one of Titan Ridge's."""
    return lambda: with_function(disk(link=link, parent=PciAddress.parse(PORT))(), PORT, id="8086:15ef", name=None)


def vga(parameter: str | None, **fields: Any) -> Callable[[], HostFacts]:
    """The second graphics card stays with the host; `parameter`: disable_vga of vfio_pci."""
    parameters = {} if parameter is None else {"vfio_pci.disable_vga": parameter}
    return lambda: with_linux(
        with_function(function(GPU, **fields)(), OTHER_GPU, driver="nouveau"), parameters=parameters
    )


def booted(cmdline: str) -> Callable[[], HostFacts]:
    """The first virtual function has only MSI-X, as all have, on a kernel with this command line."""
    return lambda: with_linux(function(VF, config=Config(msix=MSIX))(), cmdline=cmdline)


def below_a_bridge_that_forbids() -> HostFacts:
    facts = with_function(host("gpu07"), PORT, messages=False)
    config = Config(port="endpoint", msix=MSIX)
    return with_function(facts, DISK, parent=PciAddress.parse(PORT), messages=False, config=config)


def on_line(config: Config, other_driver: str | None, parameter: str = "N") -> Callable[[], HostFacts]:
    """The disk on IRQ 21, which another disk has too."""

    def made() -> HostFacts:
        facts = with_function(host("gpu07"), DISK, irq=21, config=config)
        facts = with_function(facts, "0000:81:00.0", irq=21, driver=other_driver)
        return with_linux(facts, parameters={"vfio_pci.nointxmask": parameter})

    return made


def vectors(number: int, cpus: int, in_use: int = 0) -> Callable[[], HostFacts]:
    """A disk with that many, on so many CPUs."""

    def made() -> HostFacts:
        facts = with_function(host("gpu07"), DISK, config=replace(NVME, msix=replace(MSIX, vectors=number)))
        return replace(with_linux(facts, vectors=in_use), cpus=facts.cpus[:cpus])

    return made


def files(limit: int) -> Callable[[], HostFacts]:
    return lambda: with_process(vectors(2048, 32)(), open_files=limit)


def behind(snoops: bool | None) -> Callable[[], HostFacts]:
    """The graphics card below an IOMMU unit of its own."""

    def made() -> HostFacts:
        facts = with_function(host("gpu07"), GPU, iommu="dmar0")
        assert facts.iommu
        units = (IommuUnit("dmar0", 48, snoops=snoops), IommuUnit("dmar1", 48, snoops=False))
        return replace(facts, iommu=replace(facts.iommu, units=units))

    return made


def intel_graphics(address: str, class_code: str = "030000") -> Callable[[], HostFacts]:
    """In the place of the disk."""

    def made() -> HostFacts:
        where, facts = PciAddress.parse(address), disk(id="8086:a780", class_code=class_code, name=None, driver=None)()
        pci = (replace(one, address=where) if str(one.address) == DISK else one for one in facts.pci)
        groups = (replace(one, devices=(where,)) if one.number == 14 else one for one in facts.groups)
        return replace(facts, pci=tuple(pci), groups=tuple(groups))

    return made


def on_nodes(*distances: int) -> Callable[[], HostFacts]:
    """The server with these distances from its node 0."""

    def made() -> HostFacts:
        facts = host("gpu07")
        return replace(facts, nodes=(replace(facts.nodes[0], distances=distances), *facts.nodes[1:]))

    return made


def with_nodes(memory: str, pin: str) -> str:
    return (
        f"boot: {{kernel: ./bzImage}}\ncpus: {{count: 2, pin: {pin}}}\nmemory: [{memory}]\ndevices: {{disk: {DISK}}}\n"
    )


NEAR_BANK, FAR_BANK = "{size: 1GiB, node: 0}", "{size: 1GiB, node: 1}"
NEAR_PIN, FAR_PIN = "0-1", "8-9"

MIDNIGHT, MORNING, NOW, TOMORROW = (
    Moment.parse(f"2026-11-{one}:00+00:00") for one in ("29T00:00", "29T07:00", "29T08:00", "30T08:00")
)


def of_life(recorded: Moment, boot: str | None = None) -> Callable[[], HostFacts]:
    return gpu07(recorded_at=recorded, boot_id=boot)


ROWS: tuple[Row, ...] = (
    Row("no-reset-method", "E216", lab("extremes"), lab("amd"), AT_2, captured="extremes"),
    Row("no-reset-method", "E216", disk(reset=()), disk(reset=("bus",)), variant="but-the-bus"),
    Row("no-reset-method", "E216", disk(reset=(), reset_off=True), disk(reset=("flr",)), variant="switched-off"),
    Row("no-reset-method", "E216", beside(None, reset=()), beside("vfio-pci", reset=()), variant="others-on-its-bus"),
    Row("no-reset-method", "E216", disk(reset=()), disk(reset=()), near_spec=NO_RESET, variant="accepted"),
    Row(
        "weak-reset-method",
        "W252",
        disk(reset=("pm",), config=NVME),
        disk(reset=("pm",), config=replace(NVME, soft_reset=True)),
    ),
    Row("hot-reset-dependency", "W253", beside("nvme", 45, reset=("bus",)), beside("nvme", 45, reset=("flr", "bus"))),
    Row(
        "hot-reset-dependency",
        "W253",
        beside(None, reset=("bus",)),
        beside("vfio-pci", reset=("bus",)),
        variant="no-driver",
        made_in="shared",
    ),
    Row(
        "reset-fails-at-runtime",
        "E250",
        disk(config=Config(dead=True)),
        disk(config=Missing("asleep", f"/sys/bus/pci/devices/{DISK}/config")),
    ),
    Row(
        "reset-fails-at-runtime",
        "W265",
        disk(id="1002:731f", class_code="030000", driver="amdgpu", reset=("bus",)),
        disk(id="1002:731f", class_code="030000", driver="amdgpu", reset=("device_specific", "bus")),
        variant="known",
    ),
    Row(
        "reset-fails-at-runtime",
        "W265",
        disk(id="144d:a804", reset=("flr", "bus")),
        disk(id="144d:a804", reset=("device_specific", "flr", "bus")),
        variant="drive",
    ),
    Row(
        "d3cold-inaccessible",
        "W251",
        disk(power=Power("D3cold", "suspended", "auto", True)),
        disk(power=Power("D3hot", "suspended", "auto", True)),
    ),
    Row(
        "d3cold-inaccessible",
        "E250",
        disk(power=Power("D3cold", "error", "on", True), config=Config(dead=True)),
        disk(power=Power("D3cold", "suspended", "auto", True)),
        variant="stuck",
    ),
    Row("vga-legacy-arbitration", "W254", vga("N"), vga("Y"), ON_GPU),
    Row("vga-legacy-arbitration", "W254", vga("N"), vga("N", class_code="030200"), ON_GPU, variant="not-vga"),
    Row("option-rom", "W255", lab("display"), function(GPU, rom="bar"), TAKEN_2, ON_GPU, "display"),
    Row(
        "option-rom",
        "W266",
        function(GPU, id="1002:1681", rom="none", reset=("flr",)),
        function(GPU, id="1002:731f", rom="none", reset=("flr",)),
        ON_GPU,
        variant="in-the-firmware",
    ),
    Row("no-usable-interrupt", "W257", lab("extremes"), disk(config=Config(pin=1), irq=11), TAKEN_2, ONE, "extremes"),
    Row(
        "no-usable-interrupt",
        "W257",
        disk(config=Config(pin=1), id="8086:1572"),
        disk(config=Config(pin=1, msi=1), id="8086:1572"),
        variant="hidden-intx",
    ),
    Row(
        "no-usable-interrupt",
        "E256",
        booted("quiet pci=nocrs,nomsi"),
        booted("pci=nommconf nomsi"),
        ON_VF,
        "",
        "",
        "nomsi",
    ),
    Row(
        "no-usable-interrupt", "E256", below_a_bridge_that_forbids, disk(messages=False, config=NVME), variant="msi-bus"
    ),
    Row(
        "intx-shared-nonmaskable",
        "W258",
        lab("shared"),
        on_line(Config(pin=1), None),
        small("nic: {pci: 0000:02:01.0, companions: detach}"),
        ONE,
        "shared",
    ),
    Row(
        "intx-shared-nonmaskable",
        "W258",
        on_line(Config(pin=1), "nvme", "Y"),
        on_line(NVME, "nvme", "Y"),
        variant="nointxmask",
    ),
    Row("irq-vectors-exhausted", "W259", lab("extremes"), lab("zoo"), NVME_DISK, captured="extremes"),
    Row("irq-vectors-exhausted", "W259", vectors(2048, 10, 49), vectors(1951, 10, 49), variant="one-too-many"),
    Row("nofile-limit", "W260", files(2048), files(4096), made_in="extremes"),
    Row("nofile-limit", "E428", files(13), files(14), variant="none-left"),
    Row("snoop-coherency", "W261", lab("display"), behind(None), TAKEN_2, ON_GPU, "display"),
    Row(
        "igd",
        "W262",
        intel_graphics("0000:00:02.0"),
        intel_graphics("0000:03:00.0"),
        f"{_START} {{gpu: 0000:00:02.0}}\n",
        f"{_START} {{gpu: 0000:03:00.0}}\n",
    ),
    Row(
        "igd",
        "W262",
        intel_graphics("0000:00:02.0", "038000"),
        intel_graphics("0000:00:02.0", "048000"),
        f"{_START} {{gpu: 0000:00:02.0}}\n",
        variant="no-vga",
    ),
    Row("aer-history", "W263", disk(errors={"fatal": 1, "nonfatal": 16}), disk(errors={"correctable": 4711})),
    Row(
        "aer-history",
        "W264",
        disk(link=PcieLink(1, 4, "8.0 GT/s PCIe", "8.0 GT/s PCIe")),
        disk(link=PcieLink(4, 4, "8.0 GT/s PCIe", "8.0 GT/s PCIe")),
        variant="narrow-link",
    ),
    Row(
        "aer-history",
        "W264",
        disk(link=PcieLink(4, 4, "2.5 GT/s PCIe", "8.0 GT/s PCIe")),
        function(GPU, link=PcieLink(16, 16, "2.5 GT/s PCIe", "16.0 GT/s PCIe")),
        near_spec=ON_GPU,
        variant="slow-link",
    ),
    Row(
        "aer-history",
        "W264",
        behind_a_cable(PcieLink(1, 4, "2.5 GT/s PCIe", "8.0 GT/s PCIe")),
        behind_a_cable(PcieLink(4, 4, "2.5 GT/s PCIe", "8.0 GT/s PCIe")),
        variant="tunnel",
    ),
    Row(
        "numa-mismatch",
        "W214",
        lab("two-nodes"),
        lab("two-nodes"),
        small("disk: 0000:81:00.0", "[{size: 64MiB, node: 0}]"),
        small("disk: 0000:81:00.0", "[{size: 64MiB, node: 1}]"),
        "two-nodes",
    ),
    Row(
        "numa-mismatch",
        "W214",
        on_nodes(10, 32),
        on_nodes(10, 32),
        with_nodes(FAR_BANK, FAR_PIN),
        with_nodes(f"{FAR_BANK}, {NEAR_BANK}", NEAR_PIN),
        variant="distance",
    ),
    Row(
        "numa-mismatch",
        "W214",
        on_nodes(10, 32),
        on_nodes(10, 32),
        with_nodes("{size: 1GiB}", FAR_PIN),
        with_nodes(NEAR_BANK, FAR_PIN),
        variant="pinned-elsewhere",
    ),
    Row("facts-old", "W267", of_life(MIDNIGHT), of_life(MORNING), asked={"now": NOW}, variant="a-night"),
    Row("facts-old", "W267", of_life(TOMORROW), of_life(NOW), asked={"now": NOW}, variant="clocks"),
    Row("booted-since", "W268", of_life(NOW, "a"), of_life(NOW, "b"), asked={"now": NOW, "boot_id": "b"}),
)

# id -> why a plan cannot see it, or where else it is dealt with.
WITHOUT_RULE: dict[str, str] = {
    "pcie-features-hidden": "no failure: vfio-pci hides what a guest must not have, as ATS, PASID and SR-IOV, and what "
    "else is hidden is a table of the configuration space that the guest sees",
    "memory-decode-off": "the guest does it while it runs, on any host: a BAR has to leave the guest's memory before "
    "the write that switches it off is passed on",
    "unbind-blocked-by-user": "somebody on the host does it while the VM runs: VFIO's request interrupt asks the "
    "runner to let the device go",
    "hotplug-removed-in-use": "somebody takes the card out while the VM runs: the same request interrupt says so",
    "device-returned-too-early": "a matter of order: the keeper gives drivers back after the runner, which holds all "
    "VFIO descriptors, has gone",
    "ioctl-order": "a matter of order: the steps of a plan are the order, and no fact of a host changes it",
}
