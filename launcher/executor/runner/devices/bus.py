"""Functions in their slots: the guest's accesses in, answers out; one lock round all of their models."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from launcher.executor.runner.devices.function import Function
from launcher.executor.runner.devices.traps import MACHINE, Key, Space, Traps
from launcher.kernel.api import SPACES, Trap
from launcher.machine.board import PortModel
from launcher.machine.pci import CONFIG_SIZE

ONES = (1 << 64) - 1
MODEL = "model"  # of the machine's own
OWN_LOCK = "registers"  # what waits for an engine stops nobody who wants something else


class Bus:
    """`functions` is filled while the VM is set up, and not changed while it runs."""

    def __init__(self, traps: Traps) -> None:
        self.traps = traps
        self.functions: list[Function] = []
        self.faults = 0  # KVM_RUN met a BAR that did not answer
        self._lock = Lock()
        self._by_devfn: dict[int, Function] = {}
        self._alarms: dict[int, tuple[Function, str]] = {}  # by descriptor
        self._models: list[PortModel] = []

    @property
    def asks(self) -> bool:
        """Accesses come here that a guest without functions and firmware has none of."""
        return bool(self.functions or self._models)

    def answer(self, model: PortModel) -> None:
        """For its ports, from now on."""
        self._models.append(model)
        trap = Trap(model.ports.start, model.ports.size, MODEL)
        self.traps.show("port", Key(MACHINE, len(self._models) - 1), model.ports, (trap,))

    def add(self, one: Function) -> None:
        self.functions.append(one)
        self._by_devfn[one.devfn] = one
        for name, event in one.alarms.items():
            self._alarms[event.fd] = (one, name)

    def remove(self, one: Function) -> None:
        self.functions.remove(one)
        del self._by_devfn[one.devfn]
        self._alarms = {fd: alarm for fd, alarm in self._alarms.items() if alarm[0] is not one}

    def alarms(self) -> Iterator[int]:
        """Descriptors that are readable when the host wants a device back, or it is broken, or an engine has gone."""
        return iter(tuple(self._alarms))

    def alarm(self, descriptor: int) -> tuple[Function, str] | None:
        """Whose it is, and `request` or `error`, if it has fired."""
        one, name = self._alarms[descriptor]
        if not one.alarms[name].take():
            return None
        if name == "gone":  # its descriptor stays readable
            del self._alarms[descriptor]
        return one, name

    def read(self, space: int, address: int, size: int) -> int:
        with self._lock:
            if SPACES[space] == "config":
                data = self._by_devfn[address // CONFIG_SIZE].read_config(address % CONFIG_SIZE, size)
                return int.from_bytes(data, "little")
            found = self._owner(space, address)
            if found is None:  # it was moved meanwhile
                return ONES
            key, trap = found
            if trap.kind == MODEL:
                return self._models[key.bar].read(address - trap.start, size)
            if trap.kind != OWN_LOCK:
                return self._table(key, trap, address, size)
        return self._table(key, trap, address, size)

    def write(self, space: int, address: int, size: int, value: int) -> None:
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        with self._lock:
            if SPACES[space] == "config":
                self._by_devfn[address // CONFIG_SIZE].write_config(address % CONFIG_SIZE, data)
                for one in self.functions:
                    one.try_waiting()
                return
            found = self._owner(space, address)
            if found is None:
                return
            key, trap = found
            if trap.kind == MODEL:
                self._models[key.bar].write(address - trap.start, data)
                return
            if trap.kind != OWN_LOCK:
                self._by_devfn[key.devfn].write_table(trap.kind, address - trap.start, data)
                return
        self._by_devfn[key.devfn].write_table(trap.kind, address - trap.start, data)

    def _table(self, key: Key, trap: Trap, address: int, size: int) -> int:
        data = self._by_devfn[key.devfn].read_table(trap.kind, address - trap.start, size)
        return int.from_bytes(data, "little")

    def _owner(self, space: int, address: int) -> tuple[Key, Trap] | None:
        where: Space = "memory" if SPACES[space] == "memory" else "port"
        return self.traps.owner(where, address)
