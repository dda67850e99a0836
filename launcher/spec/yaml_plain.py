"""YAML text of the kind that most specs are in, the tree of it out; None: it has something else. Pure.

Blocks of `key: value` and `- value`, `{ }` and `[ ]` within a line, texts without escapes, comments. What comes out is
what `yaml_whole` makes of the same text, in a sixth of the time, and without the 17 ms that importing its parser takes.
"""

from __future__ import annotations

import re
from itertools import starmap

from launcher.errors import Where
from launcher.spec.places import Entry, Node, Scalar, Tree
from launcher.spec.yaml_mapping import mapping_of
from launcher.spec.yaml_text import resolve
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.errors import Diagnostic

# Far below the limits of a spec and of the other parser: characters of the text and of a key; columns that blocks are
# indented, of which each is a level at most; braces in each other.
LARGEST, LONGEST_KEY, WIDEST, DEEPEST = 12_000, 100, 20, 8

_ODD = re.compile(r"[^\n\x20-\x7e]")
_FIRST = r"(?!\.\.\.)[A-Za-z0-9_./~+=$(]"  # three dots end a document
_PLAIN = rf"{_FIRST}(?:[^ :#\n]|:(?=[^ \n])|(?<=[^ ])#| +(?=[^ #\n]))*"
_PLAIN_IN_BRACES = rf"{_FIRST}(?:[^ :#,\[\]{{}}\"'\n]|:(?=[^ ,\[\]{{}}\n])| +(?=[^ #:,\[\]{{}}\"'\n]))*"
_QUOTED = r"\"([^\"\\\n]*)\"|'([^'\n]*)'"
_END = r"(?= *(?: #.*)?$)"

_KEY = re.compile(rf"([A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST_KEY}}}):(?: +|$)")
_VALUE = re.compile(rf"(?:({_PLAIN})|{_QUOTED}){_END}")
_NOTHING = re.compile(rf" *{_END}")
_IN_BRACES = re.compile(rf"(?:({_PLAIN_IN_BRACES})|{_QUOTED})(?=[,:\]}}])")
_COMMA = re.compile(r", +")
_COLON = re.compile(r": +")


_Scalar = tuple[Scalar, Where, str]  # what a Node of one begins with; a key is never a Node


class _Other(Exception):
    """The text has something that is not for us."""


def read_plain(text: str, file: str) -> Tree | None:
    if len(text) > LARGEST or _ODD.search(text):
        return None
    reader = _Reader(file, text.split("\n"))
    try:
        return Tree(reader.whole(), reader.problems)
    except _Other:
        return None


