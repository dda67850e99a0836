"""(spec, host, files) -> the firmware that boots the guest, where it is, and its variables. Pure.

Imported where a spec has firmware only. What cannot be loaded is left out; a rule says why.
"""

from __future__ import annotations

from launcher.host.facts import FirmwareImage
from launcher.images.boot_files import BootFile, Variables
from launcher.images.firmware import LARGEST, layout_of
from launcher.machine.board import Fixed
from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.steps import LoadKernel
from launcher.planner.boot import load_kernel
from launcher.planner.decided import Firmware
from launcher.planner.memory import span_of
from launcher.planner.needs import flash_bytes
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, Span, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import HostFacts
    from launcher.images.boot_files import BootFiles
    from launcher.machine.board import Layout
    from launcher.plan.steps import RamRange
    from launcher.planner.decided import Situation
    from launcher.spec.parts import VmSpec
    from launcher.values import PciAddress

KINDS = ("bios", "uefi")  # those of the host; any other word of the spec is a path
HIGH = 4 * GIB  # where a ROM ends


def own_file(spec: VmSpec) -> str | None:
    """The path of a firmware that is the spec's."""
    return None if spec.boot.firmware in (None, *KINDS) else spec.boot.firmware


def installed(kind: str, host: HostFacts) -> FirmwareImage | None:
    """The one of the host that is taken. Builds for Secure Boot are none."""
    return next((one for one in host.boot_firmware or () if one.kind == kind and not one.smm), None)


def chosen(spec: VmSpec, host: HostFacts, files: BootFiles) -> Firmware | None:
    """What is loaded as a ROM."""
    kind = spec.boot.firmware
    if kind in KINDS:
        image = installed(kind, host)
        return None if image is None else _of_host(image)
    return _of_file(files)


def _of_host(one: FirmwareImage) -> Firmware:
    layout = layout_of(bytes.fromhex(one.template_head))
    return Firmware(
        one.kind, one.path, one.sha256, one.size, one.template_size, one.template, one.template_sha256, layout
    )


def _of_file(files: BootFiles) -> Firmware | None:
    """It comes without a template: its flash is as large as the file of its variables."""
    file, kept = files.firmware, files.variables
    if not isinstance(file, BootFile) or file.flash is None or file.flash.kind == "variables":
        return None
    variables = kept if isinstance(kept, Variables) and kept.layout else Variables("", "none")
    return Firmware(file.flash.kind, file.path, file.sha256, file.size, variables.size, layout=variables.layout)


def fits(one: Firmware) -> bool:
    return one.size + one.variables <= LARGEST


def load_firmware(it: Situation) -> LoadFirmware | LoadKernel | None:
    """An ELF file with a PVH entry, as CLOUDHV.fd is, starts as a kernel does."""
    one = it.firmware
    if one is None:
        file = it.files.firmware
        return load_kernel(file, "") if isinstance(file, BootFile) and file.kind == "pvh" else None
    if not fits(one):
        return None
    template = "" if it.spec.boot.variables is not None else one.template
    order = tuple(order_of(it))
    return LoadFirmware(one.kind, one.path, one.sha256, one.size, HIGH - one.size, flash_bytes(it), template, order)


def open_variables(it: Situation) -> OpenVariables | None:
    one, found = it.firmware, it.files.variables
    if one is None or one.kind != "uefi" or not isinstance(found, Variables) or not one.variables:
        return None
    return OpenVariables(found.path, found.identity, one.template, one.template_sha256, one.variables)


def order_of(it: Situation) -> Iterator[PciAddress]:
    """What has a number, by it, as far as it has a place in the guest."""
    virtio = {one.alias: one.guest for one in it.virtio}
    passed = {one.alias: one.guest for one in it.devices if one.role == "device" and one.guest is not None}
    numbered = [(one.boot_order, virtio.get(alias)) for alias, one in it.spec.disks.items()]
    numbered += [(one.boot_order, passed.get(alias)) for alias, one in it.spec.devices.items()]
    ordered = [(order, guest) for order, guest in numbered if order is not None and guest is not None]
    yield from (guest for _, guest in sorted(ordered, key=lambda one: one[0]))


def layout_with(layout: Layout, one: Firmware) -> Layout:
    """The ROM and its flash in place of the page with the reset vector."""
    rom = Span.between(HIGH - one.size - one.variables, HIGH - 1)
    others = tuple(part for part in layout.hole_parts if not rom.overlaps(part.span))
    return replace(
        layout, hole_parts=(*others, Fixed(rom, "firmware and its variables" if one.variables else "firmware"))
    )


def window_of(wanted: Span, ranges: Iterable[RamRange], layout: Layout) -> Span:
    """Where OVMF has its window for 64-bit BARs when it is told how large: a power of two, right behind RAM, aligned to
    its size (OvmfPkg/Library/PlatformInitLib/MemDetect.c)."""
    size = 1 << (max(wanted.size, GIB) - 1).bit_length()
    behind = max([layout.high_ram_start, *(span_of(one).end for one in ranges)])
    return Span(align_up(behind, size), size)
