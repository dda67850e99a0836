"""A word as another tool writes it in, the field of a section that it means out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from launcher.patterns import re
from launcher.spec.words_of_others import FIELDS


def plain_word(word: str) -> str:
    """bootVcpus, boot_vcpus and boot-vcpus are one word."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", word[:64]).lower()
    return re.sub(r"[-_. ]+", "-", parts).strip("-").replace("-", "")


def by_word(words: Mapping[str, str]) -> dict[str, str]:
    return {plain_word(word): meant for meant, listed in words.items() for word in listed.split()}


# They are sorted when the first unknown key is met, and not at every start.
@cache
def field_of(section: str) -> dict[str, str]:
    return by_word(FIELDS.get(section, {}))
