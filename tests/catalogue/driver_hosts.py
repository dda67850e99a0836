"""The hosts of tests/catalogue/drivers.py: the server of tests/hosts/gpu07.json with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from launcher.host.facts import Config, HostFacts, IommuGroup, PciFunction, Sriov, Use
from launcher.record import replace
from launcher.values import PciAddress
from tests.catalogue.row import with_function, with_linux
from tests.planning import host

DISK, NIC, GPU, SOUND, READY = "0000:02:00.0", "0000:3b:00.0", "0000:c1:00.0", "0000:c1:00.1", "0000:e1:00.0"
PORT, VF = "0000:00:01.1", "0000:3b:01.3"


def on(address: str, **fields: Any) -> Callable[[], HostFacts]:
    """The server with one function that differs."""
    return lambda: with_function(host("gpu07"), address, **fields)


def linux(**fields: Any) -> Callable[[], HostFacts]:
    return lambda: with_linux(host("gpu07"), **fields)


def used(address: str, *uses: Use, **fields: Any) -> Callable[[], HostFacts]:
    return on(address, uses=uses, **fields)


def function(address: str, id_: str, class_code: str, name: str, **fields: Any) -> PciFunction:
    known: dict[str, Any] = {"driver": None, "group": 12, "node": 0, "reset": ("flr",), "bars": ()}
    rest = {"subsystem": None, "revision": None, "driver_override": None}
    return PciFunction(
        address=PciAddress.parse(address), id=id_, class_code=class_code, name=name, **{**rest, **known, **fields}
    )


def plus(facts: HostFacts, *functions: PciFunction) -> HostFacts:
    """With more functions, each in the group it names."""
    pci = tuple(sorted((*facts.pci, *functions), key=lambda one: one.address))
    numbers = sorted({one.group for one in pci if one.group is not None})
    known = {group.number: group for group in facts.groups}
    groups = (
        replace(known.get(number, IommuGroup(number, "DMA-FQ", (), known[0].reserved)), devices=members(pci, number))
        for number in numbers
    )
    return replace(facts, pci=pci, groups=tuple(groups))


def members(pci: tuple[PciFunction, ...], number: int) -> tuple[PciAddress, ...]:
    return tuple(one.address for one in pci if one.group == number)


MOUNTED = Use("mounted", "sda2 on /", "/")
BOARD = (
    function("0000:00:1f.0", "8086:7a04", "060100", "Intel Z790 LPC Controller", driver=None),
    function("0000:00:1f.4", "8086:7a23", "0c0500", "Intel Raptor Lake SMBus", driver=None),
    function("0000:00:1f.5", "8086:7a62", "010601", "Intel Raptor Lake SATA", driver="ahci"),
    function("0000:00:1f.6", "8086:0dc8", "020000", "Intel Ethernet I219-V", driver="e1000e"),
)


def board(*uses: Use, **drivers: str | None) -> Callable[[], HostFacts]:
    """A LAN port that shares its group with ISA bridge, SMBus and SATA; `sata` names the driver of the latter."""
    names = {"isa": 0, "smbus": 1, "sata": 2}
    parts = list(BOARD)
    for name, driver in drivers.items():
        parts[names[name]] = replace(parts[names[name]], driver=driver)
    parts[2] = replace(parts[2], uses=uses)
    return lambda: plus(host("gpu07"), *parts)


def bridge_in_group(driver: str, kernel: str = "6.12.9") -> Callable[[], HostFacts]:
    """A conventional PCI bridge above the disk, in its group."""
    bridge = function("0000:01:00.0", "1b36:0001", "060400", "Red Hat PCI-PCI bridge", driver=driver, group=14)
    return lambda: replace(plus(host("gpu07"), bridge), kernel=kernel)


def neighbours(slot: str) -> Callable[[], HostFacts]:
    """Another drive in the disk's group, below the same port."""
    port = {"extended": ("0001",), "port": "root port", "header": 1}
    drive = function(slot, "144d:a80a", "010802", "Samsung NVMe PM9A1", group=14)
    disk = {"parent": PciAddress.parse(PORT), "config": Config(port="endpoint")}
    return lambda: with_function(with_function(plus(host("gpu07"), drive), PORT, config=Config(**port)), DISK, **disk)


def conventional(driver: str | None) -> Callable[[], HostFacts]:
    """Two sound cards of old behind one PCI Express to PCI bridge."""
    cards = [
        function(f"0000:04:0{n}.0", "1102:0002", "040100", "Creative EMU10k1", group=14, config=Config(), reset=("pm",))
        for n in (1, 2)
    ]
    return lambda: plus(host("gpu07"), replace(cards[0], driver="snd_emu10k1"), replace(cards[1], driver=driver))


def behind_port(driver: str | None) -> Callable[[], HostFacts]:
    """The disk, below a port that is recorded."""
    return on(DISK, parent=PciAddress.parse(PORT), driver=driver)


