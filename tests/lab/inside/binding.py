"""PCI functions and drivers in, which are bound as told, and given back at the end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from launcher.values import PciAddress

BUS = Path("/sys/bus/pci")


class Bindings:
    """Use: with Bindings() as bindings: ... What a driver leaves behind is found as it was."""

    def __init__(self) -> None:
        self._before: dict[PciAddress, tuple[str | None, str]] = {}

    def __enter__(self) -> Bindings:
        return self

    def __exit__(self, *_: object) -> None:
        for address, (driver, override) in reversed(self._before.items()):
            _override(address, override)
            _unbind(address)
            if driver:
                _probe(address)
            assert bound(address) == driver, f"{address} is on {bound(address)}, and was on {driver}"

    def give(self, address: PciAddress, driver: str | None) -> bool:
        """To another driver, or with None only away from its own; False when it did not come to be so."""
        if bound(address) == driver:
            return True
        self._before.setdefault(address, (bound(address), _function(address, "driver_override").read_text().strip()))
        _unbind(address)
        if driver:
            _override(address, driver)
            _probe(address)
        return bound(address) == driver


def bound(address: PciAddress) -> str | None:
    link = _function(address, "driver")
    return link.resolve().name if link.exists() else None


def _function(address: PciAddress, name: str) -> Path:
    return BUS / "devices" / str(address) / name


def _override(address: PciAddress, driver: str) -> None:
    """An override that is not set reads as (null)."""
    _function(address, "driver_override").write_text("\n" if driver == "(null)" else driver)


def _unbind(address: PciAddress) -> None:
    if bound(address):
        _function(address, "driver/unbind").write_text(str(address))


def _probe(address: PciAddress) -> None:
    """When a driver refuses this may fail, or not: what counts is who has the function then."""
    with suppress(OSError):
        (BUS / "drivers_probe").write_text(str(address))
