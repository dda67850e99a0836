"""`vmlaunch devices`: the host for people, and the facts file for `plan --host`."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import pytest

from launcher.cli import devices
from launcher.codec import decode
from launcher.host.facts import HostFacts
from launcher.report.inventory import inventory_text
from tests.planning import host


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    devices.arguments(parser)
    return devices.run(parser.parse_args(words))


def test_what_json_writes_is_what_host_reads(capsys: pytest.CaptureFixture[str]):
    assert run("--json", "--redact") == 0
    facts = decode(HostFacts, json.loads(capsys.readouterr().out))
    assert facts.name == "redacted"
    assert facts.cpus


def test_redacted_facts_have_no_serial_numbers_and_differ_in_nothing_else():
    gpu07 = host("gpu07")
    hidden = devices.redacted(gpu07)
    assert {one.serial for one in hidden.pci} == {None, "redacted"}
    back = tuple(replace(new, serial=old.serial) for new, old in zip(hidden.pci, gpu07.pci, strict=True))
    assert replace(hidden, name=gpu07.name, pci=back) == gpu07


def test_devices_are_listed_by_group_and_lines_fit():
    lines = inventory_text(host("gpu07")).splitlines()
    assert lines[0] == "gpu07 · Linux 6.12.9 · AMD-Vi"
    groups = [int(line[:5]) for line in lines[3:]]
    assert groups == sorted(groups)
    assert max(map(len, lines)) <= 100


def test_a_host_without_an_iommu_says_so():
    assert inventory_text(host("cloud-vm")).splitlines()[0].endswith("no IOMMU in use")
