"""A script, a line of a log or a unit in, the words of its first QEMU command out, each with its line. Pure.

Nothing is run. Assignments that stand in the text are filled in where they are used, arrays too; what only a shell can
know, such as `$(pwd)`, stays as it is written. What grows beyond a limit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from launcher.errors import Diagnostic, Refused, Where
from launcher.record import record

MOST = 1 << 20  # characters of all words, with variables filled in
PROGRAM = r"(.*/)?(qemu-system-[a-z0-9_]+|qemu-kvm|qemu|kvm|qemu-kvm-[a-z0-9_.-]+)"
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_EXPANSION = rf"\$(?:({_NAME})|\{{({_NAME})(\[[@*]\])?(?::?-([^}}$]*))?\}})"
_UNIT = r"(?m)^Exec(Start|StartPre)=[-@:+!]*"
_ENDS = ";|&\n"
_ASSIGNED = re.compile(rf"({_NAME})(\+?)=")
_EXPANDED = re.compile(_EXPANSION)
_PLAIN = {ends: re.compile(rf"[^ \t\n\r'\"\\$`{re.escape(ends)}]+") for ends in (_ENDS, ")")}
_QUOTED = re.compile(r'[^"\\$`]+|\\(?!["\\$`\n])')
_FULL = "the words have more than a million characters once variables are filled in"


@record
class Word:
    text: str
    line: int


class _Item(str):
    """A word of an array, which stands on a line of its own."""

    __slots__ = ("line",)
    line: int

    @classmethod
    def of(cls, word: Word) -> _Item:
        item = cls(word.text)
        item.line = word.line
        return item


def program_of(word: str) -> str | None:
    """`x86_64` of qemu-system-x86_64; nothing to say where the program is called kvm."""
    found = re.fullmatch(PROGRAM, word)
    if found is None:
        return None
    return found[2].removeprefix("qemu-system-") if found[2].startswith("qemu-system-") else ""


def qemu_words(text: str, file: str) -> list[Word] | None:
    """Of several commands the one with the most words; None where there is none, nor options alone."""
    scanner = _Scanner(re.sub(_UNIT, "", text), file)
    commands = list(scanner.commands())
    found = [one for one in commands if _runs_qemu(one)]
    bare = [one for one in commands[:1] if re.match(r"--?[a-z]", one[0].text)]
    return max(found or bare, key=len, default=None)


def _runs_qemu(command: list[Word]) -> bool:
    """Many commands have `kvm` among their words; what runs it stands before its options, and first or behind these."""
    at = program_at(command)
    if at is None or len(command) == at + 1:
        return False
    bare = "/" not in command[at].text and not command[at].text.startswith("qemu-")
    led_to = at == 0 or not bare or command[0].text in _LEADING
    first = command[at + 1].text
    return led_to and (first.startswith("-") or len(command) == at + 2) and first.lstrip("-") not in _ASKING


def program_at(words: Sequence[Word]) -> int | None:
    return next((number for number, one in enumerate(words) if program_of(one.text) is not None), None)


class _Words:
    """Words that are put together of pieces: the first piece goes on with the word before it, and so do later ones."""

    def __init__(self, pieces: Sequence[str] = ()) -> None:
        self._done: list[str] = []
        self._parts: list[str] = []
        self._begun = False
        self.put(pieces)

    def put(self, pieces: Sequence[str]) -> None:
        for number, piece in enumerate(pieces):
            if number:
                self._end()
            self._begun = True
            if piece:
                self._parts.append(piece)

    def all(self) -> list[str]:
        if self._begun:
            self._end()
        return self._done

    def _end(self) -> None:
        """A word that is one item of an array stays that."""
        self._done.append(self._parts[0] if len(self._parts) == 1 else "".join(self._parts))
        self._parts, self._begun = [], False


class _Scanner:
    """What is quoted is one word, and so is a variable in quotes; one without quotes may be several, or none."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.line = 1
        self.made = 0
        self.variables: dict[str, list[str]] = {}

    def commands(self) -> Iterator[list[Word]]:
        while self.at < len(self.text):
            words = self._words(_ENDS)
            if words:
                yield words
            self._step()

    def _words(self, ends: str) -> list[Word]:
        """Up to one of the signs that end a command, which stays; assignments before the first word are taken away."""
        words: list[Word] = []
        while self.at < len(self.text) and self.text[self.at] not in ends:
            if self.text[self.at] in " \t\n\r":
                self._step()
            elif self.text[self.at] == "#":
                self._comment()
            elif ends == _ENDS and self._assigns(words):  # within an array, `x=1` is an item as any other
                continue
            else:
                line = self.line
                words += [Word(str(one), one.line if isinstance(one, _Item) else line) for one in self._word(ends)]
        return words

    def _comment(self) -> None:
        while self.at < len(self.text) and self.text[self.at] != "\n":
            self._step()

    def _assigns(self, before: list[Word]) -> bool:
        """`local x=..` and `export x=..` are assignments as well."""
        found = _ASSIGNED.match(self.text, self.at)
        if found is None or any(one.text not in _DECLARING for one in before):
            return False
        self._step(len(found[0]))
        before.clear()
        known = self.variables.get(found[1], []) if found[2] else []
        if self.text[self.at : self.at + 1] == "(":
            self._step()
            known += [_Item.of(one) for one in self._words(")")]
            self._step()
        else:
            known = ["".join([*known, " ".join(self._word(_ENDS))])]
            self._count(known)
        self.variables[found[1]] = known
        return True

    def _word(self, ends: str) -> list[str]:
        """One word, or those that a variable without quotes has."""
        words = _Words()
        plain = _PLAIN[ends]
        while self.at < len(self.text) and self.text[self.at] not in f" \t\n\r{ends}":
            sign = self.text[self.at]
            if found := plain.match(self.text, self.at):
                words.put([found[0]])
                self._step(len(found[0]))
            elif sign in "'\"":
                words.put(self._single() if sign == "'" else self._double())
            elif sign == "\\":
                words.put(self._escaped())
            else:
                pieces, split = self._filled()
                words.put([piece for one in pieces for piece in (one.split() if split else [one])])
        whole = words.all()
        self._count(whole)
        return whole

    def _escaped(self) -> list[str]:
        """A line that ends in a backslash goes on."""
        self._step()
        end = re.compile(r"\r?\n").match(self.text, self.at)
        sign = end[0] if end else self.text[self.at : self.at + 1]
        self._step(len(sign))
        return [] if end else [sign]

    def _single(self) -> list[str]:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self._refused("a quote is not closed", "close it")
        inner = self.text[self.at + 1 : end]
        self._step(end + 1 - self.at)
        return [inner]

    def _double(self) -> list[str]:
        """An array in it is a word for each of its items."""
        start, words = self.line, _Words([""])
        self._step()
        while (sign := self.text[self.at : self.at + 1]) != '"':
            if not sign:
                self.line = start
                raise self._refused("a quote is not closed", "close it")
            if found := _QUOTED.match(self.text, self.at):
                words.put([found[0]])
                self._step(len(found[0]))
            elif sign == "\\":
                words.put([self.text[self.at + 1].replace("\n", "")])
                self._step(2)
            else:
                words.put(self._filled()[0])
        self._step()
        return words.all()

    def _filled(self) -> tuple[list[str], bool]:
        """What stands for an expansion, and whether it is split at blanks where there are no quotes."""
        if found := _EXPANDED.match(self.text, self.at):
            self._step(len(found[0]))
            name, default = found[1] or found[2], found[4]
            known = self.variables.get(name)
            if known is None:
                return ([default], True) if default is not None else ([found[0]], False)
            self._count(known)
            return known if found[3] else [" ".join(known)], True
        kept = self._kept()
        self._step(len(kept))
        return [kept], False

    def _kept(self) -> str:
        """`$(...)` and `...` in backticks, whole; else the one sign."""
        if self.text[self.at] == "`":
            end = self.text.find("`", self.at + 1)
            return self.text[self.at : end + 1] if end > 0 else "`"
        if self.text[self.at + 1 : self.at + 2] not in ("(", "{"):
            return "$"
        depth, opening = 0, self.text[self.at + 1]
        closing = {"(": ")", "{": "}"}[opening]
        within = self.text[self.at + 1 : self.at + 4096]
        self._count([within])  # it is read for each sign that may begin one
        for number, sign in enumerate(within):
            depth += (sign == opening) - (sign == closing)
            if depth == 0:
                return f"${within[: number + 1]}"
        return "$"

    def _count(self, words: list[str]) -> None:
        self.made += sum(map(len, words)) + len(words)
        if self.made > MOST:
            raise self._refused(_FULL, "write the options out")

    def _step(self, by: int = 1) -> None:
        self.line += self.text.count("\n", self.at, self.at + by)
        self.at += by

    def _refused(self, fact: str, help_: str) -> Refused:
        return Refused(
            Diagnostic(
                "E027", f"failed to read the command line: {fact}", Where(self.file, self.line, 1, 1), help=(help_,)
            )
        )


_LEADING = ("sudo", "exec", "env", "nice", "ionice", "taskset", "numactl", "chrt", "setsid", "nohup", "time", "doas",
            "systemd-run", "then", "do", "if", "else", "strace", "gdb", "unshare", "ip")  # fmt: skip
_ASKING = ("version", "help", "h")
_DECLARING = ("export", "local", "readonly", "declare", "env", "-a")
