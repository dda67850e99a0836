"""Hosts of public reports (tests/cases/hosts): who in the kernel holds a device, and what a host loses with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.codec import decode
from launcher.errors import Diagnostic
from launcher.host.facts import HostFacts
from launcher.plan.plan import Plan
from launcher.record import replace
from tests.catalogue.drivers import spec
from tests.catalogue.row import with_function, with_linux
from tests.planning import codes, plan

CASES = Path(__file__).parents[2] / "cases" / "hosts"
SCREEN = spec("gpu: {pci: 0000:c3:00.0, allow: [in-use]}")


def case(name: str) -> HostFacts:
    return decode(HostFacts, json.loads((CASES / f"{name}.json").read_text()))


def only(made: Plan, code: str) -> Diagnostic:
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- a framebuffer that stays ----


def test_a_framebuffer_of_a_card_that_vfio_pci_has_already_stays_there():
    made = plan(SCREEN, case("boot-framebuffer-stays"))
    found = only(made, "E318")
    assert found.fix
    assert found.fix.endswith("/unbind; echo 0000:c3:00.0 > /sys/bus/pci/drivers/vfio-pci/bind")
    assert "W318" not in codes(made)


def test_a_framebuffer_of_a_card_that_the_plan_binds_is_taken_away_by_that():
    made = plan(SCREEN, with_function(case("boot-framebuffer-stays"), "0000:c3:00.0", driver=None))
    assert "W318" in codes(made)
    assert "E318" not in codes(made)


@pytest.mark.parametrize("cmdline", ["initcall_blacklist=sysfb_init", "initcall_blacklist=a_init,sysfb_init quiet"])
def test_what_the_host_was_booted_with_is_not_advised_again(cmdline):
    facts = with_linux(case("boot-framebuffer-stays"), cmdline=cmdline)
    for kernel in (facts.kernel, "5.14.0"):
        found = only(plan(SCREEN, replace(facts, kernel=kernel)), "E318")
        assert not any("or boot the host with" in line for line in found.help)
        assert "primary display" in found.help[-1]
