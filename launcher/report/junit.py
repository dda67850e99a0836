"""Files with what was found in each in, a JUnit XML report out, as Jenkins, GitLab and others read it. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from launcher.report.diagnostics import as_text, counted
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.errors import Diagnostic

Checked = tuple[str, "Sequence[Diagnostic]"]


def as_junit(files: Sequence[Checked], sources: Mapping[str, str]) -> str:
    """A test for each file, which fails by its errors. `sources`: the texts that the diagnostics point into."""
    failed = sum(any(one.severity == "error" for one in found) for _, found in files)
    counts = f'name="vmlaunch validate" tests="{len(files)}" failures="{failed}" errors="0"'
    cases = (line for file, found in files for line in _case(file, found, sources))
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>", f"  <testsuite {counts}>", *cases,
         "  </testsuite>", "</testsuites>"]
    )  # fmt: skip


def _case(file: str, found: Sequence[Diagnostic], sources: Mapping[str, str]) -> Iterator[str]:
    """A reader shows one failure of a test, so all that is wrong is in it."""
    name = quoteattr(visible(file))
    head = f'    <testcase classname="vmlaunch.validate" name={name} file={name}'
    errors = [one for one in found if one.severity == "error"]
    if not errors:
        yield f"{head}/>"
        return
    message = f"{errors[0].code}: {errors[0].message}" if len(errors) == 1 else counted(found)
    text = "\n".join(visible(line) for line in as_text(found, sources).split("\n"))
    yield f"{head}>"
    yield f"      <failure type={quoteattr(errors[0].code)} message={quoteattr(visible(message))}>{escape(text)}"
    yield "      </failure>"
    yield "    </testcase>"
