"""Models, codes, the catalogue in; schemas/, docs/, parts.py, completions out: `python -m tests.generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from launcher.cli.schema import SCHEMAS, schema_text
from launcher.codes import ROOMS, all_explanations
from launcher.report.svg import plan_svg
from launcher.spec.fields import SECTIONS, all_fields, as_yaml
from tests.catalogue.page import failures_page
from tests.completions import completions
from tests.man_pages import ROOM_TITLES, man_pages
from tests.planning import plan
from tests.rendered_parts import parts_text
from tests.whole_machine import HOST, SPEC, whole_files

if TYPE_CHECKING:
    from launcher.codes.page import Explanation
    from launcher.spec.fields import FieldHelp

ROOT = Path(__file__).parent.parent

SCHEMA_FILES = {"spec": "schemas/vm.schema.json", "editor": "schemas/vm.editor.schema.json"}


def generated() -> dict[str, str]:
    """Path below the checkout -> what it has to contain."""
    schemas = {SCHEMA_FILES.get(name, f"schemas/{name}.schema.json"): schema_text(name) for name in SCHEMAS}
    pages = {"docs/spec.md": spec_page(), "docs/errors.md": errors_page(), "docs/failures.md": failures_page()}
    pages |= man_pages()
    made = {"launcher/spec/parts.py": parts_text(), **completions()}
    return {**schemas, **pages, **made, "docs/plan.svg": picture()}


def picture() -> str:
    """The README's, of examples/whole-machine.yaml."""
    return plan_svg(plan(f"name: whole-machine\n{SPEC}", HOST, whole_files()))


def spec_page() -> str:
    fields = all_fields().values()
    parts = [_section(name, [one for one in fields if one.key.rpartition(".")[0] == name]) for name in SECTIONS]
    return "\n".join(["# The fields of a spec", "", "Made from the model by `python -m tests.generate`.", "", *parts])


def _section(name: str, fields: list[FieldHelp]) -> str:
    about = (SECTIONS[name].__doc__ or "").strip()
    title = f"## `{name}`" if name else "## The file"
    return "\n".join([title, "", about, "", *map(_field, fields)])


def _field(field: FieldHelp) -> str:
    name = field.key.rpartition(".")[2]
    absent = "required" if field.required else "" if field.default is None else f"default `{as_yaml(field.default)}`"
    head = ", ".join(filter(None, [field.type, absent]))
    examples = "\n".join(f"{name}: {as_yaml(one)}" for one in field.examples)
    return f"### `{name}`\n\n*{head}*\n\n{field.description}\n\n```yaml\n{examples}\n```\n"


def errors_page() -> str:
    rooms = [_room(digit) for digit in ROOMS]
    return "\n".join(["# Errors and warnings", "", "Made from the codes by `python -m tests.generate`.", "", *rooms])


def _room(digit: str) -> str:
    codes = [one for one in all_explanations() if one.code[1] == digit]
    return "\n".join([f"## {ROOM_TITLES[digit]}", "", *map(_code, codes)])


def _code(one: Explanation) -> str:
    known = "\n".join(f"- {line}" for line in one.known)
    page = f"### {one.code}: {one.title}\n\n{one.cause}\n\n```\n{one.example}\n```\n\n{one.fix}\n"
    return f"{page}\nKnown of:\n\n{known}\n" if known else page


def write(files: dict[str, str]) -> None:
    """By their paths below the checkout."""
    for path, text in files.items():
        target = ROOT / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(path)


def main() -> None:
    write(generated())


if __name__ == "__main__":
    main()
