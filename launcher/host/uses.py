"""A Tree in; what the host does with its PCI functions out, read in one pass for all of them."""

from __future__ import annotations

from launcher.host.blocks import block_uses, read_disks, read_owners
from launcher.host.displays import console_uses, display_uses, input_uses
from launcher.host.facts import BlockDevice, Interface, Use, UseKind
from launcher.host.network import read_network
from launcher.host.opened import process_uses
from launcher.record import field, record
from launcher.typed import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    from launcher.host.opened import Opened
    from launcher.host.tree import Tree
    from launcher.values import PciAddress

_ORDER = {kind: place for place, kind in enumerate(get_args(UseKind))}


@record
class Used:
    """By function. `by_address` has None for the display that the machine booted with, whichever that is."""

    by_address: dict[PciAddress | None, set[Use]] = field(default_factory=dict)
    by_interface: dict[PciAddress, list[Interface]] = field(default_factory=dict)
    by_disk: dict[PciAddress, list[BlockDevice]] = field(default_factory=dict)

    def interfaces(self, address: PciAddress) -> tuple[Interface, ...]:
        return tuple(self.by_interface.get(address, ()))

    def disks(self, address: PciAddress) -> tuple[BlockDevice, ...]:
        return tuple(self.by_disk.get(address, ()))

    def uses(self, address: PciAddress, boot_vga: bool) -> tuple[Use, ...]:
        """What is worst to lose first."""
        found = self.by_address.get(address, set())
        if boot_vga:
            found = found | self.by_address.get(None, set())
        return tuple(sorted(found, key=lambda use: (_ORDER[use.kind], use.what)))


NOTHING = Used()


def read_used(tree: Tree, opened: Opened) -> Used:
    network = read_network(tree)
    owners = read_owners(tree)
    used = Used({}, network.interfaces, read_disks(tree, owners))
    sources = (
        block_uses(tree, owners),
        network.uses,
        display_uses(tree),
        console_uses(tree),
        input_uses(tree),
        process_uses(tree, opened),
    )
    for source in sources:
        for address, use in source:
            used.by_address.setdefault(address, set()).add(use)
    return used
