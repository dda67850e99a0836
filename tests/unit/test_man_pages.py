"""Pages of man, as a terminal shows them, have all that they are made of. Whether they are new: test_generated.py."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from launcher.cli.topics import EXIT_CODES
from launcher.codes import all_explanations
from launcher.spec.fields import all_fields, as_yaml
from tests.conftest import ROOT
from tests.man_pages import man_pages
from tests.parsers import parsers
from tests.test_house import modules

pytestmark = pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")


def shown(path: str) -> str:
    """What groff warns of is an error here. The lines are long enough not to be broken."""
    wide = ("-rLL=500n", "-rHY=0", "-P-c", "-P-b", "-P-o", "-P-u")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", *wide, ROOT / path], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return re.sub(" +", " ", done.stdout)


def test_a_page_has_each_verb_option_and_exit_code() -> None:
    text = shown("docs/man/vmlaunch.1")
    verbs = [(name, action) for name, _, parser in parsers() for action in parser._actions if action.dest != "help"]
    missing = {flag for _, action in verbs for flag in action.option_strings if f" {flag}" not in text}
    assert missing | {verb for verb, _ in verbs if f"\n vmlaunch {verb} " not in text} == set()
    assert [code for code in EXIT_CODES if f"\n {code} " not in text] == []


def test_a_page_has_each_field_with_its_examples() -> None:
    text = shown("docs/man/vm.yaml.5")
    lines = {line.strip() for line in text.splitlines()}
    fields = all_fields()
    assert [key for key in fields if f"\n {key} (" not in text] == []
    typed = {f"{key.rpartition('.')[2]}: {as_yaml(one)}" for key, field in fields.items() for one in field.examples}
    assert typed - lines == set()


def test_a_page_has_each_code_with_its_title_and_example() -> None:
    text = shown("docs/man/vmlaunch-codes.7")
    lines = {line.strip() for line in text.splitlines()}
    codes = all_explanations()
    assert [one.code for one in codes if f"{one.code}: {one.title.replace('`', '')}" not in lines] == []
    examples = {re.sub(" +", " ", line.expandtabs()).strip() for one in codes for line in one.example.splitlines()}
    assert examples - lines == set()


def test_each_variable_of_the_environment_that_is_asked_for_is_on_a_page() -> None:
    asked = re.compile(r"(?:environ|environment|known)(?:\.get\(|\[)\"([A-Z_]+)\"")
    names = {name for path in modules().values() for name in asked.findall(path.read_text())}
    assert "XDG_RUNTIME_DIR" in names
    assert [name for name in names if name not in man_pages()["docs/man/vmlaunch.1"]] == []
