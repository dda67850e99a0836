"""argv in, exit code out: what vmlaunch does before and after a verb."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from launcher.cli import VERBS, _module_of, _parser_of, main, plan, validate
from launcher.cli.completion import SCRIPTS
from launcher.cli.outcome import LOOKING, exit_code_of, leave
from launcher.cli.terminal import can_redraw, wants_colour
from launcher.cli.words import ALIASES, IN_WORDS, OPTIONS, OTHERS, VALUES, VALUES_IN_WORDS
from launcher.errors import Diagnostic, HostNotRestored, LauncherError, NoSuchVm, Refused, StalePlan, StepFailed, Where
from launcher.version import VERSION
from tests.conftest import PATIENCE

HEAVY = ("pydantic", "rich", "ruamel")


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> object:
    """A verb that does what a test puts into it."""
    module = SimpleNamespace(arguments=lambda parser: parser.add_argument("--json", action="store_true"))
    monkeypatch.setitem(sys.modules, "launcher.cli.probe", module)
    monkeypatch.setitem(VERBS, "probe", ("probe", "for a test"))

    def does(deed: object) -> None:
        module.run = deed

    return does


def raising(error: BaseException) -> object:
    def run(options: argparse.Namespace) -> int:
        options.sources["vm.yaml"] = "cpus: 8\n"
        raise error

    return run


def run_alone(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]


# ---- words ----


def test_no_verb_prints_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    err = capsys.readouterr().err
    assert all(verb in err for verb in VERBS)


def test_help_and_version_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "usage: vmlaunch" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vmlaunch {VERSION}\n"


def test_misspelled_verb_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validat"]) == 2
    assert "did you mean `validate`?" in capsys.readouterr().err


def test_a_verb_of_another_tool_is_answered_by_ours(capsys: pytest.CaptureFixture[str]) -> None:
    for word, verb in {"start": "up", "List": "ps", "destroy": "down", "dry-run": "plan"}.items():
        assert main([word]) == 2
        assert capsys.readouterr().err == f"vmlaunch: no such verb: {word}; did you mean `{verb}`?\n"
    assert main(["frobnicate"]) == 2
    assert "\nverbs: plan, place, up" in capsys.readouterr().err


def test_no_word_of_others_is_a_verb_of_ours_and_each_leads_to_one() -> None:
    words = [word for listed in OTHERS.values() for word in listed.split()] + [*IN_WORDS, *ALIASES]
    assert OTHERS.keys() <= VERBS.keys()
    assert len(set(words)) == len(words)
    assert not set(words) & {*VERBS, "help", "version"}
    assert set(ALIASES.values()) <= IN_WORDS.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["help"], "usage: vmlaunch VERB ..."),
        (["help", "up"], "usage: vmlaunch up [-h]"),
        (["--help", "up"], "usage: vmlaunch up [-h]"),
        (["-h", "--json", "down"], "usage: vmlaunch down [-h]"),
        (["help", "boot.kernel"], "boot.kernel\n"),
        (["help", "e203"], "E203: "),
        (["version"], f"vmlaunch {VERSION}\n"),
    ],
    ids=" ".join,
)
def test_help_and_version_are_words_too(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["restart"], "no such verb: restart; `vmlaunch down NAME`, then `vmlaunch up SPEC` starts it anew"),
        (["uninstall"], "vmlaunch is installed and removed by pip or apt"),
        (["pull", "debian"], "images are files of yours, which qemu-img makes"),
        (["resume"], "a VM that owns devices cannot be suspended"),
        (["--list"], "no such verb: --list; did you mean `ps`?"),
        (["--json", "plan", "vm.yaml"], "options stand behind their verb: --json; write `vmlaunch plan --json`"),
        (["-v", "ps"], "options stand behind their verb: -v; `ps` has no such option"),
        (["--no-color", "ps"], "--no-color; set NO_COLOR=1 in the environment"),
        (["up", "-f", "vm.yaml"], "there is no option -f; a file is named without an option: `vmlaunch up vm.yaml`"),
        (["plan", "--fix", "vm.yaml"], "there is no option --fix; `vmlaunch validate --fix vm.yaml` mends a spec"),
        (["up", "--dry-run", "vm.yaml"], "there is no option --dry-run; `vmlaunch plan vm.yaml` shows what"),
        (["plan", "vm.yaml", "--out=vm.plan"], "there is no option --out; write `-o FILE`"),
        (["up", "vm.yaml", "--hello"], "a spec and --hello: one of them is meant"),
        (["plan"], "neither a spec nor --hello is given"),
        (["down", "--force", "vm"], "there is no option --force; write `--kill`"),
        (["validate", "--sett", "a"], "there is no option --sett; did you mean `--set`?"),
        (["vm.yaml"], "no such verb: vm.yaml; a file stands behind a verb: `vmlaunch up vm.yaml`, or `plan`"),
        (["gpus"], "did you mean `devices`?"),
        (["top"], "`vmlaunch inspect --watch NAME` tells the report again and again"),
        (["devices", "gpu"], "these are too many: gpu; write `--class gpu`"),
        (["doctor", "devices"], "these are too many: devices; write `--for devices`"),
        (["up", "a.yaml", "--set", "memory", "2GiB"], "too many: 2GiB; write `--set memory=2GiB`"),
        (["validate", "--strict", "a.yaml"], "no warnings; `vmlaunch plan --strict a.yaml` refuses those of a plan"),
        (["init", "--name", "web"], "a name is named without an option: `vmlaunch init NAME`"),
        (["explain", "E1O1"], "there is no field or code E1O1; did you mean `E101`?"),
        (["up", "a.yaml", "b.yaml"], "one is taken at a time, and these are too many: b.yaml"),
        (["doctor", "--for", "gpu"], "--for gpu is not known; did you mean `--for devices`?\nit can be vm, devices,"),
        (["plan", "--format", "svgg", "a"], "--format svgg is not known; write `--svg FILE`\nit can be text, json,"),
        (["completion", "tcsh"], "vmlaunch completion: tcsh is not known\nit can be bash, zsh or fish\n"),
        (["schema", "host"], "host is not known; did you mean `facts`?\nit can be spec, editor,"),
        (["plan", "--format", "\x1b[1m", "a"], "--format \ufffd[1m is not known\n"),
        (["schema", ""], "vmlaunch schema: '' is not known\nit can be spec,"),
        (["place"], "vmlaunch place: SPEC is missing; `vmlaunch init` writes a first one\nHOSTS is missing, a folder"),
        (["inspect"], "NAME|SPEC|PLAN is missing, and says which VM is meant; `vmlaunch ps -a` lists them\n"),
        (["completion"], f"SHELL is missing: {' or '.join(', '.join(SCRIPTS).rsplit(', ', 1))}\n`vmlaunch completion"),
        (["plan", "a", "-o"], "-o/--output takes a value, and nothing stands behind it\n`vmlaunch plan --help` says"),
        (["plan", "a", "--json=3"], "vmlaunch plan: --json takes no value, and has '3'\n"),
        (["inspect", "--every", "0", "a"], "vmlaunch inspect: --every: 0 is not 0.1 to 3600 seconds\n"),
        (["inspect", "--every", "often", "a"], "vmlaunch inspect: --every: often is not 0.1 to 3600 seconds\n"),
        (["inspect", "--every=", "a"], "vmlaunch inspect: --every: '' is not 0.1 to 3600 seconds\n"),
        (["up", "a.yaml", "\x1b[1m", "--\x07"], "there is no option --\ufffd\n"),
    ],
    ids=lambda words: " ".join(words).replace("\x1b", "ESC").replace("\x07", "BEL") if isinstance(words, list) else "",
)
def test_words_that_are_not_ours_are_answered_in_ours(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, said in err, "\x1b" in err) == ("", True, False)


def test_values_of_others_are_not_ours_and_lead_to_ours() -> None:
    for verb, option in {*VALUES, *VALUES_IN_WORDS}:
        actions = _parser_of(verb, _module_of(verb))._actions
        choices = next({*one.choices} for one in actions if one.choices and option == (*one.option_strings, "")[0])
        others = VALUES.get((verb, option), {})
        named = {*" ".join(others.values()).split(), *VALUES_IN_WORDS.get((verb, option), {})}
        assert (verb, named & choices, others.keys() - choices) == (verb, set(), set())


def test_no_option_of_others_is_one_of_ours() -> None:
    for verb in VERBS:
        taken = _parser_of(verb, _module_of(verb))._option_string_actions
        names = {name for listed in OPTIONS.get(verb, {}) for name in listed.split()}
        assert (verb, names & taken.keys()) == (verb, set())
    assert OPTIONS.keys() - {""} <= VERBS.keys()


def test_unknown_option_of_a_verb_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--sett", "a", "b"]) == 2
    assert "--sett" in capsys.readouterr().err


def test_options_may_stand_between_operands(capsys: pytest.CaptureFixture[str]) -> None:
    main(["validate", "/nowhere/a", "--json", "/nowhere/b"])
    assert [one["file"] for one in json.loads(capsys.readouterr().out)["specs"]] == ["/nowhere/a", "/nowhere/b"]


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["completion", "bash"], ["ps"], ["logs", "x"], ["console", "x"]]
)
def test_answers_for_the_shell_import_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; from launcher.cli import main; main({words}); print([m for m in {HEAVY} if m in sys.modules])"
    assert run_alone("-c", code).stdout.splitlines()[-1] == "[]"


# ---- errors ----


@pytest.mark.parametrize(
    ("error", "code", "ending"),
    [
        (Refused, 1, "vm.yaml: 1 error; nothing was changed"),
        (NoSuchVm, 7, "vm.yaml: 1 error"),
        (StalePlan, 10, "vm.yaml: 1 error; nothing was changed"),
        (StepFailed, 11, "vm.yaml: 1 error; the host is as it was"),
        (HostNotRestored, 12, "vm.yaml: 1 error; the host is not as it was"),
    ],
)
def test_error_decides_the_exit_code_and_the_last_words(
    verb: object, error: type[LauncherError], code: int, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(error(Diagnostic("E301", "no", Where("vm.yaml", 1, 7, 8)))))  # type: ignore[operator]
    assert main(["probe"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 | cpus: 8\n  |       ^" in err
    assert err.splitlines()[-1] == ending


@pytest.mark.parametrize("words", [["inspect", "No Name"], ["logs", "No Name"], ["console", "No Name"]])
def test_verbs_that_only_look_do_not_say_that_nothing_was_changed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    err = capsys.readouterr().err
    assert err.startswith("error[")
    assert err.splitlines()[-1] == "1 error"


@pytest.mark.parametrize(("codes", "named"), [(["E301"], "E301"), (["E301", "E301"], "E301"), (["E301", "E2"], "CODE")])
def test_where_a_code_is_explained_is_said(
    verb: object, codes: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(Refused(*(Diagnostic(code, "no") for code in codes))))  # type: ignore[operator]
    main(["probe"])
    assert capsys.readouterr().err.splitlines()[-2] == f"`vmlaunch explain {named}` says more."


def test_error_with_json_is_one_line_on_stdout(verb: object, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raising(StepFailed(Diagnostic("E501", "no"))))  # type: ignore[operator]
    assert main(["probe", "--json"]) == 11
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    answer = json.loads(out)
    assert (answer["exit_code"], answer["diagnostics"][0]["code"]) == (11, "E501")


@pytest.mark.parametrize("answer", sorted({*validate.ANSWERS, *plan.ANSWERS} - {"text", "cloud-init"}))
def test_an_error_has_each_format_that_a_verb_has(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(verb="validate", format=answer, sources={})
    assert exit_code_of(lambda: raising(Refused(Diagnostic("E301", "no")))(options), options) == 1  # type: ignore[operator]
    out, err = capsys.readouterr()
    assert ("E301" in out, err) == (True, "")


def test_interrupt_is_130_and_says_nothing(verb: object, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raising(KeyboardInterrupt()))  # type: ignore[operator]
    assert main(["probe"]) == 130
    assert capsys.readouterr() == ("", "")


def test_the_exit_code_stands_where_nothing_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed by whoever started us, where there is no /dev/null to take their places."""
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    leave(1)
    assert left == [1]


