"""The table of routes as KVM is given it, whatever it was before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.kernel import kvm
from launcher.kernel.api import MsiRoute, PinRoute
from launcher.native import lib

Route = PinRoute | MsiRoute
pins = st.builds(PinRoute, st.integers(0, 23), st.sampled_from(sorted(kvm.CHIPS)), st.integers(0, 23))
messages = st.builds(MsiRoute, st.integers(24, 99), st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1))


def read(entry: Any) -> Route:
    if entry.type == lib.KVM_IRQ_ROUTING_MSI:
        address = entry.u.msi.address_hi << 32 | entry.u.msi.address_lo
        return MsiRoute(entry.gsi, address, entry.u.msi.data)
    assert entry.type == lib.KVM_IRQ_ROUTING_IRQCHIP
    chip = next(name for name, number in kvm.CHIPS.items() if number == entry.u.irqchip.irqchip)
    return PinRoute(entry.gsi, chip, entry.u.irqchip.pin)


@settings(deadline=None, suppress_health_check=(HealthCheck.function_scoped_fixture,))
@given(lives=st.lists(st.lists(pins | messages, max_size=12), min_size=1, max_size=6))
def test_kvm_is_given_the_routes_of_now(monkeypatch: pytest.MonkeyPatch, lives: list[Sequence[Route]]) -> None:
    given_: list[list[Route]] = []
    monkeypatch.setattr(
        kvm, "ioctl", lambda *words: given_.append([read(words[2].entries[n]) for n in range(words[2].nr)])
    )
    vm = kvm.Vm(-1, 0)
    for routes in lives:
        vm.set_gsi_routing(routes)
    assert given_ == lives
