"""A text that is no YAML in, what a reader of it can see out: which line, and what is wrong with it."""

from __future__ import annotations

import json

import pytest

from launcher.errors import Refused
from launcher.spec.load import load_spec
from tests.unit.spec.test_words_of_others import told

WHOLE = "boot: {kernel: ./k}\ncpus: 1\nmemory: 1GiB\n"

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


def test_quotes_that_do_not_close_are_told_where_they_open() -> None:
    one = told('name: "a\nboot: x\n')
    assert one.where is not None
    assert (one.code, one.message) == ("E004", "the quotes that open here do not close")
    assert (one.where.line, one.where.column) == (1, 7)


BRACKETS = {
    "boot: {kernel: ./k\ncpus: 2\n": (1, 7, "the bracket that opens here is not closed before line 2"),
    "boot: {kernel: ./k, # it\n  a: b\ncpus: 2\n": (1, 7, "the bracket that opens here is not closed before line 3"),
    "cpus: 2\ndevices: {a: {allow: [b, c}\n": (2, 27, "a bracket is not closed, or a comma is missing"),
}


@pytest.mark.parametrize("text", BRACKETS)
def test_a_bracket_that_is_not_closed_in_its_line_is_told_where_it_opens(text: str) -> None:
    line, column, said = BRACKETS[text]
    one = told(text)
    assert one.where is not None
    assert (one.code, one.where.line, one.where.column) == ("E004", line, column)
    assert one.message.startswith(said)


TEMPLATES = {
    "name: {{ .Values.name }}\n": (1, 7, 25),
    "name: {{ .Values.name | quote }}-{{ .N }}\n": (1, 7, 33),
    'boot:\n  kernel: {{ include "k" (dict "a" .) }}\n': (2, 11, 41),
    "cpus: 4\n{{- if .Values.gpu }}\ndevices: {gpu: 0000:c1:00.0}\n{{- end }}\n": (2, 1, 22),
    "{% if gpu %}\ncpus: 4\n{% endif %}\n": (1, 1, 13),
    "cpus: {{\n  cpus }}\n": (1, 7, 9),
    "cpus: <%= cpus %>\nmemory: [1\n": (1, 7, 18),
}


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_that_is_not_filled_in_is_told_so(text: str) -> None:
    with pytest.raises(Refused) as refused:
        load_spec(text, "vm.yaml", name="vm")
    templates = [one for one in refused.value.diagnostics if one.code == "E022"]
    assert not [one for one in refused.value.diagnostics if one.code in ("E011", "E105")]
    found = [(one.where.line, one.where.column, one.where.end_column) for one in templates[:1] if one.where]
    assert found == [TEMPLATES[text]]


def test_text_and_brackets_that_only_look_like_a_template_are_none() -> None:
    assert load_spec(WHOLE + 'x-a: "{{ b }}"\n', "vm.yaml", name="vm").spec.name == "vm"
    assert told(WHOLE + "x-a: { {a: b} : c}\n").code == "E011"


NO_SECOND = [f"{WHOLE}---\n", f"---\n{WHOLE}---\n# nothing\n---\n", f"---\n---\n{WHOLE}", f"{WHOLE}...\n"]
NO_SECOND += [f"%YAML 1.2\n---\n{WHOLE}", f"{WHOLE}...\n%YAML 1.2\n---\n"]
SECOND = [f"{WHOLE}---\n{WHOLE}", f"{WHOLE}---\n---\n''\n", f"{WHOLE}---\n&a\n", f"{WHOLE}---\nnull\n"]
SECOND += [f"{WHOLE}---\n[]\n"]


@pytest.mark.parametrize("text", NO_SECOND)
def test_marks_without_a_second_document_are_none(text: str) -> None:
    assert load_spec(text, "vm.yaml", name="vm").spec == load_spec(WHOLE, "vm.yaml", name="vm").spec


@pytest.mark.parametrize("text", SECOND)
def test_a_second_document_is_told_where_it_begins(text: str) -> None:
    one = told(text)
    assert one.where is not None
    assert one.code == "E007"
    assert text.split("\n")[one.where.line - 1] == "---"


def test_json_of_any_program_is_read_with_what_it_escapes() -> None:
    spec = {"boot": {"kernel": "./k", "cmdline": "a=\U0001f600 ä"}, "cpus": 1, "memory": "1GiB"}
    for text in (json.dumps(spec), json.dumps(spec, indent=2, ensure_ascii=False)):
        loaded = load_spec(text, "vm.json", name="vm").spec
        assert (loaded.boot.cmdline, loaded.boot.kernel) == (spec["boot"]["cmdline"], "./k")  # type: ignore[index]
    for half in ("\\ud83d", "\\ude00", "\\ude00\\ud83d"):
        assert told(WHOLE + f'x-a: "{half}"\n').code == "E002"


@pytest.mark.parametrize("written", ["2.0", "2e+00"])
def test_a_whole_number_that_a_program_has_written_as_a_float_has_a_fix(written: str) -> None:
    one = told(WHOLE.replace("cpus: 1", f"cpus: {written}"))
    assert (one.code, one.help, one.fix) == ("E105", ("write `2`",), "2")
