"""Codes that can be clicked: which terminals get a link, and where it leads."""

from __future__ import annotations

import io
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from launcher.cli.links import page_of_codes
from launcher.codes import all_explanations
from launcher.errors import Diagnostic
from launcher.report.diagnostics import anchor, as_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "has"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM_PROGRAM": "vscode"}, True),
        ({"WT_SESSION": "1"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4800"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "linux", "FORCE_HYPERLINK": "1"}, True),
        ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
        ({}, False),
    ],
)
def test_a_terminal_that_is_known_to_have_links_gets_them(environment: dict[str, str], has: bool) -> None:
    assert bool(page_of_codes(Terminal(), environment)) == has
    assert page_of_codes(io.StringIO(), environment) == ""


def test_a_code_leads_to_its_heading_and_takes_no_column() -> None:
    page = page_of_codes(Terminal(), {"FORCE_HYPERLINK": "1"})
    one = Diagnostic("E107", "memory: a size without a unit: 512")
    shown = as_text([one], {}, page=page)
    assert re.sub(r"\033\]8;;.*?\033\\", "", shown) == as_text([one], {})
    address = urlsplit(re.findall(r"\033\]8;;(.+?)\033", shown)[0])
    assert address.scheme == "file"
    assert "### E107: " in Path(unquote(address.path)).read_text()
    assert address.fragment.startswith("e107-")


def test_no_two_codes_have_one_anchor() -> None:
    anchors = [anchor(one.code, one.title) for one in all_explanations()]
    assert len(set(anchors)) == len(anchors)


def test_a_code_of_a_stranger_is_no_link() -> None:
    assert as_text([Diagnostic("E\x1b[2J", "fact")], {}, page="file:///x") == as_text(
        [Diagnostic("E\x1b[2J", "fact")], {}
    )
