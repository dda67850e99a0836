"""Failures of the catalogue, made for real: what a plan says of a host that has one is what the catalogue calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from launcher.api.hosts import this_host
from launcher.images.boot_files import BootFiles
from tests.conftest import ROOT, Cli
from tests.lab.failures import CASES, Case
from tests.lab.hosts import HOSTS, Host
from tests.planning import KERNEL, codes, plan

SHELL = """
functions=/sys/bus/pci/devices groups=/sys/fs/cgroup
leave() { [ ! -e $functions/0000:$1/driver ] || echo 0000:$1 >$functions/0000:$1/driver/unbind; }
override() { echo $2 >$functions/0000:$1/driver_override; }
give() { leave $1; override $1 $2; echo 0000:$1 >/sys/bus/pci/drivers_probe; }
number_of() { basename $(readlink $functions/0000:$1/iommu_group); }
hold() { sleep 1000 <>$1 >/dev/null 2>&1 & echo $! >/run/holder; }
virtual() { echo $2 >$functions/0000:$1/sriov_numvfs; }
modules() { readlink -f /lib/modules/$(uname -r); }
confine() {
	mount -t cgroup2 none $groups
	echo +$1 >$groups/cgroup.subtree_control
	mkdir $groups/small; echo $3 >$groups/small/$2; echo $PPID >$groups/small/cgroup.procs
}
release() {
	for process in $PPID $$; do echo $process >$groups/cgroup.procs; done
	rmdir $groups/small; umount $groups
}
"""


@pytest.mark.parametrize(
    ("case", "host"), [pytest.param(case, HOSTS[case.host], id=f"{case.host}-{case.id}") for case in CASES]
)
def test_the_plan_names_this_failure(case: Case, host: Host, cli: Cli) -> None:
    with _made(case):
        found = _said_to_another(case, cli) if case.under else codes(plan(case.spec, this_host(), BootFiles(KERNEL)))
    assert case.codes & set(found)


def _said_to_another(case: Case, cli: Cli) -> list[str]:
    """A process of its own, which is somebody else or has limits."""
    command = [*case.under.split(), *cli.command("plan", "-", "--json")]
    done = subprocess.run(command, input=case.spec, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return [one["code"] for one in json.loads(done.stdout)["diagnostics"]]


@contextmanager
def _made(case: Case) -> Iterator[None]:
    _shell(case.before)
    try:
        yield
    finally:
        _shell(case.after)


def _shell(lines: str) -> None:
    if lines:
        subprocess.run(["sh", "-ec", SHELL + lines], check=True)
