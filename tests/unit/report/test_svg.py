"""The picture of a plan: what is on it, and that it is nothing but a picture."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.report.plan_text import memory_row, placing_groups
from launcher.report.svg import WIDTH, plan_svg
from launcher.values import show_size
from tests.planning import EXAMPLE, SMALL, host, plan

GOLDEN = Path(__file__).parent / "passthrough-on-gpu07.svg"
SVG = "{http://www.w3.org/2000/svg}"
# What would run, load or lead elsewhere.
ALIVE = {"script", "a", "image", "use", "foreignObject", "animate", "iframe", "set"}


def full() -> Plan:
    return plan(EXAMPLE.read_text(), host("gpu07"))


def texts(picture: str) -> str:
    return "\n".join("".join(one.itertext()) for one in ElementTree.fromstring(picture).iter(f"{SVG}text"))


def test_the_example_is_drawn_as_recorded():
    picture = plan_svg(full())
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        GOLDEN.write_text(picture)
    assert picture == GOLDEN.read_text()


def test_every_device_and_every_line_of_memory_is_there():
    made = full()
    said = texts(plan_svg(made))
    for one in made.devices:
        assert one.alias in said
        assert str(one.host) in said
        assert one.guest is not None
        assert one.guest.guest in said
        assert f"group {one.group}" in said
    for line in made.memory:
        span, _, what = memory_row(line, placing_groups(made), {})
        assert str(span) in said
        assert show_size(line.size) in said
        assert what in said


def test_there_is_one_box_for_each_line_of_memory_and_they_do_not_overlap():
    made = full()
    root = ElementTree.fromstring(plan_svg(made))
    boxes = [one for one in root.iter(f"{SVG}rect") if one.get("class") in ("ram", "mmio", "reserved", "gap")]
    assert sum(one.get("class") != "gap" for one in boxes) == len(made.memory)
    ends = [int(one.get("y", "")) + int(one.get("height", "")) for one in boxes]
    assert [int(one.get("y", "")) for one in boxes[1:]] == ends[:-1]
    assert ends[-1] < int(root.get("height", ""))


def test_it_runs_nothing_and_loads_nothing():
    picture = plan_svg(full())
    root = ElementTree.fromstring(picture)
    assert not {one.tag.removeprefix(SVG) for one in root.iter()} & ALIVE
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on") or "href" in name]
    assert "url(" not in picture
    assert "@import" not in picture


def test_what_the_host_and_the_spec_say_cannot_become_markup():
    text = "boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 1GiB\ndevices: {gpu: 0000:c1:00.0}\n"
    facts = host("gpu07")
    evil = "</text><script>alert(1)</script> & \x1b[31m \x00"
    pci = tuple(replace(one, name=evil) if str(one.address) == "0000:c1:00.0" else one for one in facts.pci)
    picture = plan_svg(plan(text, replace(facts, name=evil, pci=pci)))
    assert "script" not in {one.tag.removeprefix(SVG) for one in ElementTree.fromstring(picture).iter()}
    assert "\x1b" not in picture


def test_a_long_alias_is_cut_and_whole_in_its_tooltip():
    alias = "a" * 63
    text = f"boot: {{kernel: ./bzImage}}\ncpus: 1\nmemory: 1GiB\ndevices: {{{alias}: 0000:02:00.0}}\n"
    root = ElementTree.fromstring(plan_svg(plan(text, host("gpu07"))))
    assert alias in {one.text for one in root.iter(f"{SVG}title")}


def test_a_plan_without_devices_has_no_tree():
    said = texts(plan_svg(plan(SMALL, host("cloud-vm"))))
    assert "IOMMU group" not in said
    assert "Guest memory" in said
    assert said.endswith("Can run: 0 blockers, 0 warnings.")


@pytest.mark.parametrize("text", [SMALL, EXAMPLE.read_text()])
def test_nothing_begins_beyond_the_edge(text: str):
    root = ElementTree.fromstring(plan_svg(plan(text, host("gpu07"))))
    assert int(root.get("width", "")) == WIDTH
    assert all(0 <= int(one.get("x", "0")) < WIDTH for one in root.iter() if one.tag != f"{SVG}svg")
