"""`explain`, `schema` and `completion`: what vmlaunch says about itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from launcher.cli import VERBS, main
from launcher.cli.outcome import INTERRUPTED, PIPE_CLOSED, UNWRITTEN
from launcher.cli.topics import EXIT_CODES
from launcher.codes import all_explanations
from launcher.errors import BUG, LauncherError
from launcher.spec.fields import all_fields
from launcher.spec.kinds import WORDS


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


@pytest.mark.parametrize("place", ["devices.drive", "disks.root", "nics.lan", "shares.work", "memory.0"])
def test_an_alias_is_what_its_section_says(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, "explain", place) == say(capsys, "explain", place.partition(".")[0])


def test_a_misspelled_key_is_no_alias(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "devices.pcci"]) == 2
    assert "did you mean `devices.pci`?" in capsys.readouterr().err


def test_section_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert "keys     class, id, serial, slot, node, pf" in say(capsys, "explain", "devices.match")


def test_code_is_explained_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    text = say(capsys, "explain", "e107")
    assert text.startswith("E107: not a size\n")
    assert "memory: 32G" in text


def test_unknown_topic_gets_a_suggestion_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "devices.companoins"]) == 2
    assert "did you mean `devices.companions`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("allow", ["devices.allow\n\nBlockers you accept"]),
        ("thp", ["memory.pages\n"]),
        ("in-use", ["devices.allow  ", "\nE231  the host uses the device"]),
        ("No-Reset", ["devices.allow  ", "\nE216  the device cannot be reset"]),
        ("network", ["devices.network  ", "\nnics  "]),
        ("ram", ["memory\n"]),
        ("boot_order", ["devices.boot-order  ", "disks.boot-order  "]),
        ("13", ["Exit code 13: the guest crashed"]),
    ],
)
def test_a_word_is_explained_by_the_fields_and_codes_it_stands_for(
    word: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = say(capsys, "explain", word)
    assert [one for one in said if one not in text] == []
    assert isinstance(json.loads(say(capsys, "explain", word, "--json")), dict)


@pytest.mark.parametrize(
    ("word", "said"),
    [("up", "up is a verb: `vmlaunch help up`"), ("no-such-thing", "`vmlaunch explain` lists all"),
     ("914", "there is no field or code 914"), ("(\x1b[", "there is no field or code (\ufffd[")],
)  # fmt: skip
def test_a_word_that_nothing_speaks_of_is_told_so(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word]) == 2
    assert said in capsys.readouterr().err


def test_exit_codes_that_are_explained_are_those_that_errors_have() -> None:
    kinds = [LauncherError, *LauncherError.__subclasses__()]
    assert {one.exit_code for one in kinds} | {BUG, UNWRITTEN, INTERRUPTED, PIPE_CLOSED} <= EXIT_CODES.keys()


def test_without_a_topic_all_fields_are_listed_with_what_they_mean(capsys: pytest.CaptureFixture[str]) -> None:
    *lines, _, more = say(capsys, "explain").splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == list(all_fields())
    assert any(re.fullmatch(r"cpus\.count +How many vCPUs the guest has\.", line) for line in lines)
    assert max(map(len, lines)) <= 100
    assert "explain codes" in more


def test_codes_are_listed_apart(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [line.split()[0] for line in say(capsys, "explain", "codes").splitlines()]
    assert codes == [one.code for one in all_explanations()]
    answer = json.loads(say(capsys, "explain", "--json"))
    assert (answer["fields"], answer["codes"]) == (list(all_fields()), codes)


@pytest.mark.parametrize("topic", [*all_fields(), "E203", "W216"])
def test_what_is_said_is_wrapped_at_words(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert max(map(len, say(capsys, "explain", topic).splitlines())) <= 100


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
        (["explain", "memory.p"], ["memory.pages"]),
        (["explain", "E20"], ["E201", "E202", "E203", "E204", "E205", "E206", "E207", "E208", "E209"]),
        (["devices", "--class", "g"], ["gpu"]),
        (["validate", "--format", "=", "sa"], ["sarif"]),
        (["validate", "--format", "="], ["text", "json", "github", "sarif", "junit"]),
        (["validate", "--format=sa"], ["--format=sarif"]),
        (["plan", "--set", "boot.c"], ["boot.cmdline="]),
        (["plan", "--host", "tests/hosts/lab-tw"], ["tests/hosts/lab-two-nodes.json"]),
        (["validate", "pyproj"], []),
        (["plan", "exampl"], ["examples"]),
        (["plan", "examples/pass"], ["examples/passthrough.yaml"]),
        (["plan", "--ou"], ["--output"]),
        (["plan", "-o", "pyproj"], ["pyproject.toml"]),
    ],
)
def test_bash_offers_what_fits(words: list[str], offered: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = " ".join(f"'{word}'" for word in ["vmlaunch", *words])
    script = say(capsys, "completion", "bash") + f"COMP_WORDS=({given}); COMP_CWORD={len(words)}; _vmlaunch\n"
    done = subprocess.run(
        ["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == offered


def test_all_that_explain_knows_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        script = say(capsys, "completion", shell)
        known = [*all_fields(), *(one.code for one in all_explanations()), *WORDS]
        assert [one for one in known if not re.search(rf"[ ('\"]{re.escape(one)}[ )'\"]", script)] == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_shell_reads_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([shell, "-n"], input=say(capsys, "completion", shell), text=True, check=True)


FISH = {
    "explain memory.p": ["memory.pages"],
    "devices --class g": ["gpu"],
    "validate --format=sa": ["--format=sarif"],
    "plan --set boot.c": ["boot.cmdline="],
    "plan examples/pass": ["examples/passthrough.yaml"],
    "plan pyproj": [],
}


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize("line", FISH)
def test_fish_offers_what_fits(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = say(capsys, "completion", "fish") + f"complete -C 'vmlaunch {line}'\n"
    done = subprocess.run(["fish", "-N", "-c", script], capture_output=True, text=True, check=True)
    assert [one.split("\t")[0] for one in done.stdout.splitlines()] == FISH[line]


def test_zsh_and_fish_know_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("zsh", "fish"):
        script = say(capsys, "completion", shell)
        assert all(verb in script and about in script for verb, (_, about) in VERBS.items())
