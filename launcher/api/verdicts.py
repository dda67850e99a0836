"""A host and its functions in; what a spec must say to pass each of them out, by planning a VM with just that one."""

from __future__ import annotations

from collections import defaultdict

from launcher.host.facts import HostFacts, PciFunction
from launcher.images.boot_files import BootFile, BootFiles
from launcher.machine.boards import board_of
from launcher.plan.plan import SpecIdentity
from launcher.planner.decided import Terms
from launcher.planner.firmware import KINDS
from launcher.planner.functions import bridges_above, is_bridge, is_kind
from launcher.planner.make import plan_of
from launcher.planner.places import in_spec
from launcher.record import record, replace
from launcher.report.inventory import Verdict
from launcher.spec.parts import DEVICE, VM_SPEC
from launcher.typed import TYPE_CHECKING
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.errors import Diagnostic

ALIAS = "device"
_WORDS = ("in-use", "no-reset", "unsafe-interrupts")
_SPEC = {"name": "trial", "boot": {"kernel": "/kernel"}, "cpus": 1, "memory": "1GiB"}
_SERVED = {
    "disks": {"disk": {"path": "/disk"}},
    "nics": {"lan": {"bridge": "br0"}, "inet": {"user": True}},
    "shares": {"share": {"path": "/"}},
    "vsock": {},
}
_FILES = BootFiles(BootFile("/kernel", "pvh", 4096, "", 0x100000))


@record
class Trial:
    """What the planner finds in a VM with one device: `own` is about devices, `general` about anything else.

    `taken`: the functions that it would take from the host, the device first."""

    own: tuple[Diagnostic, ...]
    general: tuple[Diagnostic, ...]
    taken: tuple[PciAddress, ...] = ()


