"""Rules about BARs: their places on the host and in the guest, who holds them, what of them is mapped. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.host.facts import Config
from launcher.machine.pieces import pages_of
from launcher.planner.bars import message_spans
from launcher.planner.functions import VGA, is_kind, on_vfio
from launcher.planner.linux import given, release
from launcher.planner.places import in_spec
from launcher.planner.quirks import above, is_tunnelled
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series, sysfs
from launcher.typed import TYPE_CHECKING
from launcher.values import KIB, MIB, Missing, PciAddress, Span, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Bar, Linux, PciFunction
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
}
# What the platform device simple-framebuffer.0 itself holds (sysfb_simplefb.c): it stays when its driver has gone.
_BOOTFB = "BOOTFB"
_WITHOUT_SYSFB = "initcall_blacklist=sysfb_init"
# A console on a framebuffer keeps its driver (harvester/harvester#6228, with efifb).
_CONSOLES_OFF = "for c in /sys/class/vtconsole/vtcon*/bind; do echo 0 > $c; done"
_DOORBELLS = Span(4 * KIB, 4 * KIB)


def _passed(it: Situation) -> Iterator[tuple[Taken, tuple[Bar, ...]]]:
    for one in it.passing.taken:
        if one.passed and not isinstance(one.function.bars, Missing):
            yield one, one.function.bars


def _no_place(it: Situation) -> Iterator[Diagnostic]:
    """One message for each BAR: what to leave out depends on their sizes."""
    functions = {one.function.address: one.function for one in it.passing.taken}
    for one in it.devices:
        if not isinstance(one.host, PciAddress):
            continue
        function = functions[one.host]
        bars = {} if isinstance(function.bars, Missing) else {bar.index: bar for bar in function.bars}
        for bar in (bar for bar in one.bars if bar.guest is None):
            fact = f"{one.alias}: BAR {bar.index} of {one.host} ({show_size(bar.size)}) has no place in the guest"
            smaller = [size for size in bars[bar.index].sizes if size < bar.size]
            help_ = ["pass fewer devices with such BARs to one VM"]
            help_ += [f"or make it smaller first: `{_resizing(function, bar.index, max(smaller))}`"] if smaller else []
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
            names = series(lost[index] for index in sorted(lost))
            fact = f"{one.alias}: {names} of {address} {'has' if len(lost) == 1 else 'have'} no address on the host"
            help_, fix = _more_room(one.function, it)
            yield Diagnostic("E317", fact, where, help=help_, fix=fix)
        for index in config.unassigned_ports:
            fact = f"{one.alias}: I/O BAR {index} of {address} has no ports on the host; the guest reads all ones there"
            more = "".join(_reallocating(it.host.linux, ", or boot"))
            help_ = (f"most drivers do without; else take devices out{more}",)
            yield Diagnostic("W319", fact, where, help=help_)


def _reallocating(linux: Linux, boot: str) -> tuple[str, ...]:
    """Where the kernel has tried that already, it does not help."""
    return () if given(linux, "pci=realloc") else (f"{boot} the host with `pci=realloc`",)


def _more_room(function: PciFunction, it: Situation) -> tuple[tuple[str, ...], str | None]:
    """What comes later finds the room that its port was given when the host booted. A port goes with all below it."""
    ports = above(function, it.host)
    coming = any(isinstance(one.config, Config) and one.config.hot_plug for one in ports)
    if not (coming or is_tunnelled(function, it.host)):
        first = "switch on Above 4G Decoding (also: 64-bit MMIO, large BARs) in the firmware"
        return (first, *_reallocating(it.host.linux, "or boot")), None
    below_root = [one for one in ports if one.parent is not None]
    port = below_root[-1] if below_root else ports[-1]
    used = any(one.uses and port in above(one, it.host) for one in it.host.pci)
    fix = None if used else f"echo 1 > {sysfs(port)}/remove; echo 1 > /sys/bus/pci/rescan"
    sizes = "`pci=realloc,hpmmioprefsize=16G,hpmmiosize=256M` (before Linux 5.5 `hpmemsize=`), so that ports leave room"
    return (
        *((f"it came by a hot-plug port: have the port above it laid out anew: `{fix}`",) if fix else ()),
        f"{'or ' if fix else ''}boot the host with {sizes}",
        "or boot the host with the device plugged in and switched on",
    ), fix


def _framebuffer(it: Situation) -> Iterator[Diagnostic]:
    """Since 6.0 vfio-pci takes a VGA device's memory from it when it is bound (vfio_pci_vga_init), and never later."""
    for one, bars in _passed(it):
        held = [(bar, name) for bar in bars for name in bar.claimed if name == _BOOTFB or name in _FRAMEBUFFERS]
        if not held:
            continue
        (bar, name), where = held[-1], in_spec(f"devices.{one.alias}")
        holds = f"{one.alias}: the host's boot framebuffer ({name}) is in BAR {bar.index} of {one.function.address}"
        evicts = one.function.class_code.startswith(VGA) and release(it.host.kernel) >= (6, 0)
        if evicts and not on_vfio(one.function):
            login = ("have a serial console or a network login at hand",)
            yield Diagnostic("W318", f"{holds}; the host's screen goes dark on up", where, help=login)
            continue
        fact = f"{holds}, and {_why_it_stays(one.function)} cannot reserve it"
        words, fix = _binding_anew(one.function) if evicts else _taking_away([name for _, name in held], one.function)
        help_ = (f"{words}: `{fix}`", _without_framebuffer(it.host.linux))
        yield Diagnostic("E318", fact, where, help=help_, fix=fix)


