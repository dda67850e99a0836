"""Firmware that finds its own boot loader: the steps that open its variables, and that give it to the guest. Pure."""

from __future__ import annotations

from launcher.plan.step import Step
from launcher.record import record
from launcher.typed import Literal
from launcher.values import Hex, PciAddress


@record
class OpenVariables(Step):
    """Open and lock the file that keeps the firmware's variables over lives; make it of `template` if there is none.

    `identity` is its `device:inode` when the plan was made, empty if there was none. It stays when the VM ends.
    """

    op = "open-variables"
    by = "keeper"
    undo = "closed"
    path: str
    identity: str
    template: str
    template_sha256: str
    size: int

    def describe(self) -> str:
        made = "" if self.identity else f", made of {self.template}"
        return f"keep the firmware's variables in {self.path}{made}"


@record
class LoadFirmware(Step):
    """The firmware's code as read-only memory that ends at 4 GiB; the vCPUs start in their reset state.

    `guest` is where the code is. `variables` are flash of that many bytes right below it: those of OpenVariables if the
    plan has that step, else lost at the end (0: the firmware has none, as SeaBIOS). `order`: functions to boot from,
    first one first; empty: as the firmware likes.
    """

    op = "load-firmware"
    once = True
    kind: Literal["bios", "uefi"]
    path: str
    sha256: str
    size: int
    guest: Hex
    variables: int
    template: str  # of the variables, where nobody keeps them; empty where OpenVariables has it, or there are none
    order: tuple[PciAddress, ...]

    def describe(self) -> str:
        return f"load {self.path} as the firmware ({self.kind.upper()})"
