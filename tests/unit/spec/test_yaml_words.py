"""Words that `import` and `init` write are text to our reader, and to readers of YAML 1.1 and 1.2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from launcher.api.verdicts import Trials
from launcher.foreign.draft import Draft
from launcher.foreign.writing import spec_text
from launcher.host.facts import Link, Serving
from launcher.names import is_name
from launcher.record import replace
from launcher.report.first_spec import FoundKernel, first_spec
from launcher.spec.fields import SECTIONS, keys_of
from launcher.spec.scalars import suggested_name
from launcher.spec.yaml_tree import read_tree
from launcher.spec.yaml_words import is_plain, is_plain_everywhere, text_everywhere
from tests.planning import host


def _ours(text: str) -> Any:
    root = read_tree(text, "vm.yaml").root
    assert root is not None
    return root.plain()


def _ruamel(version: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        return reader.load(text)

    return read


READERS = {"ours": _ours, "ruamel 1.1": _ruamel("1.1"), "ruamel 1.2": _ruamel("1.2"), "PyYAML": yaml.safe_load}

ODD = (
    *("0000-01-00", "2001-12-14", "2001-1-1", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "1-1-1"),
    *("010", "0o17", "0b1", "0x1f", "0x", "1_000", "_1", "1__0", "-0", "+1", "1.", ".5", "1e3", "1.5e+3", "1e"),
    *("0000:01:00.0", "1:30", "190:20:30", "52:54:00:12:34:56", "0000:c1:00.0", "1:60", ".inf", "-.INF", ".NaN", "."),
    *("y", "N", "yes", "No", "ON", "off", "true", "FALSE", "null", "NULL", "~", "~/x", "-", "--", "---", "...", "a: b"),
    *("a #b", "a,b", "*a", "&a", "%a", "@a", "`a", "'a'", '"a"', "<<", "=", "?", "? a", "a:", ":a", "{a}", "[a]", ""),
    *("\u2028", "\x7f", "\x85", "\ufeff", "ü", "a\\b", "a\nb", "64MiB", "console=ttyS0", "0-3", "/k", "-1-1"),
)
SIGNS = st.text("0123456789-+_:.eExXoObBaftTyYnNlLsSrRuU~/ =,#'\"&*!|>%@`{}[]?<\\", max_size=24)
NUMBERS = st.from_regex(r"[0-9]{1,4}([-:_.][0-9]{1,2}){1,3}(e[0-9]|[tT ][0-9:]*)?", fullmatch=True)
WORDS = st.sampled_from(ODD) | SIGNS | NUMBERS


@pytest.mark.parametrize("word", [*ODD, *sorted({key for section in SECTIONS for key in keys_of(section)})])
def test_a_word_is_text_to_every_reader(word: str) -> None:
    _check(word)


@given(WORDS | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=24))
def test_any_word_is_text_to_every_reader(word: str) -> None:
    _check(word)


def _check(word: str) -> None:
    shown, inside = text_everywhere(word), text_everywhere(word, inside=True)
    whole = f"a: {shown}\nb: {{c: {inside}, d: [{inside}, {inside}]}}\n"
    assert [reader(whole) for reader in READERS.values()] == [{"a": word, "b": {"c": word, "d": [word, word]}}] * len(
        READERS
    )
    if is_name(word):
        assert [reader(f"e:\n  {inside}: 1\n") for reader in READERS.values()] == [{"e": {word: 1}}] * len(READERS)


def test_words_that_are_text_to_all_have_no_quotes() -> None:
    plain = ("64MiB", "console=ttyS0 ro", "0-3", "./a.img", "gpu-2", "1-1-1", "0000:c1:00.0", "no-1", "e1000e")
    assert [word for word in plain if not is_plain_everywhere(word)] == []
    assert not is_plain_everywhere("0000:c1:00.0", inside=True)
    assert is_plain("0000-01-00")


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS, WORDS)
@example(["0000-01-00"], "1_000", "0000:01:00.0")
def test_what_import_writes_is_the_same_to_every_reader(aliases: list[str], name: str, path: str) -> None:
    boot = {"kernel": path, "cmdline": name}
    draft = Draft("a test", suggested_name(name), boot, cpus={"count": 1, "pin": ["0-1"]}, memory=[{"size": "1GiB"}])
    for number, alias in enumerate(aliases):
        kind, key = (("devices", "pci"), ("disks", "path"), ("nics", "bridge"), ("shares", "path"))[number % 4]
        draft.add(kind, alias, {key: path} | ({"mac": name} if number % 2 else {}))
    text = spec_text(draft, "vm.xml")
    assert [reader(text) for reader in READERS.values()] == [_ours(text)] * len(READERS)
    assert _ours(text)["boot"] == boot


@pytest.mark.parametrize("name", ["0000-01-00", "010", "no", "1e3", "web"])
def test_what_init_writes_is_the_same_to_every_reader(name: str) -> None:
    """With all that somebody may take the sign away from."""
    facts = host("gpu07")
    bridge = Link("010", "bridge")
    facts = replace(facts, serving=replace(facts.serving or Serving(), links=(bridge,)))
    text = first_spec(name, facts, Trials(facts).verdicts(facts.pci), [FoundKernel("/boot/a: b #c", "/boot/\x85")])
    wanted = ("# devices:", "#   ", "# disks:", "# nics:", "# shares:", "# vsock:")
    whole = "\n".join(line.removeprefix("# ") if line.startswith(wanted) else line for line in text.splitlines())
    assert [reader(whole) for reader in READERS.values()] == [_ours(whole)] * len(READERS)
    boot = {"kernel": "/boot/a: b #c", "initrd": "/boot/\x85", "cmdline": "console=ttyS0"}
    assert {"name": name, "boot": boot}.items() <= _ours(whole).items()
    assert _ours(whole)["nics"]["lan"] == {"bridge": "010"}
    assert "0000:02:00.0" in _ours(whole)["devices"].values()
