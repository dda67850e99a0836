"""A number in, a host with so many virtual functions out: what no file in tests/hosts is large enough for."""

from __future__ import annotations

from itertools import count

from launcher.host.facts import (
    Bar,
    Config,
    HostFacts,
    IommuGroup,
    IommuUnit,
    Msix,
    PciFunction,
    Power,
    ReservedRegion,
    Sriov,
)
from launcher.record import replace
from launcher.values import KIB, MIB, PciAddress
from tests.planning import host

PER_CARD = 250
MSI = ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi")


def many_functions(number: int) -> HostFacts:
    """The server gpu-server without its own devices, and network cards with `number` virtual functions in all.

    Every virtual function has a group of its own and no driver, as with sriov_drivers_autoprobe 0.
    """
    pci: list[PciFunction] = []
    groups = count()
    for card, first in enumerate(range(0, number, PER_CARD)):
        root = PciAddress(card // 64, (card % 64) * 4, 1, 0)
        nic = PciAddress(root.domain, root.bus + 1, 0, 0)
        virtual = tuple(_routed(nic, 1 + n) for n in range(min(PER_CARD, number - first)))
        pci += [_port(root, next(groups)), _card(nic, root, virtual, next(groups))]
        pci += [_virtual(one, n, nic, root, next(groups)) for n, one in enumerate(virtual)]
    units = tuple(IommuUnit(f"dmar{n}", 48, snoops=True, remaps=True) for n in range(1 + len(pci) // 16000))
    server = host("gpu-server")
    assert server.iommu
    return replace(
        server,
        name="many",
        iommu=replace(server.iommu, units=units),
        groups=tuple(IommuGroup(one.group or 0, "DMA-FQ", (one.address,), (MSI,)) for one in pci),
        pci=tuple(pci),
        note=f"generated: {number} virtual functions",
    )


def _routed(nic: PciAddress, distance: int) -> PciAddress:
    """Routing ids go on over the end of a bus (SR-IOV 1.1, 2.1.2)."""
    buses, rest = divmod(nic.device * 8 + nic.function + distance, 256)
    return PciAddress(nic.domain, nic.bus + buses, rest // 8, rest % 8)


def _port(address: PciAddress, group: int) -> PciFunction:
    return PciFunction(
        address, "8086:352a", "8086:0000", "060400", "04", "Intel PCIe root port", "pcieport", None, _node(address),
        group, ("pm",), (), iommu=_unit(address), config=Config(header=1, pin=1, port="root-port", msi=1),
    )  # fmt: skip


def _card(address: PciAddress, root: PciAddress, virtual: tuple[PciAddress, ...], group: int) -> PciFunction:
    return PciFunction(
        address, "15b3:101d", "15b3:0016", "020000", "00", "Mellanox MT2892 Family [ConnectX-6 Dx]", "mlx5_core", None,
        _node(address), group, ("flr", "bus"), (Bar(0, "mem64", True, _place(address), 32 * MIB),),
        virtual_functions=virtual, parent=root, iommu=_unit(address), irq=60, power=_AWAKE,
        config=Config(pin=1, port="endpoint", flr=True, msix=Msix(64, 0, 0x2000, 0, 0x3000), extended=("0010", "000e")),
        sriov=Sriov(PER_CARD, len(virtual), 1, 1, autoprobe=False, device="101e"),
    )  # fmt: skip


def _virtual(address: PciAddress, number: int, nic: PciAddress, root: PciAddress, group: int) -> PciFunction:
    return PciFunction(
        address, "15b3:101e", "15b3:0016", "020000", "00", "Mellanox ConnectX Family mlx5Gen Virtual Function", None,
        None, _node(address), group, ("flr",),
        (Bar(0, "mem64", True, _place(nic) + 256 * MIB + number * MIB, MIB),),
        serial=f"{nic.domain:x}{nic.bus:02x}{number:04}", physical_function=nic, parent=root, iommu=_unit(address),
        power=_AWAKE,
        config=Config(port="endpoint", flr=True, msix=Msix(12, 0, 128 * KIB, 0, 132 * KIB), extended=("000e",)),
    )  # fmt: skip


_AWAKE = Power("D0", "active", "on", d3cold_allowed=True)


def _place(address: PciAddress) -> int:
    return 0x2000_0000_0000 + ((address.domain << 8) + address.bus << 30)


def _unit(address: PciAddress) -> str:
    return f"dmar{address.domain}"


def _node(address: PciAddress) -> int:
    return address.bus >> 7
