"""Rules about BARs: their places on the host and in the guest, who holds them, what of them is mapped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.host.facts import Config
from launcher.machine.pieces import pages_of
from launcher.planner.bars import message_spans
from launcher.planner.functions import VGA, is_kind
from launcher.planner.linux import release
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.values import KIB, MIB, Missing, Span, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Bar, PciFunction
    from launcher.planner.decided import Situation, Taken

# Who holds the firmware's framebuffer, as /proc/iomem names them -> the platform device and the driver to take it from.
_FRAMEBUFFERS = {
    "efifb": ("efi-framebuffer.0", "efi-framebuffer"),
    "efidrm": ("efi-framebuffer.0", "efi-framebuffer"),
    "vesafb": ("vesa-framebuffer.0", "vesa-framebuffer"),
    "vesadrm": ("vesa-framebuffer.0", "vesa-framebuffer"),
    "simplefb": ("simple-framebuffer.0", "simple-framebuffer"),
    "simple-framebuffer": ("simple-framebuffer.0", "simple-framebuffer"),
    "simpledrm": ("simple-framebuffer.0", "simple-framebuffer"),
    "BOOTFB": None,
}
_DOORBELLS = Span(4 * KIB, 4 * KIB)


def _passed(it: Situation) -> Iterator[tuple[Taken, tuple[Bar, ...]]]:
    for one in it.passing.taken:
        if one.passed and not isinstance(one.function.bars, Missing):
            yield one, one.function.bars


def _no_place(it: Situation) -> Iterator[Diagnostic]:
    """One message for each BAR: what to leave out depends on their sizes."""
    for one in it.devices:
        function = it.functions[one.host]
        bars = {} if isinstance(function.bars, Missing) else {bar.index: bar for bar in function.bars}
        for bar in (bar for bar in one.bars if bar.guest is None):
            fact = f"{one.alias}: BAR {bar.index} of {one.host} ({show_size(bar.size)}) has no place in the guest"
            smaller = [size for size in bars[bar.index].sizes if size < bar.size]
            help_ = ["pass fewer devices with such BARs to one VM"]
            help_ += [f"or make it smaller first: `{_resizing(one.host, bar.index, max(smaller))}`"] if smaller else []
            yield Diagnostic("E312", fact, in_spec(f"devices.{one.alias}"), _room(bar.kind, it), tuple(help_))


def _room(kind: str, it: Situation) -> tuple[str, ...]:
    layout = it.board.layout
    if kind == "io":
        return (f"I/O ports for BARs: {layout.bar_ports.start:x}-{layout.bar_ports.last:x}",)
    if kind == "mem32":
        return (f"32-bit BARs: {layout.bars_32} ({show_size(layout.bars_32.size)}) for all devices",)
    return (f"64-bit BARs: above the guest's memory, below {it.bits} bits", *(one.what for one in it.widths))


def _unassigned(it: Situation) -> Iterator[Diagnostic]:
    """Such a BAR is missing for VFIO too, or the kernel does not even enable the device. Few drivers use ports."""
    for one, bars in _passed(it):
        config = one.function.config if isinstance(one.function.config, Config) else Config()
        sizes = {bar.index: f"BAR {bar.index} ({show_size(bar.size)})" for bar in bars if not bar.start}
        lost = sizes | {n: f"BAR {n}" for n in config.unassigned if n not in {*config.unassigned_ports, *sizes}}
        where, address = in_spec(f"devices.{one.alias}"), one.function.address
        if lost:
            names = " and ".join(lost[index] for index in sorted(lost))
            fact = f"{one.alias}: {names} of {address} has no address on the host"
            help_ = ("switch on Above 4G Decoding (also: 64-bit MMIO, large BARs) in the firmware",)
            yield Diagnostic("E317", fact, where, help=(*help_, "or boot the host with `pci=realloc`"))
        for index in config.unassigned_ports:
            fact = f"{one.alias}: I/O BAR {index} of {address} has no ports on the host; the guest reads all ones there"
            help_ = ("most drivers do without; else take devices out, or boot the host with `pci=realloc`",)
            yield Diagnostic("W319", fact, where, help=help_)


def _framebuffer(it: Situation) -> Iterator[Diagnostic]:
    """Since 6.0 vfio-pci takes a VGA device's memory from it (aperture_remove_conflicting_pci_devices)."""
    for one, bars in _passed(it):
        held = [(bar, name) for bar in bars for name in bar.claimed if name in _FRAMEBUFFERS]
        if not held:
            continue
        (bar, name), where = held[-1], in_spec(f"devices.{one.alias}")
        holds = f"{one.alias}: the host's boot framebuffer ({name}) is in BAR {bar.index} of {one.function.address}"
        if one.function.class_code.startswith(VGA) and release(it.host.kernel) >= (6, 0):
            help_ = ("have a serial console or a network login at hand",)
            yield Diagnostic("W318", f"{holds}; the host's screen goes dark on up", where, help=help_)
        else:
            yield _holds_framebuffer(holds, name, one)


