"""The keeper changes drivers: a step in, the change made and verified; what the journal kept in, the host as it was.

Every function here can be called again after it was killed anywhere: it looks first.
"""

from __future__ import annotations

import errno
from typing import Any

from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.api import PciDrivers
from launcher.plan.steps import BindDriver
from launcher.values import PciAddress

GONE = (errno.ENOENT, errno.ENODEV)


def memory_of(step: BindDriver) -> dict[str, Any]:
    """For the journal: all that putting it back takes."""
    return {"address": str(step.address), "driver": step.before, "override": step.override}


def check(step: BindDriver, drivers: PciDrivers) -> None:
    """StepFailed when the function is not as planned: somebody else may have it, and it must not be put back."""
    here = (drivers.driver(step.address), drivers.override(step.address))
    if here != (step.before, step.override):
        fact = (
            f"{step.address} is on {_show(*here)}, and was on {_show(step.before, step.override)} when it was planned"
        )
        raise StepFailed(Diagnostic("E524", fact, help=("plan again",)))


def bind(step: BindDriver, drivers: PciDrivers) -> None:
    """StepFailed when the driver does not take it. OSError from the kernel."""
    if step.driver is not None:
        drivers.set_override(step.address, step.driver)
    drivers.unbind(step.address)
    if step.driver is None:
        return
    drivers.probe(step.address)
    taken = drivers.driver(step.address)
    if taken != step.driver:
        fact = f"{step.driver} does not take {step.address}, which is on {taken or 'no driver'}"
        raise StepFailed(Diagnostic("E525", fact, help=(f"`dmesg | grep {step.address}` says why",)))


def put_back(memory: dict[str, Any], drivers: PciDrivers) -> None:
    """Driver and override as `memory_of` kept them. OSError when they are not. A device that is gone is done."""
    address, driver, override = PciAddress.parse(memory["address"]), memory["driver"], memory["override"]
    try:
        if drivers.driver(address) not in (driver, None):
            drivers.unbind(address)
        drivers.set_override(address, override)
        if driver is not None and drivers.driver(address) is None:
            drivers.probe(address)
        here = (drivers.driver(address), drivers.override(address))
    except OSError as error:
        if error.errno in GONE:
            return
        raise
    if here != (driver, override):
        raise OSError(errno.EBUSY, f"{address} is on {_show(*here)} and was on {_show(driver, override)}")


def commands(memory: dict[str, Any]) -> str:
    """What an administrator would type to put it back."""
    address, override = memory["address"], memory["override"] or ""
    folder = f"/sys/bus/pci/devices/{address}"
    words = f"echo {address} > {folder}/driver/unbind; echo '{override}' > {folder}/driver_override"
    return f"{words}; echo {address} > /sys/bus/pci/drivers_probe" if memory["driver"] else words


def _show(driver: str | None, override: str | None) -> str:
    return f"{driver or 'no driver'}{f' (driver_override {override})' if override else ''}"
