"""The GSI routing table of a VM: pins stay, messages come and go, and the kernel gets it whole each time."""

from __future__ import annotations

import errno

from launcher.kernel.api import MsiRoute, PinRoute, Vm
from launcher.machine.board import Board
from launcher.plan.changes import Vector


class Routes:
    """`most` is what KVM takes, the machine's pins among them (KVM_CAP_IRQ_ROUTING)."""

    def __init__(self, vm: Vm, board: Board, most: int) -> None:
        self._vm, self._most = vm, most
        self._pins = [PinRoute(*pin) for pin in board.pins]
        self._messages: dict[int, Vector] = {}
        self._free: list[int] = []
        self._first = self._next = board.first_message_gsi
        self._stale = True

    def take(self) -> int:
        """A GSI of one's own. OSError ENOSPC: the table has no room for one more message."""
        if self._free:
            return self._free.pop()
        if len(self._pins) + self._next - self._first >= self._most:
            raise OSError(errno.ENOSPC, f"KVM routes {self._most} interrupts of one VM", "KVM_SET_GSI_ROUTING")
        self._next += 1
        return self._next - 1

    def give_back(self, gsi: int) -> None:
        self._stale |= self._messages.pop(gsi, None) is not None
        self._free.append(gsi)

    def route(self, gsi: int, message: Vector) -> None:
        """Said to the kernel by `commit`."""
        if self._messages.get(gsi) != message:
            self._messages[gsi] = message
            self._stale = True

    def commit(self) -> None:
        """One call for all that changed."""
        if self._stale:
            messages = [MsiRoute(gsi, *message) for gsi, message in sorted(self._messages.items())]
            self._vm.set_gsi_routing([*self._pins, *messages])
            self._stale = False