def _holds_framebuffer(holds: str, name: str, one: Taken) -> Diagnostic:
    found = _FRAMEBUFFERS[name]
    where, boot = in_spec(f"devices.{one.alias}"), "boot the host with `initcall_blacklist=sysfb_init`"
    fact = f"{holds}, and vfio-pci cannot reserve it"
    if found is None:
        return Diagnostic("E318", fact, where, help=(boot,))
    device, driver = found
    command = f"echo {device} > /sys/bus/platform/drivers/{driver}/unbind"
    return Diagnostic("E318", fact, where, help=(f"take it away: `{command}`", f"or {boot}"), fix=command)


def _resizable(it: Situation) -> Iterator[Diagnostic]:
    """The guest sees no Resizable BAR capability: what the host sets is what it gets."""
    for one, bars in _passed(it):
        for bar in bars:
            largest = max(bar.sizes, default=0)
            if largest > bar.size > 0:
                has = f"BAR {bar.index} of {one.function.address} has {show_size(bar.size)} and could have"
                fact = f"{one.alias}: {has} {show_size(largest)}; the guest cannot resize it"
                command = _resizing(one.function.address, bar.index, largest)
                help_ = (f"resize it first, while no driver has the device: `{command}`", "or in the firmware (ReBAR)")
                yield Diagnostic("W317", fact, in_spec(f"devices.{one.alias}"), help=help_, fix=command)


def _resizing(address: object, index: int, size: int) -> str:
    return f"echo {(size // MIB).bit_length() - 1} > /sys/bus/pci/devices/{address}/resource{index}_resize"


def _shared_page(it: Situation) -> Iterator[Diagnostic]:
    """A table that starts within a page, or that lies where an NVMe drive has its doorbells, has company there."""
    for one, bars in _passed(it):
        for bar in bars:
            spans = tuple(span for index, span in message_spans(one.function) if index == bar.index)
            crowded = sorted({pages_of(span).start for span in spans if _has_company(span, spans, one.function)})
            if crowded:
                pages = " and ".join(f"{page:#x}" for page in crowded)
                fact = (
                    f"{one.alias}: in BAR {bar.index} of {one.function.address} other registers share the page of the"
                )
                fact += f" MSI-X table or its pending bits ({pages})"
                help_ = ("nothing is to be done: that page is trapped, and each access to it costs microseconds",)
                yield Diagnostic("W320", fact, in_spec(f"devices.{one.alias}"), help=help_)


def _has_company(span: Span, spans: tuple[Span, ...], function: PciFunction) -> bool:
    pages = pages_of(span)
    doorbells = is_kind(function, "nvme") and pages.overlaps(_DOORBELLS)
    return doorbells or not any(pages.start in one for one in spans)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _no_place),
    Rule("kernel", _unassigned),
    Rule("kernel", _framebuffer),
    Rule("policy", _resizable),
    Rule("policy", _shared_page),
)