def moved() -> HostFacts:
    """A card was added before it: the disk's bus is one further, and a network card is where it was."""
    facts = host("gpu07")
    disk = next(one for one in facts.pci if str(one.address) == DISK)
    lan = function(DISK, "8086:1572", "020000", "Intel X710", driver="i40e", group=14)
    rest = replace(facts, pci=tuple(one for one in facts.pci if one is not disk))
    return plus(rest, lan, replace(disk, address=PciAddress.parse("0000:03:00.0"), group=15))


def sriov(count: int = 4, total: int = 8, **fields: Any) -> Callable[[], HostFacts]:
    """The network card with its SR-IOV recorded; with less than 4, that many virtual functions are there."""
    return lambda: _with_card(Sriov(total, count, offset=8, stride=1, autoprobe=True, device="101e"), **fields)


def _with_card(known: Sriov, **fields: Any) -> HostFacts:
    facts = host("gpu07")
    card = next(one for one in facts.pci if str(one.address) == NIC)
    card = replace(card, sriov=known, virtual_functions=card.virtual_functions[: known.count], **fields)
    others = (one for one in facts.pci if str(one.address) != NIC)
    left = tuple(one for one in others if one.physical_function is None or one.address in card.virtual_functions)
    return plus(replace(facts, pci=left), card)


def virtual(autoprobe: bool = False, driver: str | None = "mlx5_core", **parent: Any) -> Callable[[], HostFacts]:
    """What virtual function 3 is on, and its physical function."""
    known = Sriov(8, 4, offset=8, stride=1, autoprobe=autoprobe, device="101e")
    return lambda: with_function(with_function(host("gpu07"), VF, driver=driver), NIC, sriov=known, **parent)


def drives(count: int) -> HostFacts:
    """Each on a bus and in a group of its own, and on vfio-pci."""
    drive = ("144d:a80a", "010802", "Samsung NVMe PM9A1")
    return plus(host("gpu07"), *(
        function(f"0001:{bus:02x}:00.0", *drive, driver="vfio-pci", group=200 + bus) for bus in range(count)
    ))  # fmt: skip


def vgpu(id_: str = "10de:26b9", driver: str | None = "nvidia", **fields: Any) -> Callable[[], HostFacts]:
    """Virtual function 3 is one of such a card, on the card's own driver."""
    return on(VF, id=id_, driver=driver, class_code="030200", name=None, **fields)


def qat(**fields: Any) -> Callable[[], HostFacts]:
    card = function("0000:b1:01.0", "8086:37c9", "0b4000", "Intel C62x QAT Virtual Function", driver="c6xxvf", group=60)
    return lambda: with_linux(plus(host("gpu07"), card), **fields)


def smi(pid: int, command: str) -> Use:
    return Use("process", f"{command} ({pid}) has /dev/nvidia0 open", command, pid)


def foreign(driver: str) -> HostFacts:
    """A platform device in the disk's group."""
    facts = host("gpu07")
    name = "INTC1085:00"
    groups = (
        replace(one, others=(name,), other_drivers={name: driver}) if one.number == 14 else one for one in facts.groups
    )
    return replace(facts, groups=tuple(groups))


def without_disk(facts: Callable[[], HostFacts]) -> HostFacts:
    """The disk in a group of its own."""
    return plus(with_function(facts(), DISK, group=15))


def vmd(controller: str) -> HostFacts:
    """A drive behind a VMD controller, whose requests the IOMMU sees as the controller's."""
    parts = (
        function(controller, "8086:467f", "010400", "Intel Volume Management Device", driver="vmd", group=9),
        function("10000:e0:06.0", "8086:464d", "060400", "Intel PCI Express Root Port", driver="pcieport", group=9),
        function("10000:e1:00.0", "144d:a80a", "010802", "Samsung NVMe PM9A1", driver="nvme", group=9),
    )
    return plus(host("gpu07"), *parts)


def booted_with(cmdline: str) -> HostFacts:
    return with_linux(host("gpu07"), cmdline=cmdline)


def override(name: str, drivers: tuple[str, ...]) -> HostFacts:
    return with_linux(with_function(host("gpu07"), DISK, driver_override=name), drivers=drivers)


def bare_card(*uses: Use) -> HostFacts:
    """The network card without virtual functions."""
    return with_function(sriov(0)(), NIC, uses=uses)


def parent(**fields: Any) -> HostFacts:
    return with_function(host("gpu07"), NIC, **fields)


def psp(driver: str | None) -> Callable[[], HostFacts]:
    """AMD's security processor beside the GPU, as in an APU."""
    part = function("0000:c1:00.2", "1022:15c7", "108000", "AMD Phoenix CCP/PSP", driver=driver, group=31)
    return lambda: plus(host("gpu07"), part)
