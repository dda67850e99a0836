"""A page that code, tests, schemas or pages name is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.generate import ROOT

# A name ends where a path would; *.md is every page.
_PAGE = re.compile(r"[\w./-]*\w\.md\b")
_TEXTS = {".py", ".c", ".h", ".md", ".json", ".yaml", ".toml", ".service", ".S"}
_OF_THE_KERNEL = ("Documentation/",)


def _texts() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for room in ("launcher", "tests", "docs", "schemas", "examples"):
        yield from (path for path in (ROOT / room).rglob("*") if path.suffix in _TEXTS)


def test_a_link_leads_from_its_page_to_what_is_there() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    links = [(page, one) for page in pages for one in re.findall(r"\]\(([^)#:\s]+)", page.read_text(encoding="utf-8"))]
    assert len(links) > 50
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_page_that_is_named_is_there() -> None:
    pages = {path.name for path in ROOT.glob("*.md")} | {path.name for path in (ROOT / "docs").glob("*.md")}
    named = {
        (page.rpartition("/")[2], str(path.relative_to(ROOT)))
        for path in _texts()
        for page in _PAGE.findall(path.read_text(encoding="utf-8", errors="replace"))
        if not page.startswith(_OF_THE_KERNEL)
    }
    assert sorted((page, path) for page, path in named if page not in pages) == []