class _Reader:
    """`column`, from 0, is where what is read begins; `rows` are the lines that have something, with their number and
    where that begins."""

    def __init__(self, file: str, lines: list[str]) -> None:
        self.file, self.lines = file, lines
        rests = ((n, line, line.lstrip(" ")) for n, line in enumerate(lines))
        self.rows = [(n, line, len(line) - len(rest)) for n, line, rest in rests if rest and rest[0] != "#"]
        self.at = 0
        self.problems: list[Diagnostic] = []

    def whole(self) -> Node:
        self.left = self._indent()
        root = self._block(self.left) if self.rows else None
        if root is None or self.at < len(self.rows):
            raise _Other
        return root

    def _indent(self) -> int:
        """Of the row that comes; -1 behind the last one."""
        return self.rows[self.at][2] if self.at < len(self.rows) else -1

    def _block(self, column: int) -> Node:
        if column - self.left > WIDEST:
            raise _Other
        n, line, _ = self.rows[self.at]
        if line.startswith("- ", column):
            return self._list(column)
        if _KEY.match(line, column):
            return self._mapping(column)
        return self._value(n, line, column)

    def _list(self, column: int) -> Node:
        where, items = self._begun(column), []
        while self._indent() == column and self.rows[self.at][1].startswith("- ", column):
            n, line, _ = self.rows[self.at]
            inner = len(line) - len(line[column + 1 :].lstrip(" "))
            self.rows[self.at] = n, f"{line[:column]} {line[column + 1 :]}", inner  # what follows has its own column
            items.append(self._block(inner))
            if self._indent() > column:
                raise _Other
        return Node(items, where)

    def _mapping(self, column: int) -> Node:
        where, keys, nodes = self._begun(column), list[_Scalar](), list[Node]()
        while self._indent() == column:
            n, line, _ = self.rows[self.at]
            key = _KEY.match(line, column)
            if key is None:
                break
            keys.append(self._scalar(n, key.start(1), key[1]))
            nodes.append(self._under(n, line, key.end(1) + 1, key.end(), column))
            if self._indent() > column:
                raise _Other
        return Node(self._entries(keys, nodes), where)

    def _entries(self, keys: list[_Scalar], nodes: list[Node]) -> dict[str, Entry]:
        """As `mapping_of` has it, which knows what to say of keys that are no text or there twice."""
        entries: dict[str, Entry] = {}
        for (name, where, _), node in zip(keys, nodes, strict=True):
            if type(name) is not str or name in entries or node.value is None:
                pairs = zip(starmap(Node, keys), nodes, strict=True)
                return mapping_of([one for pair in pairs for one in pair], self.problems)
            entries[name] = Entry(where, node)
        return entries

    def _under(self, n: int, line: str, colon: int, start: int, column: int) -> Node:
        """The value of a key: in its line, or in those below it."""
        if not _NOTHING.match(line, colon):
            return self._value(n, line, start)
        self.at += 1
        inner = self._indent()
        if inner > column:
            return self._block(inner)
        if inner == column and self.rows[self.at][1].startswith("- ", column):
            return self._list(column)
        return Node(None, Where(self.file, n + 1, colon + 1, colon + 1))

    def _value(self, n: int, line: str, start: int) -> Node:
        self.at += 1
        if line.startswith(("{", "["), start):
            node, end = self._braces(n, line, start, 1)
            if not _NOTHING.match(line, end):
                raise _Other
            return node
        found = _VALUE.match(line, start)
        if found is None:
            raise _Other
        return Node(*self._found(n, found))

    def _braces(self, n: int, line: str, start: int, depth: int) -> tuple[Node, int]:
        """With the column behind it."""
        if depth > DEEPEST:
            raise _Other
        is_mapping = line[start] == "{"
        closing, keys, nodes, at = "}" if is_mapping else "]", list[_Scalar](), list[Node](), start + 1
        while line[at : at + 1] != closing:
            if nodes:
                at = self._behind(_COMMA, line, at)
            if is_mapping:
                keys.append(self._behind_scalar(n, line, at))
                _, where, written = keys[-1]
                if len(written) > LONGEST_KEY:
                    raise _Other
                at = self._behind(_COLON, line, where.end_column - 1)
            if line.startswith(("{", "["), at):
                node, at = self._braces(n, line, at, depth + 1)
            else:
                node = Node(*self._behind_scalar(n, line, at))
                at = node.where.end_column - 1
            nodes.append(node)
        where = Where(self.file, n + 1, start + 1, at + 2)
        return Node(self._entries(keys, nodes) if is_mapping else nodes, where), at + 1

    def _behind_scalar(self, n: int, line: str, at: int) -> _Scalar:
        found = _IN_BRACES.match(line, at)
        if found is None:
            raise _Other
        return self._found(n, found)

    @staticmethod
    def _behind(sign: re.Pattern[str], line: str, at: int) -> int:
        found = sign.match(line, at)
        if found is None:
            raise _Other
        return found.end()

    def _found(self, n: int, found: re.Match[str]) -> _Scalar:
        if found[1] is not None:
            return self._scalar(n, found.start(), found[1])
        written = found[2] if found[2] is not None else found[3]
        return written, Where(self.file, n + 1, found.start() + 1, found.end() + 1), written

    def _scalar(self, n: int, start: int, written: str) -> _Scalar:
        return resolve(written), Where(self.file, n + 1, start + 1, start + len(written) + 1), written

    def _begun(self, column: int) -> Where:
        """A block is told by its first line, to the end of that."""
        n = self.rows[self.at][0]
        line = self.lines[n]
        end = len(line) if n + 1 == len(self.lines) else len(line.rstrip())
        return Where(self.file, n + 1, column + 1, end + 1)
