"""A VM with a device whose host driver changes, under what the shipped unit leaves to it. No systemd runs here."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.kernel.confine import ON
from tests.conftest import PATIENCE, ROOT, Cli
from tests.lab.inside.passing import NVME, bindings, holders
from tests.unit_measures import command

pytestmark = pytest.mark.host("zoo")


def test_a_vm_with_a_device_goes_up_and_down_under_the_measures_of_the_unit(
    cli: Cli, payload: Callable[[str], Path]
) -> None:
    subprocess.run(["modprobe", "-a", "vfio-pci", "vfio_iommu_type1"], check=False)  # as the unit wants before it
    before = bindings()
    assert before[NVME][0] == "nvme"
    spec = cli.spec(payload("rests"), devices={"drive": {"pci": NVME}})

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        whole = [*command(), *cli.command(*words)]
        return subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)

    up = run("up", "-d", spec)
    assert up.returncode == 0, up.stderr
    assert bindings()[NVME] == ("vfio-pci", "vfio-pci")
    told = cli.run("inspect", "-v", "--json", cli.name).json()
    assert set(told["report"]["confinement"].values()) == {ON}
    assert set(told["report"]["keeper_confinement"].values()) == {ON}
    print("\n".join(told["report"]["keeper_writes"]))
    assert [Path(one).name for one in told["report"]["keeper_writes"]] == [
        cli.name, "driver_override", "unbind", "drivers_probe",
    ]  # fmt: skip
    down = run("down", cli.name)
    assert down.returncode == 0, down.stderr
    assert bindings() == before
    assert holders() == []