class Trials:
    """Plans for single devices of one host. What is the same for all is made once."""

    def __init__(self, host: HostFacts) -> None:
        self._host = host
        self._spec = VM_SPEC.read(_SPEC)
        self._functions = {one.address: one for one in host.pci}
        self._groups = {one.number: one for one in host.groups}
        self._buses: dict[tuple[int, int], list[PciAddress]] = defaultdict(list)
        self._lines: dict[int, list[PciAddress]] = defaultdict(list)
        for address, one in self._functions.items():
            self._buses[address.domain, address.bus].append(address)
            self._lines[one.irq or 0].append(address)

    def verdicts(self, functions: Iterable[PciFunction]) -> dict[PciAddress, Verdict]:
        """What is said of each device in the same words, and lifted by no spec, is in the way of all."""
        judged = {one.address: self._verdict(one) for one in functions}
        found = [map(without_alias, one.problems) for one in judged.values() if not one.bridge]
        said = [{one.message: one for one in problems} for problems in found]
        alike: set[str] = set.intersection(*map(set, said)) if len(said) > 1 else set()
        if not alike:
            return judged
        general = tuple(one for message, one in said[0].items() if message in alike)
        codes = frozenset(one.code for one in general)
        again = {address: self._verdict(self._functions[address], codes) for address in judged}
        return {one: verdict if verdict.bridge else verdict.hindered(general) for one, verdict in again.items()}

    def _verdict(self, function: PciFunction, ignored: frozenset[str] = frozenset()) -> Verdict:
        if is_bridge(function):
            return Verdict(bridge=True)
        bare, address = self.plan(function.address), function.address
        verdict = Verdict(unread=tuple(one for one in bare.own if one.code == "W216"))
        if not errors_of(bare.own, ignored):
            return verdict
        wishes = self._wishes(address, ignored)
        if wishes is not None:
            return replace(verdict, wishes=wishes)
        return replace(verdict, problems=self._errors(address, ignored, companions="attach", allow=_WORDS))

    def _wishes(self, address: PciAddress, ignored: frozenset[str]) -> tuple[str, ...] | None:
        """The fewest that leave no error; None: whatever the spec says, there is one."""
        for fate in ("refuse", "attach", "detach"):
            if self._errors(address, ignored, companions=fate, allow=_WORDS):
                continue
            less = {word: tuple(other for other in _WORDS if other != word) for word in _WORDS}
            allow = [word for word in _WORDS if self._errors(address, ignored, companions=fate, allow=less[word])]
            wishes = (f"allow: [{', '.join(allow)}]",) if allow else ()
            return wishes if fate == "refuse" else (f"companions: {fate}", *wishes)
        return None

    def _errors(self, address: PciAddress, ignored: frozenset[str], **wishes: object) -> tuple[Diagnostic, ...]:
        return errors_of(self.plan(address, **wishes).own, ignored)

    def plan(self, address: PciAddress, **wishes: object) -> Trial:
        device = DEVICE.read({"pci": str(address), **wishes})
        spec = replace(self._spec, devices={ALIAS: device})
        board = board_of(self._host.architecture)
        plan = plan_of(spec, SpecIdentity("", "", {}), self._around(address), _FILES, Terms(in_spec), board)
        own = tuple(one for one in plan.diagnostics if _is_own(one))
        general = tuple(one for one in plan.diagnostics if one not in own)
        return Trial(own, general, tuple(one.host for one in plan.devices if isinstance(one.host, PciAddress)))

    def served(self) -> tuple[Diagnostic, ...]:
        """What a VM with disks, networks, shares and vsock would miss here; none where that was not recorded."""
        if self._host.serving is None:
            return ()
        spec, board = VM_SPEC.read(_SPEC | _SERVED), board_of(self._host.architecture)
        host = replace(self._host, pci=(), groups=())
        plan = plan_of(spec, SpecIdentity("", "", {}), host, _FILES, Terms(in_spec), board)
        return tuple(one for one in plan.diagnostics if one.code[1] == "6" and one.code != "E635")

    def firmware(self) -> tuple[Diagnostic, ...]:
        """What a VM that boots by firmware of the host would miss; none where that was not recorded."""
        if self._host.boot_firmware is None:
            return ()
        board, host, none = board_of(self._host.architecture), replace(self._host, pci=(), groups=()), BootFiles(None)
        specs = (VM_SPEC.read(_SPEC | {"boot": kind}) for kind in KINDS)
        plans = (plan_of(spec, SpecIdentity("", "", {}), host, none, Terms(in_spec), board) for spec in specs)
        return tuple(one for plan in plans for one in plan.diagnostics if one.code in ("E450", "E451"))

    def _around(self, address: PciAddress) -> HostFacts:
        """The host with those functions and groups only that a plan for this one looks at: a big host has thousands."""
        function = self._functions.get(address)
        near = {address, *self._near(function)} & self._functions.keys() if function else set()
        groups = self._groups.keys() & {self._functions[one].group for one in near}
        return replace(
            self._host,
            pci=tuple(self._functions[one] for one in sorted(near)),
            groups=tuple(self._groups[one] for one in sorted(groups)),
        )

    def _near(self, function: PciFunction) -> Iterator[PciAddress]:
        """Its group, its bus and the groups there, its interrupt line, its card, that card's virtual functions, the
        bridges above."""
        beside = self._buses[function.address.domain, function.address.bus]
        for number in {self._functions[one].group for one in beside}:
            if number is not None and (group := self._groups.get(number)):
                yield from group.devices
        yield from beside
        yield from self._lines[function.irq] if function.irq else ()
        yield from function.virtual_functions
        if function.physical_function is not None:
            yield function.physical_function
        yield from (bridge.address for bridge in bridges_above(function, self._functions))


def of_class(host: HostFacts, kind: str) -> list[PciFunction]:
    """`gpu`, `nvme`, as a spec has it, or the first hex digits of a class; all, if it is empty."""
    return [one for one in host.pci if is_kind(one, kind)]


def errors_of(found: Iterable[Diagnostic], ignored: frozenset[str] = frozenset()) -> tuple[Diagnostic, ...]:
    return tuple(one for one in found if one.severity == "error" and one.code not in ignored)


def without_alias(one: Diagnostic) -> Diagnostic:
    return replace(one, message=one.message.removeprefix(f"{ALIAS}: "))


def _is_own(one: Diagnostic) -> bool:
    """So says its place, or the alias with which its message begins."""
    path = one.where.path if one.where else ""
    return path.startswith("devices") or one.message.startswith(f"{ALIAS}: ")
