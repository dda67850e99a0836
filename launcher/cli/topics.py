"""A word in; the fields and codes that it can mean or that speak of it, or what else it is here, out. Pure."""

from __future__ import annotations

import re

from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launcher.codes.page import Explanation
    from launcher.spec.fields import FieldHelp

# What a process of vmlaunch ends with.
EXIT_CODES = {
    0: "done",
    1: "refused: the spec is not valid, or the plan cannot run here; nothing was changed. `doctor`: something failed",
    2: "the words of the command make no sense; nothing was changed",
    4: "not permitted; nothing was changed",
    7: "there is no VM of this name",
    10: "a saved plan no longer fits this host; nothing was changed",
    11: "a step failed, and the host is as it was",
    12: "something failed, and the host is not as it was: `vmlaunch down` puts back what can be put back",
    13: "the guest crashed, or did not say what `--wait` waits for",
    70: "a bug of vmlaunch: please report it",
    74: "the output could not be written, as on a full disk",
    129: "ended by SIGHUP: the terminal has gone",
    130: "ended by SIGINT: ^C",
    137: "ended by SIGKILL",
    141: "who read the output has gone (SIGPIPE)",
    143: "ended by SIGTERM",
}


class Hits(NamedTuple):
    fields: tuple[FieldHelp, ...]
    codes: tuple[Explanation, ...]


def exit_code(word: str) -> str | None:
    known = EXIT_CODES.get(int(word)) if re.fullmatch("[0-9]{1,3}", word) else None
    return known and f"Exit code {int(word)}: {known}."


def field_at(topic: str, fields: Mapping[str, FieldHelp]) -> FieldHelp | None:
    """By its place in a spec, with an alias or a number in it. A word that is nearly a key is a misspelled key."""
    from launcher.spec.fields import keys_of
    from launcher.spec.places import is_alias, section_of
    from launcher.spec.problems import nearest

    path = tuple(topic.split("."))
    if is_alias(path) and nearest(path[-1], keys_of(path[0])):
        return None
    return fields.get(section_of(path)) if len(path) > 1 else None


def meant_fields(word: str, fields: Mapping[str, FieldHelp]) -> tuple[FieldHelp, ...]:
    """By the last part of its name, by one of its choices, by what other tools call it."""
    from launcher.spec.words import field_of, plain_word

    plain = plain_word(word)
    last = [key for key in fields if plain_word(key.rpartition(".")[2]) == plain]
    chosen = [key for key, one in fields.items() if word.lower() in _choices(one)]
    sections = ("", "*", *(key for key in fields if field_of(key)))
    called = [found for section in sections if (found := field_of(section).get(plain))]
    return tuple(fields[key] for key in dict.fromkeys([*last, *chosen, *called]) if key in fields)


def _choices(field: FieldHelp) -> list[str]:
    return field.type.removeprefix("one of ").lower().split(", ") if field.type.startswith("one of ") else []


def speaking_of(word: str, fields: Iterable[FieldHelp], codes: Iterable[Explanation]) -> Hits:
    """As a whole word, whatever its case: in descriptions, and in titles, causes and fixes."""
    whole = re.compile(rf"(?<![\w-]){re.escape(word)}(?:s|es)?(?![\w-])", re.IGNORECASE)
    return Hits(
        tuple(one for one in fields if whole.search(f"{one.key} {one.type} {one.description}")),
        tuple(one for one in codes if whole.search(f"{one.title} {one.cause} {one.fix}")),
    )
