"""The words of a QEMU command in, its options with their keys and values out. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from launcher.errors import Diagnostic, Refused, Where
from launcher.foreign.shell_words import Word, program_at, program_of
from launcher.record import field, record, replace
from launcher.typed import Any

# Those that stand alone; every other one has a value (qemu-options.hx).
ALONE = frozenset(
    "h help version enable-kvm nographic usb snapshot no-reboot no-shutdown daemonize S s nodefaults no-user-config "  # noqa: SIM905
    "mem-prealloc no-acpi no-hpet no-fd-bootchk win2k-hack rtc-td-hack curses sdl full-screen no-quit no-frame "
    "alt-grab ctrl-grab singlestep only-migratable enable-sync-profile preconfig portrait no-kvm no-kvm-irqchip "
    "no-kvm-pit enable-fips tdf xen-attach localtime".split()
)
# What a value means that has no `=`: the key of the first part.
_FIRST = {
    "drive": "", "device": "driver", "netdev": "type", "nic": "type", "net": "type", "chardev": "backend",
    "object": "qom-type", "machine": "type", "M": "type", "accel": "accel", "m": "size", "smp": "cpus", "name": "guest",
    "numa": "type", "cpu": "model", "virtfs": "fsdriver", "fsdev": "fsdriver", "display": "type", "audiodev": "driver",
    "blockdev": "driver", "boot": "order", "mon": "chardev", "tpmdev": "type", "vga": "type", "vnc": "display",
}  # fmt: skip
_DEPTH = 16
_MOST = 5000  # words of one command


@record
class Option:
    """`values`: by key; of a nested one by its whole name, as `file.filename`. `text` is the value as it is written."""

    name: str
    text: str
    line: int
    values: dict[str, str] = field(default_factory=dict)
    file: str = ""

    def get(self, *names: str) -> str:
        """The first of these keys that is there."""
        return next((self.values[name] for name in names if name in self.values), "")

    def is_on(self, name: str) -> bool:
        return self.values.get(name, "").lower() in ("on", "yes", "true", "1")

    def is_off(self, name: str) -> bool:
        return self.values.get(name, "").lower() in ("off", "no", "false", "0")

    @property
    def shown(self) -> str:
        return f"-{self.name} {self.text}".rstrip()


def options_of(words: Sequence[Word], file: str) -> tuple[list[Word], str, list[Option]]:
    """What stands before the program, whose guests it runs, and its options."""
    if len(words) > _MOST:
        place = Where(file, words[_MOST].line, 1, 1)
        fact = f"failed to read the command line: it has more than {_MOST:,} words"
        raise Refused(Diagnostic("E027", fact, place, help=("a machine has some hundreds",)))
    at = program_at(words)
    before = list(words[:at]) if at is not None else []
    machine = program_of(words[at].text) or "" if at is not None else ""
    return before, machine, list(_options(words[(-1 if at is None else at) + 1 :], file))


def _options(words: Sequence[Word], file: str) -> Iterator[Option]:
    waiting = iter(words)
    for word in waiting:
        if not re.match(r"--?[A-Za-z0-9]", word.text):
            if word.text and not _is_redirection(word.text):
                yield Option("drive", f"file={word.text}", word.line, {"file": word.text, "if": "ide"}, file)
            continue
        name = word.text.lstrip("-")
        if name in ALONE:
            yield Option(name, "", word.line, {}, file)
            continue
        name, is_joined, joined = name.partition("=")
        value = replace(word, text=joined) if is_joined else next(waiting, None)
        if value is None:
            place = Where(file, word.line, 1, 1)
            help_ = ("write its value behind it, or take it out",)
            raise Refused(
                Diagnostic("E027", f"failed to read the command line: -{name} has no value", place, help=help_)
            )
        yield Option(name, value.text, value.line, _values(name, value, file), file)


def _is_redirection(text: str) -> bool:
    return bool(re.match(r"[0-9]?[<>]|\$|[(){}]|\"\$", text))


def _values(name: str, word: Word, file: str) -> dict[str, str]:
    if word.text.lstrip().startswith("{"):
        try:
            plain = json.loads(word.text)
        except (ValueError, RecursionError) as error:
            place = Where(file, word.line, 1, 1)
            help_ = ("write it as QEMU takes it, or take it out",)
            fact = f"failed to read the command line: the JSON of -{name} does not parse: {str(error)[:80]}"
            raise Refused(Diagnostic("E027", fact, place, help=help_)) from None
        return dict(_flat(plain))
    return dict(_pairs(name, word.text))


def _flat(plain: Any, around: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(plain, dict) and depth < _DEPTH:
        for key, value in plain.items():
            yield from _flat(value, f"{around}.{key}" if around else str(key), depth + 1)
    elif isinstance(plain, bool):
        yield around, "on" if plain else "off"
    elif not isinstance(plain, (dict, list)):
        yield around, str(plain)


def _pairs(name: str, text: str) -> Iterator[tuple[str, str]]:
    """A comma that is twice is one of the value."""
    parts = [one.replace("\0", ",") for one in text.replace(",,", "\0").split(",")]
    for number, part in enumerate(parts):
        key, equals, value = part.partition("=")
        if equals:
            yield key.strip(), value
        elif number == 0 and _FIRST.get(name):
            yield _FIRST[name], part
        elif part.startswith("no") and number:
            yield part[2:], "off"
        elif part:
            yield part, "on"
