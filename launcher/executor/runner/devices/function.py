"""What the bus, the traps and the runner ask of any function that a guest finds in a slot; nothing of VFIO.

A passed device is one, PassedDevice of devices.passed, and a virtio function another; neither inherits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from launcher.machine.function import Asked
from launcher.plan.outcome import DeviceReport, VirtioReport
from launcher.typed import Protocol
from launcher.values import Span


class Alarm(Protocol):
    """What is waited for by its descriptor."""

    fd: int

    def take(self) -> bool:
        """It has fired, and the host is to hear of it."""


class Function(Protocol):
    """A PCI function of the guest. The bus calls it with a lock held; no method raises into a vCPU."""

    @property
    def alias(self) -> str:
        """What the spec calls it."""

    @property
    def devfn(self) -> int:
        """Slot << 3 | function, on the guest's bus."""

    @property
    def alarms(self) -> Mapping[str, Alarm]:
        """By name: `request` fires when the host wants the function back, `error` when it is broken, `gone` when its
        engine has hung up, for good; `line` is nobody's but the function's own (interrupts.ByHand)."""

    def alone(self) -> AbstractContextManager[object]:
        """Before the bus's lock, for all but registers: who works on the function has done so, however long it takes,
        and what its engine has to be told of interrupts it is told when the bus is free again."""

    def spans(self) -> tuple[Span, ...]:
        """Where its memory BARs are by their registers."""

    def read_config(self, offset: int, size: int) -> bytes: ...
    def write_config(self, offset: int, data: bytes) -> None: ...

    def known(self, offset: int, size: int) -> bytes:
        """What it reads as there now, wherever it need not be asked."""

    def asked(self) -> Asked:
        """Which bytes of configuration space it is asked about: others read as they are known, written in vain."""

    def read_table(self, piece: str, offset: int, size: int) -> bytes:
        """`piece` is table or pending, of MSI-X; or registers, about which it is asked without the bus's lock.

        C answers for table and registers, and asks about writes alone; but BARs may have moved since."""

    def write_table(self, piece: str, offset: int, data: bytes) -> None: ...

    def try_waiting(self) -> None:
        """After any function's BARs may have moved: show those for which there was no place."""

    def quiet(self) -> None:
        """Interrupts off, then the BARs out of the guest's sight. What fails does not keep the rest, and is raised."""

    def report(self) -> DeviceReport | VirtioReport: ...
