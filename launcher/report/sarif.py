"""Diagnostics in, a SARIF 2.1.0 log out, with a rule for each code (docs.oasis-open.org/sarif/sarif/v2.1.0). Pure.

No page of ours is on the web, so what has to be an absolute URI names pages of man, as uri(7) and Documentation= of
systemd.unit(5) do. They know no fragment: a rule has its page as text, too, for readers elsewhere.
"""

from __future__ import annotations

from urllib.parse import quote

from launcher.codes import explanation
from launcher.typed import TYPE_CHECKING
from launcher.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.errors import Diagnostic, Where

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MANUAL, CODES = "man:vmlaunch(1)", "man:vmlaunch-codes(7)"


def as_sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, object]:
    codes = sorted({one.code for one in diagnostics})
    about = {"name": "vmlaunch", "version": VERSION, "informationUri": MANUAL}
    driver = about | {"rules": [_rule(code) for code in codes]}
    results = [_result(one, codes.index(one.code)) for one in diagnostics]
    # columns count characters, and so does Python
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, object]:
    known = explanation(code)
    if known is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": known.title},
        "fullDescription": {"text": known.cause},
        "helpUri": CODES,
        "help": {"text": known.fix, "markdown": f"{known.fix}\n\n```\n{known.example}\n```\n"},
    }


def _result(one: Diagnostic, rule: int) -> dict[str, object]:
    message = "\n".join([one.message, *one.evidence, *one.help])
    result = {"ruleId": one.code, "ruleIndex": rule, "level": one.severity, "message": {"text": message}}
    return result | ({"locations": [_location(one.where)]} if one.where and one.where.file else {})


def _location(where: Where) -> dict[str, object]:
    """A reference that begins with a slash is no path to a viewer (SARIF1004): absolute ones are file URIs."""
    path = quote(where.file, errors="surrogateescape")
    artifact: dict[str, object] = {"uri": f"file://{path}" if path.startswith("/") else path}
    if where.file == "-":
        artifact = {"uri": "stdin", "description": {"text": "standard input"}}
    physical: dict[str, object] = {"artifactLocation": artifact}
    if where.line:
        end = max(where.end_column, where.column + 1)
        physical["region"] = {"startLine": where.line, "startColumn": where.column, "endColumn": end}
    return {"physicalLocation": physical}
