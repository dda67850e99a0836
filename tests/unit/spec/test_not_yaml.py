"""A text that is no YAML in, what a reader of it can see out: which line, and what is wrong with it."""

from __future__ import annotations

import pytest

from tests.unit.spec.test_words_of_others import told

DEEPER = {
    "boot:\n  kernel: ./hello.elf\n   cmdline: console=ttyS0\n": (3, 4, "3 spaces instead of 2"),
    "boot:\n  kernel: './hello.elf'\n   # mine\n\n    cmdline: console=ttyS0\n": (5, 5, "4 spaces instead of 2"),
    "cpus: 4\n  memory: 1GiB\n": (2, 3, "2 spaces instead of 0"),
    "memory:\n  - size: 1GiB\n     pages: 2MiB\n": (3, 6, "5 spaces instead of 4"),
    "devices:\n  a: 0000:01:00.0\n    rom: false\n": (3, 5, "4 spaces instead of 2"),
}


@pytest.mark.parametrize("text", DEEPER)
def test_a_key_that_is_indented_too_deeply_is_told_so(text: str) -> None:
    line, column, spaces = DEEPER[text]
    one = told(text)
    assert one.where is not None
    assert (one.code, one.where.line, one.where.column) == ("E004", line, column)
    assert one.message == f"this line is indented deeper than the one above, {spaces}"


def test_a_second_colon_is_still_one_wherever_its_line_begins() -> None:
    for text in ("boot:\n  cmdline: a: b\n", "boot:\n  kernel: x\n  cmdline: a: b\n"):
        assert told(text).message == "a second `: ` in one line"


def test_a_key_that_is_not_deep_enough_does_not_fit() -> None:
    assert told("boot:\n  kernel: x\n cmdline: a\n").message == "this line does not fit the ones above it"


def test_a_bracket_that_a_comment_has_swallowed_is_told_where_the_comment_begins() -> None:
    for text in (
        "boot: {kernel: ./k, cmdline: a #b}\ncpus: 4\n",
        "x-a: 1\nboot: {kernel: ./k, cmdline: a #b},\n  c: d",
    ):
        one = told(text)
        assert one.where is not None
        assert (one.code, one.where.column, one.help) == ("E004", 32, ("put text with ` #` in it in quotes",))


def test_a_variable_in_a_mapping_in_brackets_is_told_so() -> None:
    one = told("boot: {kernel: ${KERNEL}, initrd: b}\n")
    assert one.where is not None
    assert (one.code, one.where.column, one.where.end_column) == ("E004", 16, 25)
    assert one.message.startswith("`${KERNEL}` is not filled in here")


def test_a_comment_without_a_bracket_is_none_of_it() -> None:
    assert told("boot: {kernel: ./k, # the kernel\ncpus: 4\n").message.startswith("a bracket is not closed")
