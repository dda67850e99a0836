"""The keeper changes drivers: a step in, the change made and verified; what the journal kept in, the host as it was.

Every function here can be called again after it was killed anywhere: it looks first.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from launcher.codec import DecodeError, decode, written
from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.api import PciDrivers
from launcher.plan.steps import BindDriver
from launcher.record import record
from launcher.shell import quote
from launcher.typed import Any
from launcher.values import PciAddress

GONE = (errno.ENOENT, errno.ENODEV)
MOST_NAME = 255


@record
class Before:
    """A function as it was: all that putting it back takes."""

    address: PciAddress
    driver: str | None
    override: str | None


def memory_of(step: BindDriver) -> dict[str, Any]:
    """For the journal."""
    return written(Before(step.address, step.before, step.override))


def read_memory(memory: dict[str, Any]) -> Before:
    """What the journal kept. OSError when it names something that no keeper of ours would write there."""
    try:
        before = decode(Before, memory)
    except DecodeError as error:
        raise OSError(errno.EINVAL, f"the journal's entry is not one of ours: {error}") from None
    if not all(map(_is_name, filter(None, (before.driver, before.override)))):
        raise OSError(errno.EINVAL, "the journal's entry is not one of ours: it names an odd driver")
    return before


def _is_name(driver: str) -> bool:
    """Whether the kernel could have a driver of this name, which may have blanks in it."""
    return driver.isascii() and driver.isprintable() and "/" not in driver and len(driver) <= MOST_NAME


def check(step: BindDriver, drivers: PciDrivers) -> None:
    """StepFailed when the function is not as planned: somebody else may have it, so it must not be rebound later."""
    with _there(step.address, drivers):
        here = (drivers.driver(step.address), drivers.override(step.address))
    if here != (step.before, step.override):
        fact = (
            f"{step.address} is on {_show(*here)}, and was on {_show(step.before, step.override)} when it was planned"
        )
        raise StepFailed(Diagnostic("E524", fact, help=("plan again",)))


def bind(step: BindDriver, drivers: PciDrivers) -> None:
    """StepFailed when the driver does not take it, or it has gone. OSError from the kernel."""
    with _there(step.address, drivers):
        if step.driver is not None:
            drivers.set_override(step.address, step.driver)
        drivers.unbind(step.address)
        if step.driver is None:
            return
        drivers.probe(step.address)
        taken = drivers.driver(step.address)
        drivers.override(step.address)  # one that has gone has no driver, and not this either
    if taken != step.driver:
        fact = f"{step.driver} does not take {step.address}, which is on {taken or 'no driver'}"
        raise StepFailed(Diagnostic("E525", fact, help=(f"`dmesg | grep {step.address}` says why",)))


@contextmanager
def _there(address: PciAddress, drivers: PciDrivers) -> Iterator[None]:
    """StepFailed of one that was pulled out, or is a virtual function that its physical one has no more."""
    try:
        yield
    except OSError as error:
        if error.errno not in GONE or not _is_gone(address, drivers):
            raise
        fact = f"{address} has gone since it was planned"
        raise StepFailed(Diagnostic("E524", fact, help=("plan again",))) from error


def rebind(before: Before, drivers: PciDrivers) -> str:
    """Give the function back to the driver it had. OSError: it is not as before. One that is gone is done. Nothing is
    left to anybody else: empty."""
    address, driver, override = before.address, before.driver, before.override
    try:
        if drivers.driver(address) not in (driver, None):
            drivers.unbind(address)
        drivers.set_override(address, override)
        if driver is not None and drivers.driver(address) is None:
            drivers.probe(address)
        here = (drivers.driver(address), drivers.override(address))
    except OSError as error:
        if error.errno in GONE and _is_gone(address, drivers):
            return ""
        raise
    if here != (driver, override):
        raise OSError(errno.EBUSY, f"{address} is on {_show(*here)} and was on {_show(driver, override)}")
    return ""


def _is_gone(address: PciAddress, drivers: PciDrivers) -> bool:
    """To an unbind the kernel also says ENODEV when the driver it was meant for has let go meanwhile."""
    try:
        drivers.override(address)
    except OSError as error:
        return error.errno in GONE
    return False


def describe(before: Before) -> str:
    return f"{before.address} back to {_show(before.driver, before.override)}"


def commands(before: Before) -> str:
    """What an administrator would type to put it back."""
    folder = f"/sys/bus/pci/devices/{before.address}"
    override = quote(before.override or "")
    words = f"echo {before.address} > {folder}/driver/unbind; echo {override} > {folder}/driver_override"
    return f"{words}; echo {before.address} > /sys/bus/pci/drivers_probe" if before.driver else words


def _show(driver: str | None, override: str | None) -> str:
    return f"{driver or 'no driver'}{f' (driver_override {override})' if override else ''}"
