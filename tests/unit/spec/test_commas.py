"""A comma in `{ }` ends a value, and what is behind it is a key to YAML: who forgot the quotes is told of them."""

from __future__ import annotations

import pytest

from launcher.errors import Refused
from launcher.spec.load import load_spec
from tests.unit.spec.test_fixes import mended
from tests.unit.spec.test_words_of_others import BOOT, START, refused, told

CPUS = f"{BOOT}cpus: {{%s}}\nmemory: 1GiB\n"
COMMAND_LINE = "boot: {kernel: ./k, cmdline: %s}\ncpus: 2\nmemory: 1GiB\n"

WITH_QUOTES = {
    CPUS % "count: 5, pin: 8-11,16": 'pin: "8-11,16"',
    CPUS % "count: 2, pin: 8,16": 'pin: "8,16"',
    CPUS % "count: 3, pin: 8, 10,12": 'pin: "8, 10,12"',
    COMMAND_LINE % "console=ttyS0,115200": 'cmdline: "console=ttyS0,115200"',
    COMMAND_LINE % "console=ttyS0,115200 root=/dev/sda": 'cmdline: "console=ttyS0,115200 root=/dev/sda"',
    COMMAND_LINE % "a,b=1,b=1,ro": 'cmdline: "a,b=1,b=1,ro"',
    COMMAND_LINE % "a,true,~x": 'cmdline: "a,true,~x"',
    f"{START}devices: {{a: {{match: {{class: nvme, serial: 12,34}}}}}}": 'serial: "12,34"',
    f"x-a: &a {{cmdline: a,b}}\n{START}".replace("{kernel", "{<<: *a, kernel"): 'cmdline: "a,b"',
}


@pytest.mark.parametrize("text", WITH_QUOTES)
def test_a_value_that_a_comma_has_cut_is_shown_in_quotes_and_valid_with_them(text: str) -> None:
    one = told(text)
    assert (one.code, one.help) == ("E106", (f"write `{WITH_QUOTES[text]}`",))
    load_spec(mended(text, one), "vm.yaml", name="vm")


def test_the_rest_is_judged_as_if_the_quotes_were_there() -> None:
    found = refused(CPUS % "count: 4, pin: 8-11,16")
    assert [(one.code, one.message.partition(": ")[2]) for one in found][1:] == [("E120", "5 host CPUs for 4 vCPUs")]


def test_a_value_that_no_quotes_would_help_is_told_as_a_whole() -> None:
    for text, message in {
        START.replace("1GiB", "[{size: 1,5GiB}]"): "not a size: 1,5GiB",
        f"{START}devices: {{a: 01:00.0,pcie=1}}": "not a PCI address: 01:00.0,pcie=1",
        f"{START}devices: {{a: {{pci: 01:00.0,pcie=1}}}}": "not a PCI address: 01:00.0,pcie=1",
    }.items():
        assert told(text).message.endswith(message)


def test_a_key_that_has_no_value_is_still_a_key() -> None:
    for written, code in {"count: 4, pin": "E106", "count: 4, pn": "E101", "count: 4, true": "E011"}.items():
        assert told(CPUS % written).code == code
    assert told(f"{START}devices: {{a: {{pci: 01:00.0, free}}}}").code == "E101"


def test_a_value_in_quotes_is_whole_and_an_alias_is_not_written_here() -> None:
    found = refused(CPUS % "count: 2, pin: '8',16")
    assert [one.code for one in found] == ["E120", "E011"]
    found = refused("x-a: &a foo\nboot: {kernel: *a, b=c}\ncpus: 2\nmemory: 1GiB\n")
    assert "E106" not in {one.code for one in found if one.fix}


def test_a_value_over_two_lines_is_shown_and_no_program_is_to_write_it() -> None:
    one = told(COMMAND_LINE % "console=ttyS0,\n  115200")
    assert (one.help, one.fix) == (('write `cmdline: "console=ttyS0,115200"`',), None)


def test_commas_in_a_set_are_told_in_that_set() -> None:
    with pytest.raises(Refused) as error:
        load_spec(START, "vm.yaml", sets=["cpus={count: 5, pin: 8-11,16}"], name="vm")
    (one,) = error.value.diagnostics
    assert (one.where and one.where.file, one.fix) == ("--set #1", '"8-11,16"')
    assert load_spec(START, "vm.yaml", sets=["boot.cmdline=a,b"], name="vm").spec.boot.cmdline == "a,b"
    assert load_spec(CPUS % "count: 4,5", "vm.yaml", sets=["cpus.count=2"], name="vm").spec.cpus.count == 2


def test_nothing_of_it_is_said_under_keys_of_your_own() -> None:
    assert load_spec(f"{START}x-mine: {{a: b,1}}\n", "vm.yaml", name="vm").spec.cpus.count == 2