def _why_it_stays(function: PciFunction) -> str:
    return f"{function.driver}, which has the device already," if on_vfio(function) else "vfio-pci"


def _binding_anew(function: PciFunction) -> tuple[str, str]:
    """The eviction is part of the binding: what was there after it stays for good (siderolabs/talos#14356)."""
    driver = f"/sys/bus/pci/drivers/{function.driver}"
    command = f"echo {function.address} > {driver}/unbind; echo {function.address} > {driver}/bind"
    return f"bind it to {function.driver} anew, which takes the framebuffer away", command


def _taking_away(names: list[str], function: PciFunction) -> tuple[str, str]:
    """What to do, and its command. What the platform device holds goes only with the lines of the BARs themselves."""
    commands = []
    if found := next((_FRAMEBUFFERS[name] for name in reversed(names) if name in _FRAMEBUFFERS), None):
        commands += [_CONSOLES_OFF, f"echo {found[0]} > /sys/bus/platform/drivers/{found[1]}/unbind"]
    if _BOOTFB in names:
        commands += [f"echo 1 > {sysfs(function)}/remove", "echo 1 > /sys/bus/pci/rescan"]
    what = "take it away" if found else "let the kernel look for the device anew, without it"
    return what, "; ".join(commands)


def _without_framebuffer(linux: Linux) -> str:
    """The initcall of sysfb is not the only one that makes a framebuffer where drivers for it are built in."""
    if not given(linux, _WITHOUT_SYSFB):
        return f"or boot the host with `{_WITHOUT_SYSFB}`"
    firmware = "have the firmware show its picture on another card (primary display in its setup)"
    return f"or {firmware}: the host was booted with `{_WITHOUT_SYSFB}`, and that has not kept it away"


def _resizable(it: Situation) -> Iterator[Diagnostic]:
    """The guest sees no Resizable BAR capability: what the host sets is what it gets."""
    for one, bars in _passed(it):
        for bar in bars:
            largest = max(bar.sizes, default=0)
            if largest > bar.size > 0:
                has = f"BAR {bar.index} of {one.function.address} has {show_size(bar.size)} and could have"
                fact = f"{one.alias}: {has} {show_size(largest)}; the guest cannot resize it"
                command = _resizing(one.function, bar.index, largest)
                help_ = (f"resize it first, while no driver has the device: `{command}`", "or in the firmware (ReBAR)")
                yield Diagnostic("W317", fact, in_spec(f"devices.{one.alias}"), help=help_, fix=command)


def _resizing(function: PciFunction, index: int, size: int) -> str:
    """EBUSY while a driver has the device (resource_resize_store in pci-sysfs.c), vfio-pci as any other."""
    resize = f"echo {(size // MIB).bit_length() - 1} > {sysfs(function)}/resource{index}_resize"
    if not on_vfio(function):
        return resize
    driver = f"/sys/bus/pci/drivers/{function.driver}"
    return f"echo {function.address} > {driver}/unbind; {resize}; echo {function.address} > {driver}/bind"


def _shared_page(it: Situation) -> Iterator[Diagnostic]:
    """A table that starts within a page, or that lies where an NVMe drive has its doorbells, has company there."""
    for one, bars in _passed(it):
        for bar in bars:
            spans = tuple(span for index, span in message_spans(one.function) if index == bar.index)
            crowded = sorted({pages_of(span).start for span in spans if _has_company(span, spans, one.function)})
            if crowded:
                pages = series(f"{page:#x}" for page in crowded)
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
