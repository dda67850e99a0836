"""A Tree in, PCI functions out. Wakes no device unless asked to; never reads `rom`, `resourceN` or `vpd`."""

from __future__ import annotations

from launcher.host.addresses import last, parent, pci_address
from launcher.host.bars import Claim, Line, empty_bars, framebuffer_claims, read_bars, read_lines, rom
from launcher.host.config import CONVENTIONAL, decode_config
from launcher.host.facts import Bar, Config, PciFunction, Sriov
from launcher.host.lists import entries, keyed, number, str_of
from launcher.host.names import Names
from launcher.host.power import Folder, is_awake, read_errors, read_link, read_power
from launcher.host.uses import NOTHING
from launcher.record import replace
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import Missing, PciAddress

if TYPE_CHECKING:
    from launcher.host.tree import Tree
    from launcher.host.uses import Used

_DEVICES = "/sys/bus/pci/devices"
_SLOTS = "/sys/bus/pci/slots"
_RESIZE = "_resize"
_WHOLE = 4096  # bytes of configuration space


class _Machine(NamedTuple):
    """What is read once for all functions. `messages`: whether MSIs get through a bridge, as far as it is known."""

    tree: Tree
    names: Names
    slots: dict[str, str]
    claims: tuple[Claim, ...]
    used: Used
    messages: dict[PciAddress, bool]
    deep: bool
    raw: bool


class Functions(NamedTuple):
    """By address. `gone`: those that were taken away while they were read; what was read of them may be half."""

    there: tuple[PciFunction, ...] = ()
    gone: tuple[PciAddress, ...] = ()


def read_pci(tree: Tree, used: Used = NOTHING, *, deep: bool = False, raw: bool = False) -> Functions:
    """A machine without PCI has none. `deep` wakes those that sleep."""
    folders = entries(tree.list_folder(_DEVICES))
    if not folders:
        return Functions()
    claims = framebuffer_claims(tree.read_text("/proc/iomem"))
    machine = _Machine(tree, Names.read(tree), _slots(tree), claims, used, {}, deep, raw)
    found = {address: _function(machine, address) for address in sorted(map(PciAddress.parse, folders))}
    there = tuple(one for one in found.values() if one is not None)
    return Functions(there, tuple(address for address, one in found.items() if one is None))


def _function(machine: _Machine, address: PciAddress) -> PciFunction | None:
    """`uevent` comes last. device_del() takes it away before the other files and the IOMMU group: if it is there, what
    was read before was whole."""
    path = f"{_DEVICES}/{address}"
    folder = Folder(machine.tree, path, frozenset(entries(machine.tree.list_folder(path))))
    found, text = _unnamed(machine, address, folder), folder.text("uevent")
    if isinstance(text, Missing) and text.missing == "absent":
        return None
    # One read instead of six; also right for virtual functions, whose config space says ffff:ffff.
    event = keyed(text, "=")
    identity = event.get("PCI_ID", "").lower()
    return replace(
        found,
        id=identity,
        subsystem=event.get("PCI_SUBSYS_ID", "").lower() or None,
        class_code=event.get("PCI_CLASS", "").lower().rjust(6, "0"),
        name=machine.names.of(identity),
        driver=event.get("DRIVER"),
    )


def _unnamed(machine: _Machine, address: PciAddress, folder: Folder) -> PciFunction:
    power, above = read_power(folder), parent(machine.tree.read_link(folder.path))
    awake = machine.deep or is_awake(power)
    lines = _lines(folder.text("resource"))
    boot_vga = folder.text("boot_vga") == "1"
    return PciFunction(
        address=address,
        id="",
        subsystem=None,
        class_code="",
        revision=str_of(folder.text("revision")).removeprefix("0x") or None,
        name=None,
        driver=None,
        driver_override=_override(folder.text("driver_override")),
        node=_node(folder.number("numa_node")),
        group=number(last(folder.link("iommu_group"))),
        reset=_reset(folder),
        bars=lines if isinstance(lines, Missing) else _bars(folder, lines, machine.claims, awake),
        serial=_serial(folder),
        slot=machine.slots.get(address.slot),
        physical_function=pci_address(last(folder.link("physfn"))),
        virtual_functions=_virtual_functions(folder),
        parent=above,
        iommu=last(folder.link("iommu")) or None,
        config=_config(folder, lines, awake, machine.raw),
        reset_off=folder.text("reset_method") == "",
        irq=folder.number("irq"),
        messages=folder.text("msi_bus") != "0" and _passes_messages(machine, above),
        boot_vga=boot_vga,
        rom=_rom(folder, lines),
        power=power,
        link=read_link(folder, awake),
        errors=read_errors(folder),
        sriov=_sriov(folder),
        interfaces=machine.used.interfaces(address),
        uses=machine.used.uses(address, boot_vga),
        disks=machine.used.disks(address),
        vfio=_vfio(folder),
        removable="removable" in folder.names and folder.text("removable") == "removable",
    )