@pytest.mark.parametrize("verb", LOOKING)
def test_who_looks_and_is_interrupted_has_changed_nothing(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(verb=verb)

    def interrupted() -> int:
        raise KeyboardInterrupt

    assert exit_code_of(interrupted, options) == 130
    assert capsys.readouterr() == ("", f"vmlaunch: `{verb}` was interrupted; nothing was changed\n")


def test_who_interrupts_before_a_verb_runs_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("launcher.cli._at_a_glance", interrupted)
    assert main(["up", "-d", "vm.yaml"]) == 130
    assert capsys.readouterr() == ("", "vmlaunch: `up` was interrupted; nothing was changed\n")


def test_planning_of_up_that_is_interrupted_is_one_line(tmp_path: Path) -> None:
    """It reads a spec that nobody writes, until ^C reaches it."""
    spec = tmp_path / "vm.yaml"
    os.mkfifo(spec)
    up = subprocess.Popen([sys.executable, "-m", "launcher", "up", spec], stderr=subprocess.PIPE, text=True)
    with spec.open("w"):  # once the other end is open
        up.send_signal(signal.SIGINT)
        _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, err) == (130, "vmlaunch: planning was interrupted; nothing was changed\n")


def test_output_that_cannot_be_written_is_no_closed_pipe() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "launcher", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        74,
        "vmlaunch: failed to write the output: No space left on device\n",
    )


