"""What a host says of itself is all that a plan for it needs, and making one changes nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, Cli
from tests.kvm.test_refusals import changes_something
from tests.lab.hosts import Host

DEVICES = {
    "zoo": ["01:00.0", "02:00.0", "07:00.0"],
    "amd-regions": ["00:02.0", "00:03.0"],
    "shared": ["01:00.0", "02:01.0"],
    "regions": ["00:02.0", "00:03.0"],
    "virtual-functions": ["01:00.0", "01:00.1"],
    "no-iommu": ["01:00.0"],
}


def spec_of(cli: Cli, host: Host) -> Path:
    """All of the table; of their groups the rest goes with them."""
    devices = {f"device{n}": {"pci": pci, "companions": "attach"} for n, pci in enumerate(DEVICES[host.name])}
    return cli.spec(EXAMPLES / "hello.elf", devices=devices)


@pytest.mark.short
@pytest.mark.host(*DEVICES)
def test_a_plan_for_the_recorded_host_is_the_plan_for_the_host(cli: Cli, host: Host, tmp_path: Path) -> None:
    facts, spec = tmp_path / "facts.json", spec_of(cli, host)
    facts.write_text(cli.run("devices", "--json").out)
    for form in ("text", "json"):
        here = cli.run("plan", spec, "--format", form)
        recorded = cli.run("plan", spec, "--format", form, "--host", facts)
        assert recorded.out == here.out
        assert (recorded.code, recorded.err) == (here.code, here.err)


@pytest.mark.host("zoo")
def test_a_plan_with_devices_writes_nothing(cli: Cli, host: Host, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    watched = "trace=%file,write,pwrite64,writev,%network,mount,ioctl"
    command = ["strace", "-f", "-qq", "-e", watched, "-o", trace, *cli.command("plan", spec_of(cli, host))]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, env=environment, text=True)
    assert "01:00.0" in done.stdout
    assert [line for line in trace.read_text().splitlines() if changes_something(line)] == []
