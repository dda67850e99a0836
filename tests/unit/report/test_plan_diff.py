"""Two plans in: what `plan --diff` says of them."""

from __future__ import annotations

import pytest

from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.report.plan_diff import Difference, diff_text, differences
from tests.planning import EXAMPLE, host, plan
from tests.served import START, image, served, with_disks

TEXT = EXAMPLE.read_text()


def planned(*changes: tuple[str, str]) -> Plan:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return plan(text, host("gpu07"))


def lines(*changes: tuple[str, str]) -> list[str]:
    return [str(one) for one in differences(planned(), planned(*changes))]


def test_the_same_plan_has_no_difference():
    assert differences(planned(), planned()) == ()
    assert diff_text(()) == ""


def test_what_a_plan_warns_of_is_no_difference():
    made = planned()
    assert made.diagnostics
    assert differences(made, replace(made, diagnostics=())) == ()


def test_a_moved_device_is_one_line_old_and_new():
    found = lines(("guest: 00:18.0", "guest: 00:19.0"))
    assert "~ gpu: guest  0000:00:18.0 -> 0000:00:19.0" in found
    assert "~ devices.gpu: guest  00:18.0 -> 00:19.0" in found


def test_a_new_device_and_one_that_is_gone_are_one_line_each():
    found = lines(("  scratch:", "  store:"))
    assert "- scratch  0000:81:00.0 144d:a80c as 00:12.0" in found
    assert "+ store  0000:81:00.0 144d:a80c as 00:12.0" in found
    assert not [line for line in found if line.startswith("~ st")]


def test_less_memory_shows_in_map_steps_and_facts():
    found = lines(("size: 32GiB", "size: 16GiB"))
    assert "~ memory.0: size  32GiB -> 16GiB" in found
    assert (
        "~ take-memory  take 32 x 1 GiB pages on node 1 for bank 0 -> take 16 x 1 GiB pages on node 1 for bank 0"
        in found
    )
    assert "~ nodes[1].huge_pages[1073741824].free at least  64 -> 48" in found
    assert any(line.startswith("~ RAM, bank 0 (2)  000100000000-00083fffffff") for line in found)


def test_an_argument_that_the_sentence_of_a_step_does_not_show_is_a_line_of_its_own():
    made = planned()
    steps = tuple(replace(step, sha256="33" * 32) if step.op == "load-kernel" else step for step in made.steps)
    (found,) = differences(made, replace(made, steps=steps))
    assert (found.part, found.what.partition(" (")[0], found.new) == ("steps", "load-kernel: sha256", "33" * 32)


def test_parts_are_in_the_order_of_the_plan_and_lines_fit():
    found = differences(planned(), planned(("size: 32GiB", "size: 16GiB"), ("guest: 00:18.0", "guest: 00:19.0")))
    text = diff_text(found)
    heads = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert heads == ["Spec", "Devices", "Guest memory", "Steps", "Facts it rests on"]
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_has_old_and_new_on_lines_of_their_own(width: int):
    found = differences(planned(), planned(("size: 32GiB", "size: 16GiB")))
    text = diff_text(found, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\n      -> take 16 x" in text


def test_nothing_in_it_steers_a_terminal():
    assert "\x1b" not in diff_text((Difference("steps", "load-kernel", "a \x1b[31m", "b"),))


def test_the_rest_of_a_long_line_is_no_line_of_its_own_and_all_of_it_is_there():
    words = "as the guest touches it, shared with engines " * 3
    begin, *more = diff_text((Difference("steps", "take-memory", None, words),), 80).splitlines()[1:]
    assert begin.startswith("  + take-memory  as")
    assert all(line.startswith("      ") for line in more)
    assert " ".join(" ".join((begin, *more)).split()) == f"+ take-memory {words}".strip()


def test_a_mode_is_octal():
    found = differences(planned(), plan(f"{START}disks: {{root: ./root.qcow2}}\n", served(), with_disks(root=image())))
    assert any("mode 0600" in (one.new or "") for one in found if one.what == "files.disks[root]")
