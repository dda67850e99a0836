"""Devices that a payload of ours drives register by register, and devices that are special in how the host has them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.lab.inside.test_devices import _host_as_before as _host_as_before

EDU = "0000:00:08.0"


@pytest.mark.host("zoo")
def test_registers_dma_and_both_kinds_of_interrupt_of_one_device(cli: Cli, payload: Callable[[str], Path]) -> None:
    """What it reads and writes beyond the VM's RAM reaches the IOMMU and nothing else."""
    spec = cli.spec(payload("edu"), memory="64MiB", devices={"edu": {"pci": EDU, "allow": ["no-reset"]}})
    done = cli.run("up", spec)
    assert [line for line in done.out.splitlines() if line.startswith("edu: ")] == [
        "edu: registers ok",
        "edu: dma ok",
        "edu: dma beyond ram brings nothing",
        "edu: intx 2 of one raise",
        "edu: intx 3",
        "edu: msi 2",
        "edu: msi 3 from dma",
        "edu: intx 4 after msi",
    ], done.out + done.err
    assert done.code == 0, done.err
    kernel = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    faults = [line for line in kernel.splitlines() if f"Request device [{EDU[5:]}] fault addr 0x8000000" in line]
    assert any("DMA Read" in line for line in faults), kernel
    assert any("DMA Write" in line for line in faults), kernel
