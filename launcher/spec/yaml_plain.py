"""YAML text of the kind that most specs are in, the tree of it out; None: it has something else. Pure.

Blocks of `key: value` and `- value`, `{ }` and `[ ]` within a line, texts without escapes, comments. What comes out is
what `yaml_whole` makes of the same text, in a sixth of the time, and without the 17 ms that importing its parser takes.
"""

from __future__ import annotations

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

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_FIRST, _IN_KEY = _LETTERS | {*"./~+=$("}, _LETTERS | {*".-"}
_QUOTES, _BRACES = ("'", '"'), ("{", "[")
_AFTER_COLON, _AFTER_BLANKS, _BEHIND = {*" ,[]{}"}, {*"#:,[]{}\"'"}, {*",:]}"}


_Scalar = tuple[Scalar, Where, str]  # what a Node of one begins with; a key is never a Node


class _Other(Exception):
    """The text has something that is not for us."""


def read_plain(text: str, file: str) -> Tree | None:
    if len(text) > LARGEST or not (text.isascii() and text.replace("\n", "").isprintable()):
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
        if _key(line, column):
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
            key = _key(line, column)
            if not key:
                break
            keys.append(self._scalar(n, column, key))
            nodes.append(self._under(n, line, column + len(key) + 1, column))
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

    def _under(self, n: int, line: str, colon: int, column: int) -> Node:
        """The value of a key: in its line, or in those below it."""
        if not _is_end(line, colon):
            return self._value(n, line, _behind_blanks(line, colon))
        self.at += 1
        inner = self._indent()
        if inner > column:
            return self._block(inner)
        if inner == column and self.rows[self.at][1].startswith("- ", column):
            return self._list(column)
        return Node(None, Where(self.file, n + 1, colon + 1, colon + 1))

    def _value(self, n: int, line: str, start: int) -> Node:
        self.at += 1
        if line.startswith(_BRACES, start):
            node, end = self._braces(n, line, start, 1)
        elif line.startswith(_QUOTES, start):
            end = _behind_quotes(line, start)
            node = Node(*self._quoted(n, line, start, end))
        else:
            return Node(*self._scalar(n, start, _plain(line, start)))
        if not _is_end(line, end):
            raise _Other
        return node

    def _braces(self, n: int, line: str, start: int, depth: int) -> tuple[Node, int]:
        """With the column behind it."""
        if depth > DEEPEST:
            raise _Other
        is_mapping = line[start] == "{"
        closing, keys, nodes, at = "}" if is_mapping else "]", list[_Scalar](), list[Node](), start + 1
        while line[at : at + 1] != closing:
            if nodes:
                at = _behind(",", line, at)
            if is_mapping:
                keys.append(self._behind_scalar(n, line, at))
                _, where, written = keys[-1]
                if len(written) > LONGEST_KEY:
                    raise _Other
                at = _behind(":", line, where.end_column - 1)
            if line.startswith(_BRACES, at):
                node, at = self._braces(n, line, at, depth + 1)
            else:
                node = Node(*self._behind_scalar(n, line, at))
                at = node.where.end_column - 1
            nodes.append(node)
        where = Where(self.file, n + 1, start + 1, at + 2)
        return Node(self._entries(keys, nodes) if is_mapping else nodes, where), at + 1

    def _behind_scalar(self, n: int, line: str, at: int) -> _Scalar:
        is_quoted = line.startswith(_QUOTES, at)
        end = _behind_quotes(line, at) if is_quoted else _end_in_braces(line, at)
        if line[end : end + 1] not in _BEHIND:
            raise _Other
        return self._quoted(n, line, at, end) if is_quoted else self._scalar(n, at, line[at:end])

    def _quoted(self, n: int, line: str, start: int, end: int) -> _Scalar:
        written = line[start + 1 : end - 1]
        return written, Where(self.file, n + 1, start + 1, end + 1), written

    def _scalar(self, n: int, start: int, written: str) -> _Scalar:
        return resolve(written), Where(self.file, n + 1, start + 1, start + len(written) + 1), written

    def _begun(self, column: int) -> Where:
        """A block is told by its first line, to the end of that."""
        n = self.rows[self.at][0]
        line = self.lines[n]
        end = len(line) if n + 1 == len(self.lines) else len(line.rstrip())
        return Where(self.file, n + 1, column + 1, end + 1)


def _key(line: str, column: int) -> str:
    """The key that begins there; empty: none does."""
    key, colon, rest = line[column:].partition(":")
    is_key = colon and key and key[0] in _LETTERS and len(key) <= LONGEST_KEY + 1 and _IN_KEY.issuperset(key)
    return key if is_key and rest[:1] in ("", " ") else ""


def _is_end(line: str, at: int) -> bool:
    """Nothing follows but a comment."""
    rest = line[at:].lstrip(" ")
    return not rest or (rest[0] == "#" and line[at] == " ")


def _plain(line: str, start: int) -> str:
    """A text without quotes, to the end of the line or a comment."""
    comment = line.find(" #", start)
    found = line[start : None if comment < 0 else comment].rstrip(" ")
    if not _begins_plain(found) or ": " in found or found[-1] == ":":
        raise _Other
    return found


def _begins_plain(text: str) -> bool:
    return text[:1] in _FIRST and not text.startswith("...")  # three dots end a document


def _behind_quotes(line: str, start: int) -> int:
    end = line.find(line[start], start + 1)
    if end < 0 or (line[start] == '"' and "\\" in line[start:end]):
        raise _Other
    return end + 1


def _end_in_braces(line: str, start: int) -> int:
    """Of a text without quotes."""
    if not _begins_plain(line[start:]):
        raise _Other
    at = start + 1
    while at < len(line):
        if line[at] == " ":
            behind = _behind_blanks(line, at)
            if line[behind : behind + 1] in _AFTER_BLANKS:
                break
            at = behind
        elif line[at] in _AFTER_BLANKS and (line[at] != ":" or line[at + 1 : at + 2] in _AFTER_COLON):
            break
        else:
            at += 1
    return at


def _behind(sign: str, line: str, at: int) -> int:
    """And behind the blanks that have to follow it."""
    if not line.startswith(f"{sign} ", at):
        raise _Other
    return _behind_blanks(line, at + 1)


def _behind_blanks(line: str, at: int) -> int:
    return len(line) - len(line[at:].lstrip(" "))
