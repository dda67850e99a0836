"""What the spec wants a physical function to give its virtual ones in; what it gives now, and the steps, out. Pure."""

from __future__ import annotations

from launcher.plan.steps import SetVirtualFunction
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import VfSettings, Vlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Interface, PciFunction
    from launcher.planner.decided import Situation, Taken
    from launcher.spec.parts import Network


class Networked(NamedTuple):
    """`wanted` of a device; which number it is of which physical function, and what the interface there says of it now.

    None: it is no virtual function; there is no interface that says anything of it.
    """

    one: Taken
    wanted: VfSettings
    physical: PciFunction | None
    number: int
    interface: Interface | None = None
    now: VfSettings | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """The names of those that are looked at."""
        if self.physical is None or self.interface is None:
            return ()
        one = f"pci[{self.physical.address}].interfaces[{self.interface.name}].functions[{self.number}]"
        return tuple(f"{one}.settings.{name}" for name in self.wanted.said())

    @property
    def unknown(self) -> tuple[str, ...]:
        """What is wanted and could not be put back: its driver does not say what it is."""
        now = self.now.said() if self.now else {}
        return tuple(name for name in self.wanted.said() if name not in now)

    @property
    def changes(self) -> tuple[str, ...]:
        """What is wanted and known to be otherwise."""
        now = self.now.said() if self.now else {}
        return tuple(name for name, value in self.wanted.said().items() if name in now and now[name] != value)


def networked(it: Situation) -> Iterator[Networked]:
    return (_networked(one, one.network, it) for one in it.passing.taken if one.network)


def _networked(one: Taken, network: Network, it: Situation) -> Networked:
    vlan = None if network.vlan is None else Vlan(network.vlan)
    wanted = VfSettings(network.mac, vlan, network.trust, network.spoofcheck)
    pf = it.host_functions.get(one.function.physical_function) if one.function.physical_function else None
    if pf is None or one.function.address not in pf.virtual_functions:
        return Networked(one, wanted, None, 0)
    number = pf.virtual_functions.index(one.function.address)
    found = ((each, now) for each in pf.interfaces if (now := each.function(number)))
    return Networked(one, wanted, pf, number, *next(found, (None, None)))


def network_steps(it: Situation) -> Iterator[SetVirtualFunction]:
    """Behind the binding of drivers: down puts back in reverse, so the host's driver finds what it had."""
    return (step for one in networked(it) if (step := _step(one)))


def _step(one: Networked) -> SetVirtualFunction | None:
    """None: nothing is otherwise, or a rule says what is in the way."""
    if one.physical is None or one.interface is None or one.now is None or one.unknown or not one.changes:
        return None
    address, before, after = one.one.function.address, one.now.only(one.changes), one.wanted.only(one.changes)
    return SetVirtualFunction(address, one.physical.address, one.number, one.interface.name, before, after)
