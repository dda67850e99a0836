"""What a guest asked of a terminal before this one came."""

from __future__ import annotations

import json

import pytest

from launcher.cli.output import Terminal, json_lines

QUESTIONS = [
    b"\x1b[6n", b"\x1b[?6n", b"\x1b[5n", b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[=c", b"\x1bZ", b"\x05", b"\x1b[18t",
    b"\x1b[?2026$p", b"\x1b[4$p", b"\x1b[>0q", b"\x1b]10;?\x07", b"\x1b]11;?\x1b\\", b"\x1bP$qm\x1b\\",
    b"\x1bP+q544e\x1b\\",
]  # fmt: skip
REST = [
    b"\x1b[32mgreen\x1b[0m",
    b"\x1b[2J\x1b[H",
    b"\x1b[?25h",
    b"\x1b]0;title\x07",
    b"login: ",
    b"\x1b[1;50r",
    b"\x1bM",
]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_question_of_the_past_is_left_out_wherever_it_is_cut(question: bytes, cut: int) -> None:
    output, whole = Terminal(), b"before" + question + b"after"
    output(whole[: 6 + cut])
    output(whole[6 + cut :])
    output(b"")
    assert output.waiting == b"beforeafter"


@pytest.mark.parametrize("question", [one for one in QUESTIONS if len(one) > 1])
def test_a_question_of_now_is_passed_on(question: bytes) -> None:
    output = Terminal()
    output(b"before" + question[:1])
    output.present = True
    output(question[1:] + b"after")
    assert output.waiting == b"before" + question + b"after"


@pytest.mark.parametrize("said", REST)
def test_all_else_stays(said: bytes) -> None:
    output = Terminal()
    for n in range(len(said)):
        output(said[n : n + 1])
    output(b"")
    assert output.waiting == said


def test_half_of_a_letter_at_the_end_is_told_as_json_too() -> None:
    shape = json_lines()
    pieces = [shape(piece) for piece in (b"caf\xc3", b"\xa9\xe2\x82", b"")]
    assert [json.loads(one)["console"] for one in pieces] == ["caf", "é", "\ufffd"]
