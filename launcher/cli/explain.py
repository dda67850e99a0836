"""A field of the spec or a code in, what there is to know about it out."""

from __future__ import annotations

import json
import re
import sys

from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.codes.page import Explanation
    from launcher.spec.fields import FieldHelp


def arguments(parser: argparse.ArgumentParser) -> None:
    help_ = (
        "a field such as devices.companions, a code such as E203, an exit code, any word that they speak of, or "
        "`codes`; without it, a list of the fields"
    )
    parser.add_argument("topic", nargs="?", metavar="KEY|CODE|WORD", help=help_)
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def run(options: argparse.Namespace) -> int:
    from launcher.codec import encode
    from launcher.codes import all_explanations
    from launcher.report.lines import WIDE, width_of
    from launcher.spec.fields import all_fields

    width = min(width_of(sys.stdout), WIDE)
    fields, codes = all_fields(), {one.code: one for one in all_explanations()}
    if options.topic in (None, "codes"):
        about = _codes(codes) if options.topic else _fields(fields, width)
        print(_listed_json(fields, codes) if options.json else about)
        return 0
    found = _found(options.topic, fields, codes)
    if found is None:
        return _otherwise(options, fields, codes, width)
    print(json.dumps(encode(found), indent=2, ensure_ascii=False) if options.json else _text(found, fields, width))
    return 0


def _found(topic: str, fields: dict[str, FieldHelp], codes: dict[str, Explanation]) -> FieldHelp | Explanation | None:
    """A field is also found by its place in a spec: `devices.gpu.pci` is `devices.pci`, `devices.gpu` is `devices`."""
    from launcher.cli.topics import field_at

    known = fields.get(topic) or codes.get(topic.upper()) or field_at(topic, fields)
    if known is None:
        from launcher.cli.topics import meant_fields

        meant = meant_fields(topic, fields)
        return meant[0] if len(meant) == 1 else None
    return known


def _otherwise(
    options: argparse.Namespace, fields: dict[str, FieldHelp], codes: dict[str, Explanation], width: int
) -> int:
    """No one field or code: an exit code, several of both, a word that they speak of, or nothing."""
    from launcher.cli.topics import exit_code, meant_fields, speaking_of

    word = options.topic
    if said := exit_code(word):
        print(json.dumps({"exit_code": int(word), "means": said}) if options.json else said)
        return 0
    meant = {one.key: one for one in meant_fields(word, fields)}
    hits = speaking_of(word, fields.values(), codes.values())
    listed = meant | {one.key: one for one in hits.fields}
    if options.verbs(word) or not (listed or hits.codes):
        return _unknown(word, [*fields, *codes], is_verb=options.verbs(word))
    there = {one.code: one for one in hits.codes}
    if options.json:
        print(_listed_json(listed, there))
        return 0
    parts = [_fields(listed, width)] if listed else []
    print("\n\n".join([*parts, *([_codes(there)] if there else [])]))
    return 0


_AS_DIGITS = str.maketrans("OoIl", "0011")  # in a code that was copied by eye


def _unknown(word: str, known: list[str], *, is_verb: bool) -> int:
    from launcher.report.frame import visible

    if is_verb:
        print(f"vmlaunch explain: {word} is a verb: `vmlaunch help {word}`", file=sys.stderr)
        return 2
    from difflib import get_close_matches

    digits = word[:1].upper() + word[1:].translate(_AS_DIGITS)
    near = [digits] if digits in known else get_close_matches(word, known, 1)
    hint = f"; did you mean `{near[0]}`?" if near else "; `vmlaunch explain` lists all"
    print(f"vmlaunch explain: there is no field or code {visible(word)}{hint}", file=sys.stderr)
    return 2


def _fields(fields: dict[str, FieldHelp], width: int) -> str:
    """Each with the first sentence that is said of it."""
    from launcher.report.lines import wrapped

    longest = max(map(len, fields))
    first = {key: re.split(r"(?<=\.)\s", field.description)[0] for key, field in fields.items()}
    lines = [line for key, said in first.items() for line in wrapped(f"{key:{longest}}  ", said, width)]
    return "\n".join(
        [*lines, "", "`vmlaunch explain KEY` says all of a field; `vmlaunch explain codes` lists the codes."]
    )


def _codes(codes: dict[str, Explanation]) -> str:
    return "\n".join(f"{code}  {one.title}" for code, one in codes.items())


def _listed_json(fields: dict[str, FieldHelp], codes: dict[str, Explanation]) -> str:
    return json.dumps({"fields": list(fields), "codes": list(codes)}, indent=2)


def _text(found: FieldHelp | Explanation, fields: dict[str, FieldHelp], width: int) -> str:
    from launcher.codes.page import Explanation

    return _code(found, width) if isinstance(found, Explanation) else _field(found, fields, width)


def _prose(text: str, width: int) -> str:
    from textwrap import fill

    return fill(text, width, break_long_words=False, break_on_hyphens=False)


def _code(one: Explanation, width: int) -> str:
    from launcher.report.lines import wrapped

    example = "\n".join(f"    {line}" for line in one.example.splitlines())
    known = "\n".join(line for device in one.known for line in wrapped("  ", device, width))
    parts = (f"{one.code}: {one.title}", _prose(one.cause, width), example, _prose(one.fix, width))
    return "\n\n".join((*parts, f"Known of:\n{known}") if known else parts)


def _field(field: FieldHelp, fields: dict[str, FieldHelp], width: int) -> str:
    from launcher.report.lines import wrapped
    from launcher.spec.fields import as_yaml

    last = field.key.rpartition(".")[2]
    absent = "required" if field.required else "" if field.default is None else as_yaml(field.default)
    facts = [
        ("type", field.type),
        ("default", absent),
        *(("example", f"{last}: {as_yaml(one)}") for one in field.examples),
    ]
    inside = [key.rpartition(".")[2] for key in fields if key.rpartition(".")[0] == field.key]
    told = [(name, fact) for name, fact in [*facts, ("keys", ", ".join(inside))] if fact]
    lines = [line for name, fact in told for line in wrapped(f"  {name:8} ", fact, width)]
    return "\n".join([field.key, "", _prose(field.description, width), "", *lines])