def _override(text: str | Missing) -> str | None:
    """The kernel writes an unset override as `(null)`."""
    return None if isinstance(text, Missing) or text in ("", "(null)") else text


def _node(node: int | None) -> int | None:
    """-1: the firmware says nothing, which is not node 0."""
    return None if node is None or node < 0 else node


def _reset(folder: Folder) -> tuple[str, ...] | Missing:
    """No file: no way to reset; an empty line: an administrator switched it off. Before 5.15 only `reset` tells."""
    text = folder.text("reset_method")
    if isinstance(text, Missing):
        return () if text.missing == "absent" and "reset" not in folder.names else text
    return tuple(text.split())


def _lines(text: str | Missing) -> tuple[Line, ...] | Missing:
    return text if isinstance(text, Missing) else read_lines(text)


def _bars(folder: Folder, lines: tuple[Line, ...], claims: tuple[Claim, ...], awake: bool) -> tuple[Bar, ...]:
    """The sizes a BAR can have are registers of the device."""
    names = [name for name in folder.names if name.endswith(_RESIZE)] if awake else []
    sizes = {number(name.removeprefix("resource").removesuffix(_RESIZE)): folder.text(name) for name in names}
    return tuple(read_bars(lines, {index: text for index, text in sizes.items() if index is not None}, claims))


def _rom(folder: Folder, lines: tuple[Line, ...] | Missing) -> Literal["none", "bar", "shadow"]:
    if "rom" not in folder.names:
        return "none"
    return "bar" if isinstance(lines, Missing) else rom(lines)


def _config(folder: Folder, lines: tuple[Line, ...] | Missing, awake: bool, raw: bool) -> Config | Missing:
    tree, path = folder.tree, f"{folder.path}/config"
    if "config" not in folder.names:
        return Missing("absent", path)
    if not awake:
        return Missing("asleep", path)
    # Those without CAP_SYS_ADMIN get the header alone, which hides every capability.
    last_word = tree.read_bytes(path, CONVENTIONAL - 4, 4)
    if isinstance(last_word, Missing):
        return last_word
    if not last_word:
        return Missing("denied", path)

    def read(offset: int, size: int) -> bytes:
        found = tree.read_bytes(path, offset, size)
        return b"" if isinstance(found, Missing) else found

    empty = frozenset[int]() if isinstance(lines, Missing) else empty_bars(lines)
    config = decode_config(read, "physfn" in folder.names, empty)
    return replace(config, raw=read(0, _WHOLE).hex()) if raw else config


def _passes_messages(machine: _Machine, bridge: PciAddress | None) -> bool:
    """Whether this bridge and all above it let message-signalled interrupts through."""
    if bridge is None:
        return True
    if bridge not in machine.messages:
        path = f"{_DEVICES}/{bridge}"
        passes = machine.tree.read_text(f"{path}/msi_bus") != "0"
        machine.messages[bridge] = passes and _passes_messages(machine, parent(machine.tree.read_link(path)))
    return machine.messages[bridge]


def _sriov(folder: Folder) -> Sriov | None:
    if "sriov_totalvfs" not in folder.names:
        return None
    total, count, offset, stride = (
        folder.number(f"sriov_{name}") or 0 for name in ("totalvfs", "numvfs", "offset", "stride")
    )
    device = folder.number("sriov_vf_device", 16)
    autoprobe = folder.text("sriov_drivers_autoprobe") != "0"
    return Sriov(total, count, offset, stride, autoprobe, None if device is None else f"{device:04x}")


def _serial(folder: Folder) -> str | None:
    """The NVMe driver keeps it in memory: reading it asks no device."""
    controllers = folder.inside("nvme")
    return str_of(folder.text(f"nvme/{controllers[0]}/serial")).strip() or None if controllers else None


def _vfio(folder: Folder) -> str | None:
    found = folder.inside("vfio-dev")
    return found[0] if found else None


def _virtual_functions(folder: Folder) -> tuple[PciAddress, ...]:
    links = sorted((name for name in folder.names if name.startswith("virtfn")), key=lambda name: int(name[6:]))
    found = (pci_address(last(folder.link(link))) for link in links)
    return tuple(address for address in found if address)


def _slots(tree: Tree) -> dict[str, str]:
    """`0000:03:00` -> the name of the slot it is in."""
    names = entries(tree.list_folder(_SLOTS))
    return {str_of(tree.read_text(f"{_SLOTS}/{name}/address")): name for name in names}
