"""Rules about interrupts: whether a device has one that works, whom it shares it with, and how many there are. Pure."""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

from launcher.errors import Diagnostic
from launcher.planner.functions import bridges_above, on_vfio
from launcher.planner.linux import values_of
from launcher.planner.needs import VECTORS_OF_A_CPU, free_vectors, vectors_asked, vectors_of, with_interrupts
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, shown
from launcher.record import record
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Config, PciFunction
    from launcher.planner.decided import Situation
    from launcher.values import PciAddress

# vfio-pci shows these without INTx, because theirs cannot be told from another's: XL710, X710, XXV710, X722, X550.
_BROKEN_INTX = {
    f"8086:{device:04x}"
    for device in (0x1563, 0x1572, 0x1574, 0x1580, 0x1581, *range(0x1583, 0x158C), 0x37D0, 0x37D1, 0x37D2)
}

# Descriptors that `up` needs besides: memory, KVM, groups, console, journal. And of a device: itself, INTx and
# its resample, errors, requests.
_OTHER_FILES, _FILES_OF_A_DEVICE = 64, 5


@record
class Ban:
    """Why the host gives a function no MSI and no MSI-X, and how to change that."""

    why: str
    way_out: str
    fix: str | None = None


def ban(it: Situation, function: PciFunction) -> Ban | None:
    if any("nomsi" in value.split(",") for value in values_of(it.host.linux, "pci")):
        return Ban("`pci=nomsi` is on the kernel's command line", "boot the host without `pci=nomsi`")
    if function.messages:
        return None
    culprit, fix = _highest(it, function), "echo 1 > /sys/bus/pci/devices/{}/msi_bus"
    return Ban(f"msi_bus of {culprit} is 0", f"allow them: `{fix.format(culprit)}`", fix.format(culprit))


def _highest(it: Situation, function: PciFunction) -> PciAddress:
    """A bridge that forbids messages does so for all that is below."""
    forbid = takewhile(lambda bridge: not bridge.messages, bridges_above(function, it.host_functions))
    return [function.address, *(bridge.address for bridge in forbid)][-1]


def _line(it: Situation, function: PciFunction, config: Config) -> str | None:
    """What is wrong with INTx, None if nothing is. A virtual function has no pin."""
    if not config.pin:
        return "it has no INTx"
    if function.id in _BROKEN_INTX and it.host.linux.parameters.get("vfio_pci.nointxmask") != "Y":
        return "vfio-pci hides its INTx, which is broken"
    return "its INTx leads nowhere (irq 0)" if function.irq == 0 else None


def _none_usable(it: Situation) -> Iterator[Diagnostic]:
    for one, config in with_interrupts(it):
        broken, where = _line(it, one.function, config), in_spec(f"devices.{one.alias}")
        forbidden = ban(it, one.function)
        if broken is None:
            continue
        if vectors_of(config) and forbidden:
            kind = "MSI-X" if config.msix else "MSI"
            fact = f"{one.alias}: {one.function.address} needs {kind}, and this host forbids it"
            evidence = (forbidden.why, broken)
            yield Diagnostic("E256", fact, where, evidence, (forbidden.way_out,), forbidden.fix)
        elif not vectors_of(config):
            fact = f"{one.alias}: {one.function.address} has no interrupt that a guest could use"
            help_ = ("a driver that polls works; any other waits for ever",)
            yield Diagnostic("W257", fact, where, (broken, "it has no MSI and no MSI-X"), help_)


def _shared_line(it: Situation) -> Iterator[Diagnostic]:
    """Only INTx, and drivers of the host on the same line. Whether it can be masked is only seen by trying."""
    alone = [
        one for one, config in with_interrupts(it) if not vectors_of(config) and _line(it, one.function, config) is None
    ]
    lines = _lines(it) if alone else {}
    for one in alone:
        function = one.function
        others = lines.get(function.irq or 0)
        if not others:
            continue
        certain = it.host.linux.parameters.get("vfio_pci.nointxmask") == "Y"
        then = "which vfio-pci with nointxmask=Y will not share" if certain else "which only works if it can mask it"
        fact = f"{one.alias}: {function.address} has only INTx and shares IRQ {function.irq} with the host, {then}"
        evidence = tuple(f"IRQ {function.irq}: {line}" for line in listed([shown(other) for other in others], 4))
        help_ = ("put the card into another slot, or take the other device from its driver",)
        yield Diagnostic("W258", fact, in_spec(f"devices.{one.alias}"), evidence, help_)


def _lines(it: Situation) -> dict[int, list[PciFunction]]:
    """IRQ -> the functions on it that a driver of the host goes on using. One with MSI has a number of its own."""
    taken = {one.function.address for one in it.passing.taken}
    found: dict[int, list[PciFunction]] = defaultdict(list)
    for one in it.host.pci:
        if one.irq and one.driver and not on_vfio(one) and one.address not in taken:
            found[one.irq].append(one)
    return found


def _too_many(it: Situation) -> Iterator[Diagnostic]:
    """They are taken as the guest unmasks them, so this is a limit on what the guest can do, not on whether it runs."""
    asked = [(one.alias, vectors_of(config)) for one, config in with_interrupts(it)]
    total, free = sum(vectors for _, vectors in asked), free_vectors(it.host)
    count = len(it.host.cpus)
    cpus = "1 online CPU has" if count == 1 else f"{count} online CPUs each have"
    pins = len(it.board.pins)
    routes = 0 if isinstance(it.host.kvm, Missing) else it.host.kvm.extensions.get("irq_routing", 0)
    limits = [
        (free, f"{cpus} {VECTORS_OF_A_CPU}, less those that the host uses"),
        (routes and max(routes - pins, 1), f"KVM routes {routes} interrupts of one VM, {pins} of them its chips'"),
    ]
    short = [why for limit, why in limits if limit and total > limit]
    if not short:
        return
    most = sorted(asked, key=lambda one: -one[1])[:4]
    fact = f"the devices have {total} interrupt vectors, and the guest cannot use all of them at once"
    evidence = (*short, ", ".join(f"{alias} {vectors}" for alias, vectors in most))
    help_ = ("let the guest's drivers use fewer queues", "or pass fewer devices to one VM")
    yield Diagnostic("W259", fact, in_spec("devices"), evidence, help_)


def _too_few_files(it: Situation) -> Iterator[Diagnostic]:
    """A vector's file is opened when the guest first uses it. `open_files` is the hard limit, up to which `up` raises
    the soft one."""
    limit, vectors = it.host.process.open_files, vectors_asked(it)
    needed = vectors + _FILES_OF_A_DEVICE * len(it.passing.functions) + it.spec.cpus.count + _OTHER_FILES
    if limit is None or needed <= limit or not it.spec.devices:
        return
    fact = f"a guest that uses all {vectors} interrupt vectors needs {needed} open files, and the limit is {limit}"
    most = max(65536, needed)
    fix = f"ulimit -n {most}"
    help_ = (f"raise it, as root: `{fix}`", f"for a systemd service: LimitNOFILE={most}")
    yield Diagnostic("W260", fact, in_spec("devices"), help=help_, fix=fix)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _none_usable),
    Rule("kernel", _shared_line),
    Rule("kernel", _too_many),
    Rule("kernel", _too_few_files),
)
