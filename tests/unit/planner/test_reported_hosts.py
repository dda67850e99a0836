"""Hosts of public reports (tests/cases/hosts): what the words of a spec mean there."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from launcher.codec import decode
from launcher.host.facts import HostFacts
from launcher.plan.steps import StaysBound
from launcher.planner.functions import VFIO_DRIVERS
from tests.catalogue.row import with_function
from tests.planning import codes, plan

HOSTS = Path(__file__).parents[2] / "cases" / "hosts"
START = "boot: {kernel: ./bzImage}\ncpus: 4\nmemory: 4GiB\ndevices:\n"


@cache
def reported(name: str) -> HostFacts:
    return decode(HostFacts, json.loads((HOSTS / f"{name}.json").read_text()))


def only(made, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- what VFIO has ----

VGPU, NEVER = "  gpu: {pci: 0000:c1:00.0, vf: 0}\n", "  gpu: {pci: 0000:c1:00.0, vf: 0, bind: never}\n"


@pytest.mark.parametrize("text", [VGPU, NEVER])
def test_a_vgpu_that_its_own_driver_has_given_to_vfio_is_ready(text):
    made = plan(START + text, reported("vgpu-by-its-driver"))
    assert codes(made) == []
    assert [str(step.driver) for step in made.steps if isinstance(step, StaysBound)] == ["nvidia"]


@pytest.mark.parametrize("driver", [*VFIO_DRIVERS, "a-driver-of-tomorrow"])
def test_so_is_whatever_any_driver_has_registered(driver):
    vfio = None if driver in VFIO_DRIVERS else "vfio0"
    facts = with_function(reported("vgpu-by-its-driver"), "0000:c1:00.6", driver=driver, vfio=vfio)
    assert codes(plan(START + "  gpu: {pci: 0000:c1:00.6, bind: never}\n", facts)) == []


@pytest.mark.parametrize("bind", ["auto", "never"])
def test_a_vgpu_without_a_type_is_never_told_to_go_to_vfio_pci(bind):
    found = plan(START + f"  gpu: {{pci: 0000:c1:00.6, bind: {bind}}}\n", reported("vgpu-by-its-driver"))
    assert codes(found) == ["E245"]
    assert "current_vgpu_type" in only(found, "E245").help[0]
    assert not any("bind it" in line or "driver_override" in line for line in only(found, "E245").help)


def test_pick_free_takes_a_vgpu_that_is_ready():
    made = plan(START + "  gpu: {match: {id: 10de:26b9}, pick: free}\n", reported("vgpu-by-its-driver"))
    assert [str(one.host) for one in made.devices] == ["0000:c1:00.4"]


def test_the_card_of_vgpus_gives_them_up_by_the_script_of_its_driver():
    found = only(plan(START + "  gpu: 0000:c1:00.0\n", reported("vgpu-mediated")), "E233")
    assert "sriov-manage -d 0000:c1:00.0" in found.help[0]
    assert len(found.help) == 1  # none of them could be taken instead
    found = only(plan(START + "  gpu: 0000:c1:00.0\n", reported("vgpu-by-its-driver")), "E233")
    assert found.help[1] == "or take one of them instead, as `vf: 0`"
