"""A script, a line of a log or a unit in, the words of its first QEMU command out, each with its line. Pure.

Nothing is run. Assignments that stand in the text are filled in where they are used, arrays too; what only a shell can
know, such as `$(pwd)`, stays as it is written. What grows beyond a limit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from launcher.errors import Diagnostic, Refused, Where
from launcher.record import record

MOST = 1 << 20  # characters of all words, with variables filled in
PROGRAM = r"(.*/)?(qemu-system-[a-z0-9_]+|qemu-kvm|qemu|kvm|qemu-kvm-[a-z0-9_.-]+)"
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_EXPANSION = rf"\$(?:({_NAME})|\{{({_NAME})(\[[@*]\])?(?::?-([^}}$]*))?\}})"
_UNIT = r"(?m)^Exec(Start|StartPre)=[-@:+!]*"
_ENDS = ";|&\n"
_FULL = "the words have more than a million characters once variables are filled in"


@record
class Word:
    text: str
    line: int


def program_of(word: str) -> str | None:
    """`x86_64` of qemu-system-x86_64; nothing to say where the program is called kvm."""
    found = re.fullmatch(PROGRAM, word)
    if found is None:
        return None
    return found[2].removeprefix("qemu-system-") if found[2].startswith("qemu-system-") else ""


def qemu_words(text: str, file: str) -> list[Word] | None:
    """From the program on; None where the text has no such command, nor begins with an option."""
    scanner = _Scanner(re.sub(_UNIT, "", text), file)
    bare: list[Word] | None = None
    for command in scanner.commands():
        at = next((number for number, one in enumerate(command) if program_of(one.text) is not None), None)
        if at is not None and (len(command) > at + 1):
            return command
        if bare is None and command and re.match(r"--?[a-z]", command[0].text):
            bare = command
    return bare


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
            elif self._assigns(words):
                continue
            else:
                line = self.line
                words += [Word(one, line) for one in self._word(ends)]
        return words

    def _comment(self) -> None:
        while self.at < len(self.text) and self.text[self.at] != "\n":
            self._step()

    def _assigns(self, before: list[Word]) -> bool:
        """`local x=..` and `export x=..` are assignments as well."""
        found = re.compile(rf"({_NAME})(\+?)=").match(self.text, self.at)
        if found is None or any(one.text not in _DECLARING for one in before):
            return False
        self._step(len(found[0]))
        before.clear()
        old = self.variables.get(found[1], []) if found[2] else []
        if self.text[self.at : self.at + 1] == "(":
            self._step()
            new = [one.text for one in self._words(")")]
            self._step()
        else:
            new = ["".join(old) + " ".join(self._word(_ENDS))]
            old = []
        self.variables[found[1]] = old + new
        return True

    def _word(self, ends: str) -> list[str]:
        """One word, or those that a variable without quotes has."""
        done: list[str] = []
        word: str | None = None
        while self.at < len(self.text) and self.text[self.at] not in f" \t\n\r{ends}":
            sign = self.text[self.at]
            if sign in "'\"":
                first, *rest = self._single() if sign == "'" else self._double()
                word = (word or "") + first
                if rest:
                    done += [word, *rest[:-1]]
                    word = rest[-1]
            elif sign == "\\":
                self._step()
                word = self._escaped(word)
            elif sign in "$`":
                pieces, split = self._filled()
                parts = [piece for one in pieces for piece in (one.split() if split else [one])]
                if parts:
                    done += [(word or "") + parts[0], *parts[1:]]
                    word = done.pop()
            else:
                word = (word or "") + sign
                self._step()
        whole = [*done, *([] if word is None else [word])]
        self._count(whole)
        return whole

    def _escaped(self, word: str | None) -> str | None:
        """A line that ends in a backslash goes on."""
        sign = self.text[self.at : self.at + 1]
        if sign == "\r" and self.text[self.at + 1 : self.at + 2] == "\n":
            self._step()
            sign = "\n"
        self._step()
        return word if sign == "\n" else (word or "") + sign

    def _single(self) -> list[str]:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self._refused("a quote is not closed", "close it")
        inner = self.text[self.at + 1 : end]
        self._step(end + 1 - self.at)
        return [inner]

    def _double(self) -> list[str]:
        """An array in it is a word for each of its items."""
        start, words = self.line, [""]
        self._step()
        while (sign := self.text[self.at : self.at + 1]) != '"':
            if not sign:
                self.line = start
                raise self._refused("a quote is not closed", "close it")
            if sign == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\", "$", "`", "\n"):
                words[-1] += self.text[self.at + 1].replace("\n", "")
                self._step(2)
            elif sign in "$`":
                first, *rest = self._filled()[0] or [""]
                words[-1] += first
                words += rest
            else:
                words[-1] += sign
                self._step()
        self._step()
        return words

    def _filled(self) -> tuple[list[str], bool]:
        """What stands for an expansion, and whether it is split at blanks where there are no quotes."""
        if found := re.compile(_EXPANSION).match(self.text, self.at):
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
        for number in range(self.at + 1, min(len(self.text), self.at + 4096)):
            depth += (self.text[number] == opening) - (self.text[number] == closing)
            if depth == 0:
                return self.text[self.at : number + 1]
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


_DECLARING = ("export", "local", "readonly", "declare", "env", "-a")
