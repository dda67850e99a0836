"""`explain`, `schema` and `completion`: what vmlaunch says about itself."""

from __future__ import annotations

import json
import subprocess

import pytest

from launcher.cli import VERBS, main
from launcher.codes import all_explanations
from launcher.errors import Refused
from launcher.spec.fields import all_fields
from launcher.spec.load import load_spec


def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_field_is_explained_with_type_default_and_example(capsys: pytest.CaptureFixture[str]) -> None:
    text = say(capsys, "explain", "devices.companions")
    assert "one of refuse, detach, attach" in text
    assert "default  refuse" in text
    assert "companions: attach" in text


def test_field_is_found_by_its_place_in_a_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, "explain", "devices.gpu.match.class") == say(capsys, "explain", "devices.match.class")
    assert say(capsys, "explain", "memory.0.pages") == say(capsys, "explain", "memory.pages")


def test_section_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert "keys     class, id, serial, slot, node" in say(capsys, "explain", "devices.match")


def test_code_is_explained_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    text = say(capsys, "explain", "e107")
    assert text.startswith("E107: not a size\n")
    assert "memory: 32G" in text


def test_unknown_topic_gets_a_suggestion_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "devices.companoins"]) == 2
    assert "did you mean `devices.companions`?" in capsys.readouterr().err


def test_without_a_topic_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = say(capsys, "explain").splitlines()
    listed = {line.split()[0] for line in lines if line}
    assert {*all_fields(), *(one.code for one in all_explanations())} == listed
    answer = json.loads(say(capsys, "explain", "--json"))
    assert {*answer["fields"], *answer["codes"]} == listed


def test_json_has_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    field = json.loads(say(capsys, "explain", "--json", "devices.rom"))
    assert (field["default"], field["required"]) == (True, False)
    assert json.loads(say(capsys, "explain", "--json", "E107"))["title"] == "not a size"


@pytest.mark.parametrize("key", all_fields())
def test_every_field_has_a_description_and_an_example(key: str) -> None:
    field = all_fields()[key]
    assert field.description.endswith(".")
    assert field.examples
    assert field.type


@pytest.mark.parametrize("one", [one for one in all_explanations() if one.code[1] == "1"], ids=lambda one: one.code)
def test_example_of_a_spec_code_provokes_that_code(one: object) -> None:
    example: str = one.example  # type: ignore[attr-defined]
    if not example.startswith("cat "):  # E129 is about where a spec comes from
        with pytest.raises(Refused) as refused:
            load_spec(example, "vm.yaml", name="vm")
        assert one.code in {found.code for found in refused.value.diagnostics}  # type: ignore[attr-defined]


def test_schema_is_json_for_draft_2020_12(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(say(capsys, "schema"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema == json.loads(say(capsys, "schema", "spec"))


def test_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["val"], ["validate"]),
        ([""], list(VERBS)),
        (["validate", "--format", "s"], ["sarif"]),
        (["validate", "--js"], ["--json"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["explain", ""], []),
        (["validate", "pyproj"], ["pyproject.toml"]),
    ],
)
def test_bash_offers_what_fits(words: list[str], offered: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = " ".join(f"'{word}'" for word in ["vmlaunch", *words])
    script = say(capsys, "completion", "bash") + f"COMP_WORDS=({given}); COMP_CWORD={len(words)}; _vmlaunch\n"
    done = subprocess.run(
        ["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == offered


def test_zsh_and_fish_know_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("zsh", "fish"):
        script = say(capsys, "completion", shell)
        assert all(verb in script and about in script for verb, (_, about) in VERBS.items())
