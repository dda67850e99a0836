"""What a program may apply without reading: every fix takes its own problem away, and brings no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from launcher.codes import all_explanations
from launcher.errors import Diagnostic, Refused, Where
from launcher.spec.load import load_spec
from launcher.spec.problems import Problem
from launcher.spec.sound import sound
from tests.unit.spec.test_words_of_others import AT_THE_TOP, BESIDE, DEVICES, OF_A_DEVICE, PAGES, START, WHOLE

AS_LINES = "boot:\n  kernel: ./bzImage\ncpus: 2\nmemory: 1GiB\n"
OTHERS = (
    f"{START}disks: {{A: ./a, b: {{file: ./b, ro: yes}}, c: {{path: 'file=./c,if=virtio'}}}}\nshares: {{b: ./b}}\n",
    f"{START}nics: {{a: {{macaddr: 53:54:00:00:00:01, bridge: br0}}, b: {{bridge: br0, mac: 52-54-00-00-00-01}}}}\n",
    f"{START}nics: {{a: {{user: bridge=br0}}, b: 'bridge=br0'}}\n",
    f"{START}vsock: {{cid: yes}}\n",
    f"{START}shares: {{{'a' * 40}: ./a, {'a' * 36}: ./b}}\n",
    f"{START}disks: {{a: ./a,b}}\nnics: {{a: bridge=br0,mac=52:54:00:00:00:01}}\n",
    START.replace("1GiB", "[{size: 4G, pages: 2M}, {size: 1 GB, at: 0x10000001}]"),
    START.replace("1GiB", "9999999TB"),
    START.replace("1GiB", "size=4G"),
    START.replace("cpus: 2", 'cpus: "0"'),
    START.replace("cpus: 2", "cpus: {count: 2, pin: 9-8}"),
    START.replace("cpus: 2", "cpus: {vcpus: 2, n: 3}"),
    START.replace("cpus: 2", "cpus: {count: 2, vcpus: 3}"),
    START.replace("}", ", cmdline: ['a: b', '#c']}"),
    START.replace("}", ", cmdline: [console=ttyS0, ro]}"),
    "boot: '/vms/a, b'\ncpus: 1\nmemory: 1GiB\n",
    f"{START}vcpus: 3\n",
    f"{START}nmae: X_Y\n",
    f"{START}name: X_Y\n",
    f"{START}vmlaunch: 2\n",
    f"{START}confien: auto\n",
    f"{START}devices: {{GPU_0: 0000:01:00.0, gpu-0: 0000:02:00.0}}\n",
    f"{START}devices: {{GPU_0: 0000:01:00.0}}\n",
    f"{START}devices: {{a: {{match: {{id: 0302}}}}}}\n",
    f"{START}devices: {{a: {{match: {{class: 0x0302}}}}}}\n",
    f"{START}devices: {{a: {{match: {{class: 0302, serial: 0123}}}}}}\n",
    f"{START}devices: {{a: {{match: 10de:26}}}}\n",
    f"{START}devices: {{a: {{match: graphics}}}}\n",
    f"{START}devices: {{a: {{pci: 0000:01:00.0, allow: foo}}}}\n",
    f"{START}devices: {{a: {{pci: 0000:01:00.0, allow: in-use}}}}\n",
    f"{START}devices: {{a: {{pci: 0000:01:00.0, allow: [inuse], bind: no, companions: all, rom: yes}}}}\n",
    f"{START}devices: {{a: {{pci: 0000:01:00.0, host: 0000:02:00.0}}}}\n",
    f"{START}devices: {{a: {{host: 0000:01:00.0, address: 0000:02:00.0}}}}\n",
    f"{START}devices: {{a: {{host: 0000:01:00.0}}, b: 0000:01:00.0}}\n",
    f"{START}devices: {{a: 60.0, b: 105.0, c: {{pci: 0000:02:00.0, guest: 61.0}}, d: {{pci: 62.9}}}}\n",
    f"{START}devices: {{a: {{pci: 0000:02:00.0, guest: 0x10}}, b: {{pci: 0000:03:00.0, guest: '10.0'}}}}\n",
    f"{START}devices: {{a: {{pci: 0000:02:00.0, guest: 00:10.0}}, b: {{pci: 0000:03:00.0, guest: addr=0x10}}}}\n",
    f"{START}devices: {{a: {{match: {{class: gpu}}, macth: {{serial: x}}, naem: 3}}}}\n",
    f"{START}devices: {{a: {{host-address: null}}}}\n",
    START.replace("}", ", cmdline: console=ttyS0,115200 ro}"),
    START.replace("}", ", append: console=ttyS0,115200}"),
    START.replace("cpus: 2", "cpus: {count: 5, pin: 8-11,16}"),
    START.replace("cpus: 2", "cpus: {count: 4, pin: 8-11,16}"),
    START.replace("1GiB", "[{size: 1,5GiB}]"),
    START.replace("1GiB", "${MEM}"),
    START.replace("1GiB", "[{size: 1GiB, at: 4GiB}, {size: 1GiB, at: 4GiB}]"),
    f"{START}devices: {{a: '0000:01:00.0,pcie=1', b: '0000:01:00.0,pcie=1'}}\n",
    f"{START}devices: {{A: {{host: 0000:01:00.0, rom: yes}}, b: {{address: 0000:01:00.0, rom: yes}}}}\n",
    START.replace("cpus: 2", "cpus: {boot_vcpus: 2, max_vcpus: 4}"),
    f"{START}devices: {{a: {{pci: 01:00.0, companions: {{attach: true}}, bind: [auto], expect: '$ID'}}}}\n",
    START.replace("1GiB", "[{size: 1GiB, at: 4GiB}, {size: 1GiB, at: 0X200000000}, {size: 1GiB, at: 3KiB}]"),
    START.replace("1GiB", "[{size: 1GiB, pages: 2MiB, at: 8000000000}]"),
    START.replace("cpus: 2", "cpus: {count: 5, nested: 'yes'}"),
    f"{START}devices: {{a: {{pci: 01:00.0, rom: 'false', vf: 1, network: {{trust: 1, spoofcheck: off}}}}}}\n",
    f"{START}devices: {{a: {{pci: 01:00.0,pcie=1}}, b: 02:00.0,x=1}}\n",
    f"{START}devices: {{a: {{match: {{serial: 1,2}}, pick: free,1}}}}\n",
)


def corpus() -> list[str]:
    words = [f"{START}{written}\n" for written in AT_THE_TOP]
    device = [f"{START}devices: {{gpu: {{{written}}}}}\n" for written in OF_A_DEVICE]
    pages = [START.replace("1GiB", f"[{{size: 1GiB, pages: {written}}}]") for written in PAGES]
    named = [f"{START}devices: {{gpu: {written}}}\n" for written in DEVICES]
    named += [f"{START}{written}\n" for written in BESIDE]
    examples = [
        one.example for one in all_explanations() if one.code[:2] in ("E0", "E1") and "vmlaunch" not in one.example
    ]
    every = [*words, *device, *pages, *named, *WHOLE, *examples, *OTHERS]
    return [*every, *(one.replace(START, AS_LINES) for one in every if START in one)]


def faults(text: str) -> list[Diagnostic]:
    try:
        load_spec(text, "vm.yaml", name="vm")
    except Refused as refusal:
        return list(refusal.diagnostics)
    return []


def mended(text: str, one: Diagnostic) -> str:
    """As a program does it: the fix in place of what the place underlines, or as a line of its own (E129)."""
    where, lines = one.where or Where(""), text.split("\n")
    if one.code == "E129":
        return f"{one.fix}\n{text}"
    line = lines[where.line - 1]
    lines[where.line - 1] = line[: where.column - 1] + (one.fix or "") + line[where.end_column - 1 :]
    return "\n".join(lines)


@pytest.mark.parametrize("text", corpus())
def test_a_fix_takes_its_problem_away_and_brings_no_other(text: str) -> None:
    before = faults(text)
    for one in before:
        if one.fix is not None:
            after = {(other.code, other.where and other.where.path) for other in faults(mended(text, one))}
            assert after < {(other.code, other.where and other.where.path) for other in before}, one


@pytest.mark.parametrize("text", corpus())
def test_all_fixes_of_a_line_can_be_applied_one_after_the_other(text: str) -> None:
    """From the last to the first, so that no place moves before its turn."""
    fixes = [one for one in faults(text) if one.fix is not None and one.code != "E129"]
    whole = text
    for one in reversed(fixes):
        whole = mended(whole, one)
    assert len(faults(whole)) <= len(faults(text)) - len(fixes)


def test_of_two_fixes_that_do_not_go_together_one_is_offered() -> None:
    for written in (
        "memory: [{size: 1GiB, at: 4GiB}, {size: 1GiB, at: 4GiB}]",
        "memory: [{limit: 1GiB, request: 2GiB}]",
    ):
        found = faults(f"boot: {{kernel: ./bzImage}}\ncpus: 2\n{written}\n")
        assert sum(one.fix is not None for one in found) == 1


def test_the_corpus_has_fixes() -> None:
    found = {one.code for text in corpus() for one in faults(text) if one.fix is not None}
    assert found >= {"E101", "E105", "E107", "E111", "E112", "E113", "E115", "E116", "E117", "E118", "E120", "E128"}


@pytest.mark.parametrize("count", [1, 40, 150, 5000])
def test_a_file_with_thousands_of_problems_is_not_judged_anew_for_each(count: int) -> None:
    """Each time is as long as the file. Who has a hundred problems gets fixes for some of them, all the same."""
    spec = {"devices": {f"D{number}": "x" for number in range(count)}}
    found = [Problem("E110", "", ("devices", alias), key=True, fix=alias.lower()) for alias in spec["devices"]]
    looked = list[int]()

    def judge(mended: Mapping[str, Any]) -> list[Problem]:
        left = [one for one in found if one.path[1] in mended["devices"]]
        looked.append(len(left))
        return left

    fixes = [one.fix for one in sound(found, spec, judge) if one.fix]
    assert sum(looked) <= 6400
    assert len(fixes) == {1: 1, 40: 32, 150: 21, 5000: 0}[count]
