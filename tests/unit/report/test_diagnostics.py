"""Diagnostics and sources in, text, workflow commands and SARIF out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher.errors import Diagnostic, Where
from launcher.report.diagnostics import as_github, as_text, closing
from launcher.report.sarif import as_sarif
from tests.man_pages import man_pages

SOURCE = """\
boot: {kernel: ./bzImage}
cpus: 8
memory: 64GiB

devices:
  gpu:
    pci: 0000:c1:00.0
"""

# drawn by hand
VIABILITY = """\
error[E203]: gpu: IOMMU group 31 is not usable: the host still holds 0000:c1:00.1
 --> vm.yaml:7:10
  |
6 |   gpu:
7 |     pci: 0000:c1:00.0
  |          ^^^^^^^^^^^^
  = group 31: 0000:c1:00.0  10de:2684 NVIDIA AD102        nvidia         asked for
  =           0000:c1:00.1  10de:22ba NVIDIA AD102 audio  snd_hda_intel  not asked for
  = help: add `companions: attach` to give the audio function to the guest too
  = help: add `companions: detach` to take it from the host and give it to nobody"""


def problem(where: Where | None, message: str = "gpu: no", code: str = "E203", **rest: tuple[str, ...]) -> Diagnostic:
    return Diagnostic(code, message, where, **rest)  # type: ignore[arg-type]


def drawn(text: str, line: int, column: int, end: int) -> list[str]:
    return as_text([problem(Where("f", line, column, end))], {"f": text}).splitlines()


def test_text_is_drawn_as_the_product_promises() -> None:
    one = Diagnostic(
        "E203",
        "gpu: IOMMU group 31 is not usable: the host still holds 0000:c1:00.1",
        Where("vm.yaml", 7, 10, 22, "devices.gpu.pci"),
        (
            "group 31: 0000:c1:00.0  10de:2684 NVIDIA AD102        nvidia         asked for",
            "          0000:c1:00.1  10de:22ba NVIDIA AD102 audio  snd_hda_intel  not asked for",
        ),
        (
            "add `companions: attach` to give the audio function to the guest too",
            "add `companions: detach` to take it from the host and give it to nobody",
        ),
    )
    assert as_text([one], {"vm.yaml": SOURCE}) == VIABILITY
    assert closing([one], "nothing was changed") == "vm.yaml: 1 error; nothing was changed"


def test_colour_adds_nothing_but_escapes() -> None:
    one = problem(Where("vm.yaml", 7, 10, 22), help=("do this",))
    coloured = as_text([one], {"vm.yaml": SOURCE}, colour=True)
    assert "\033[" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == as_text([one], {"vm.yaml": SOURCE})


def test_file_without_a_known_text_is_named_without_a_frame() -> None:
    assert as_text([problem(Where("vm.yaml", 7, 10, 22))], {}) == "error[E203]: gpu: no\n --> vm.yaml:7:10"


def test_diagnostic_without_a_place_is_its_message() -> None:
    assert as_text([problem(None)], {}) == "error[E203]: gpu: no"


def test_warning_says_that_it_is_one() -> None:
    assert as_text([problem(None, code="W214")], {}) == "warning[W214]: gpu: no"


def test_fix_that_no_help_speaks_of_is_shown() -> None:
    assert as_text([Diagnostic("E107", "m", None, help=("write `8GiB`",), fix="8GiB")], {}).count("8GiB") == 1
    assert as_text([Diagnostic("E107", "m", None, fix="8GiB")], {}).endswith("= help: write `8GiB`")


def test_carets_stand_under_what_they_mean_behind_wide_letters() -> None:
    *_, line, carets = drawn("name: 日本 x", 1, 9, 10)
    assert line == "1 | name: 日本 x"
    assert carets == "  | " + " " * 10 + "^"  # 6 + two columns for each of two letters; the blank is the place


def test_carets_stand_under_what_they_mean_behind_a_tab() -> None:
    *_, line, carets = drawn("\tboot: x", 1, 8, 9)
    assert line.index("x") == carets.index("^")


def test_place_behind_the_text_still_has_a_caret() -> None:
    assert drawn("boot: {", 1, 8, 9)[-1] == "  |        ^"


def test_long_line_is_cut_around_the_place() -> None:
    *_, line, carets = drawn("a" * 500 + "B" + "c" * 500, 1, 501, 502)
    assert len(line) < 100
    assert line[carets.index("^")] == "B"


def test_text_of_the_file_cannot_steer_the_terminal() -> None:
    shown = as_text([problem(Where("f", 1, 1, 2), "key \033[2J\u202e")], {"f": "\033[2Jx\u202e"})
    assert "\033" not in shown
    assert "\u202e" not in shown


def test_closing_line_counts_errors_warnings_and_files() -> None:
    both = [problem(Where("a")), problem(Where("a")), problem(Where("a"), code="W214")]
    assert closing(both, "") == "a: 2 errors, 1 warning"
    assert (
        closing([*both, problem(Where("b"))], "nothing was changed")
        == "2 files: 3 errors, 1 warning; nothing was changed"
    )


def test_workflow_command_escapes_what_would_end_it() -> None:
    one = problem(Where("a,b:c.yaml", 7, 10, 22), "100% no\nreally", help=("do",))
    assert as_github([one]) == (
        "::error file=a%2Cb%3Ac.yaml,line=7,col=10,endColumn=21,title=E203::100%25 no%0Areally%0Ahelp: do"
    )


def test_workflow_command_without_a_line_has_none() -> None:
    assert as_github([problem(Where("a.yaml"), code="W214")]) == "::warning file=a.yaml,title=W214::gpu: no"


@pytest.mark.parametrize(
    ("file", "uri"),
    [("vm.yaml", "vm.yaml"), ("../a b/vm.yaml", "../a%20b/vm.yaml"), ("/srv/é/vm.yaml", "file:///srv/%C3%A9/vm.yaml")],
)
def test_a_place_in_sarif_is_a_uri_and_has_a_width(file: str, uri: str) -> None:
    (result,) = as_sarif([problem(Where(file, 1, 1, 1))])["runs"][0]["results"]  # type: ignore[index]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": uri}
    assert physical["region"] == {"startLine": 1, "startColumn": 1, "endColumn": 2}


def test_what_came_on_stdin_is_no_file_of_that_name_in_sarif() -> None:
    (result,) = as_sarif([problem(Where("-", 1, 1, 1))])["runs"][0]["results"]  # type: ignore[index]
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "stdin", "description": {"text": "standard input"}}


def test_sarif_has_a_rule_for_each_code_and_a_region_for_each_place() -> None:
    log = as_sarif([problem(Where("my vm.yaml", 7, 10, 22), code="E107"), problem(None, code="E107")])
    (run,) = log["runs"]  # type: ignore[misc]
    (rule,) = run["tool"]["driver"]["rules"]
    placed, placeless = run["results"]
    assert (rule["id"], rule["help"]["text"]) == ("E107", "Write `memory: 32GiB`.")
    assert rule["help"]["markdown"] == "Write `memory: 32GiB`.\n\n```\nmemory: 32G\n```\n"
    assert placed["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "my%20vm.yaml"},
        "region": {"startLine": 7, "startColumn": 10, "endColumn": 22},
    }
    assert "locations" not in placeless


def test_what_sarif_names_are_pages_of_man_that_are_installed() -> None:
    """As uri(7) writes them: `man:NAME(SECTION)`."""
    driver = as_sarif([problem(None, code="E107")])["runs"][0]["tool"]["driver"]  # type: ignore[index]
    pages = {f"man:{Path(page).stem}({page[-1]})" for page in man_pages()}
    assert {driver["informationUri"], driver["rules"][0]["helpUri"]} <= pages


def test_a_code_from_somebody_elses_plan_steers_no_terminal() -> None:
    stranger = Diagnostic("E\x1b[2J", "fact")
    assert "\x1b" not in as_text([stranger], {}) + as_github([stranger])