def test_bug_of_ours_is_70_with_the_traceback_and_a_request(verb: object, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raising(ZeroDivisionError("by zero")))  # type: ignore[operator]
    assert main(["probe"]) == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in err
    assert "please report it" in err


def test_reader_that_goes_away_ends_the_run_quietly() -> None:
    command = f"{sys.executable} -m launcher schema; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONUNBUFFERED": "1"},
    )
    assert done.stderr in ("141\n", "0\n")  # 0 when all of it went into the pipe before the reader left


def test_file_name_that_is_not_text_can_be_named() -> None:
    done = run_alone("-m", "launcher", "validate", b"/nowhere/\xff.yaml")
    assert done.returncode == 1
    assert "/nowhere/\\udcff.yaml" in done.stderr or "/nowhere/\ufffd.yaml" in done.stderr


# ---- colour ----


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_dumb_terminal_is_not_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert (can_redraw(Terminal()), can_redraw(io.StringIO())) == (True, False)
    monkeypatch.setenv("TERM", "dumb")
    assert not can_redraw(Terminal())


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "0"}, False),
        (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_unless_the_environment_says_otherwise(
    stream: io.StringIO, environment: dict[str, str], wanted: bool
) -> None:
    assert wants_colour(stream, environment) is wanted


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "often"])
def test_a_watch_that_would_never_rest_or_never_end_is_wrong_usage(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "vm", "--watch", f"--every={seconds}"]) == 2
    assert "--every" in capsys.readouterr().err


def test_an_address_in_place_of_a_spec_is_answered_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "0000:07:1f.3"]) == 1
    assert "`devices: {disk: 0000:07:1f.3}`" in capsys.readouterr().err
