"""What is read without the whole parser is what that makes of it, place by place; all else is left to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.spec.yaml_plain import read_plain
from launcher.spec.yaml_whole import read_whole
from tests.budget import runs
from tests.conftest import ROOT

GOOD = [path.read_text() for path in sorted((ROOT / "tests" / "specs" / "good").glob("*.yaml"))]
WRITTEN = [*GOOD, *(json.dumps(tree.plain()) for one in GOOD if (tree := read_whole(one, "").root))]
PIECES = st.sampled_from(
    ["a", "b: ", "- ", ": ", ":", "-", " ", "  ", "\n", "\n  ", "\n- ", "# c", " #", ", ", ",", "'", '"', "\\", "null",
     "0x1f", "1.5", "key: v\n", "{a: b}", "[1, 2]", "0000:c1:00.0", "---", "...", "<<: ", "x y  z", "a#b", "a:b", "'s'",
     '"q": "v"', "''", "é", "\t", "\r", "+1", ".5", "/x", "key:\n", "(a)", "x:\n ", *"#{}[]~1|>&*!?%@`=$<^"]
)  # fmt: skip
INDENTS = st.sampled_from(["", "", "  ", "    ", " "])
HEADS = st.sampled_from(["", "- ", "- - ", "-", "a: ", "b:", "c :", "- d: ", '"e": ', "1: ", "true: ", "a: # c"])
VALUES = st.sampled_from(
    ["", "1", "x y", "{a: 1}", "{a: b, c: [1, 2]}", "[a, b]", "'x'", '"y"', "# c", "v # c", "v #", "v#w", "a: b", "~",
     "{a: }", "{a}", "{a:b}", "[a,b]", "{a: b,}", "{ a: b }", "[ ]", "{}", "x  ", "-1", "k:v", "{'a': 1}", "{1: 2}",
     "{a: 1, a: 2}", "{a b: c d}", "{a: b} # c", "{a: b}#c", "{a: b} c", "[[1], [2]]", "{{ x }}", "...", "?"]
)  # fmt: skip
LINES = st.lists(st.tuples(INDENTS, HEADS, VALUES).map("".join), max_size=7)
ENDS = st.sampled_from(["", "\n", "\n\n", " \n", "\n# c"])


def check(text: str) -> bool:
    """Whether it was one for the plain reader."""
    found = read_plain(text, "vm.yaml")
    assert found is None or found == read_whole(text, "vm.yaml")
    return found is not None


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_are_plain(path: Path) -> None:
    assert check(path.read_text())


@pytest.mark.parametrize(
    "text",
    ["", "\n", "# c\n", "--- \na: 1\n", "a: 1\n...\n", "...", "a: &x 1\n", "a: *x\n", "a: !t 1\n", "a: |\n  x\n",
     "a: x\n  y\n", "a:\tx\n", "a: é\n", 'a: "\\n"\n', "a: 'it''s'\n", "a: {b\n", "a: {b}\n", "? a\n: b\n",
     "a: x: y\n", "a: [1,\n 2]\n", "<<: {a: 1}\n", "%YAML 1.2\n---\na: 1\n", "a: {{ x }}\n", "- - 1\n -\n",
     "a: 1\n b: 2\n"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_whole_parser(text: str) -> None:
    assert read_plain(text, "vm.yaml") is None


@pytest.mark.parametrize("text", ["[" * 9 + "]" * 9, "".join(f"{' ' * n}k:\n" for n in range(24)), "a: 1\n" * 3000])
def test_what_nears_a_limit_is_left_to_the_whole_parser(text: str) -> None:
    assert read_plain(text, "vm.yaml") is None


@pytest.mark.parametrize(
    "text", ["k:\n" * 4000, f"[{', '.join(['[[[[[[[]]]]]]]'] * 700)}]", f"a: [{', '.join('1' * 3900)}]"]
)
def test_what_is_plain_is_within_the_limits(text: str) -> None:
    assert check(text)


@settings(max_examples=runs(600), deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_pieces_are_read_as_the_whole_parser_does(text: str) -> None:
    check(text)


@settings(max_examples=runs(600), deadline=None)
@given(LINES, ENDS)
def test_any_lines_are_read_as_the_whole_parser_does(lines: list[str], end: str) -> None:
    check("\n".join(lines) + end)


@settings(max_examples=runs(300), deadline=None)
@given(
    st.sampled_from(WRITTEN),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 5), PIECES | st.just("")), max_size=4),
)
def test_any_damage_to_a_good_spec_is_read_as_the_whole_parser_does(
    text: str, damage: list[tuple[int, int, str]]
) -> None:
    for start, length, piece in damage:
        text = text[: start % len(text)] + piece + text[start % len(text) + length :]
    check(text)
