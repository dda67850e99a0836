"""What strangers say is written out where it would steer a terminal, and else is as it was."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.cli.output import harmless
from launcher.report.escapes import as_json, escaped

KEPT = "\t\n"


@pytest.mark.parametrize(
    ("said", "drawn"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J \x7f \x08", "\\x9b2J \\x7f \\x08"),
        ("\u202etxet \U000e0041", "\\u202etxet \\U000e0041"),
        ("hidden \rshown\n", "hidden \\rshown\n"),
        ("line\r\nline\r\r\n\ttab", "line\r\nline\r\r\n\ttab"),
        (b"\x9b \xfc".decode(errors="surrogateescape"), "\\x9b \\xfc"),
        ("ä 漢 🚀 \u200d e\u0301", "ä 漢 🚀 \u200d e\u0301"),
    ],
)
def test_what_is_said_is_drawn(said: str, drawn: str) -> None:
    assert escaped(said) == drawn


@given(st.text())
def test_nothing_that_steers_is_left_of_any_text(text: str) -> None:
    left = escaped(text).replace("\r\n", "\n").replace("\r\n", "\n")
    assert not any(unicodedata.category(sign) in ("Cc", "Cs") and sign not in KEPT for sign in left.replace("\r", ""))
    assert escaped(escaped(text)) == escaped(text)


@given(st.text())
def test_json_is_the_same_json_and_steers_nothing(text: str) -> None:
    made = as_json({text: [text]})
    assert json.loads(made) == {text: [text]}
    assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in made)


def test_letters_of_json_stay_letters() -> None:
    assert as_json(["ä 漢", "\x9b"]) == '["ä 漢", "\\u009b"]'


@given(st.binary(), st.integers(1, 5))
def test_pieces_of_any_size_are_drawn_as_the_whole(data: bytes, size: int) -> None:
    shape = harmless()
    pieces = b"".join(shape(data[n : n + size]) for n in range(0, len(data), size)) + shape(b"")
    assert pieces.decode() == escaped(data.decode(errors="surrogateescape"))


def test_a_letter_and_a_line_end_that_come_in_two_pieces_stay_whole() -> None:
    shape = harmless()
    assert [shape(b"\xc3"), shape(b"\xa4\r"), shape(b"\n"), shape(b"\r"), shape(b"\xe6"), shape(b"")] == [
        b"", "ä".encode(), b"\r\n", b"", b"", b"\\r\\xe6",
    ]  # fmt: skip
