"""Functions in their slots: the guest's accesses in, answers out; one lock round all of their models."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Iterator
from contextlib import contextmanager

from launcher.executor.runner.devices.function import Function
from launcher.executor.runner.devices.traps import MACHINE, Key, Space, Traps
from launcher.kernel.api import SPACES, Machine, Trap
from launcher.machine.board import PortModel
from launcher.machine.pci import CONFIG_SIZE

ONES = (1 << 64) - 1
MODELS = ("model", "fw-cfg")  # of the machine's own
OWN_LOCK = "registers"  # what waits for an engine stops nobody who wants something else


class Bus:
    """`functions` is filled while the VM is set up, and not changed while it runs."""

    def __init__(self, machine: Machine, traps: Traps) -> None:
        self._machine, self.traps = machine, traps
        self.functions: list[Function] = []
        self.faults = 0  # KVM_RUN met a BAR that did not answer
        self._lock = allocate_lock()
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
        trap = Trap(model.ports.start, model.ports.size, model.trap)
        self.traps.show("port", Key(MACHINE, len(self._models) - 1), model.ports, (trap,))

    def add(self, one: Function) -> None:
        """No vCPU runs yet."""
        self._machine.set_function(one.devfn, one.known(0, CONFIG_SIZE), *one.asked())
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
        if SPACES[space] == "config":
            one = self._by_devfn[address // CONFIG_SIZE]
            with one.alone(), self._lock:
                return int.from_bytes(one.read_config(address % CONFIG_SIZE, size), "little")
        found = self._owner(space, address)
        if found is None:  # it was moved meanwhile
            return ONES
        key, trap = found
        offset = address - trap.start
        if trap.kind in MODELS:
            with self._lock:
                return self._models[key.bar].read(offset, size)
        with self._alone(key, trap):
            return int.from_bytes(self._by_devfn[key.devfn].read_table(trap.kind, offset, size), "little")

    def write(self, space: int, address: int, size: int, value: int) -> None:
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        if SPACES[space] == "config":
            self._write_config(self._by_devfn[address // CONFIG_SIZE], address % CONFIG_SIZE, data)
            return
        found = self._owner(space, address)
        if found is None:
            return
        key, trap = found
        offset = address - trap.start
        if trap.kind in MODELS:
            with self._lock:
                self._models[key.bar].write(offset, data)
            return
        with self._alone(key, trap):
            self._by_devfn[key.devfn].write_table(trap.kind, offset, data)

    @contextmanager
    def _alone(self, key: Key, trap: Trap) -> Iterator[None]:
        """Registers have a lock of their own; all else is under that of the bus."""
        if trap.kind == OWN_LOCK:
            yield
            return
        with self._by_devfn[key.devfn].alone(), self._lock:
            yield

    def _write_config(self, function: Function, offset: int, data: bytes) -> None:
        """C knows what is to be read there by the time that the write is over."""
        inside = min(len(data), CONFIG_SIZE - offset)
        with function.alone(), self._lock:
            function.write_config(offset, data)
            self._machine.change_function(function.devfn, offset, function.known(offset, inside))
            for one in self.functions:
                one.try_waiting()

    def _owner(self, space: int, address: int) -> tuple[Key, Trap] | None:
        where: Space = "memory" if SPACES[space] == "memory" else "port"
        with self._lock:
            return self.traps.owner(where, address)
