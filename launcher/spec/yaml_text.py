"""Bytes in, text out; a plain scalar in, its value out; a parser's complaint in, ours out. Pure."""

from __future__ import annotations

from itertools import islice

from launcher.errors import Diagnostic, Refused, Where
from launcher.patterns import re
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

    from launcher.spec.places import Scalar

# The YAML 1.2 core schema (yaml.org/spec/1.2.2, 10.3.2).
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_DIGITS = 64
_INT = r"[-+]?[0-9]{1,64}|0o[0-7]{1,64}|0x[0-9a-fA-F]{1,64}"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_NOT_FINITE = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_NUMBER = f"({_INT})|({_FLOAT})|{_NOT_FINITE}"  # one, and only where it is wanted: to compile it is dear
_FIRST, _LAST = frozenset("0123456789.+-"), frozenset("0123456789.fFnN")

# What a reader of the file cannot see, and line breaks that only YAML 1.1 knows.
_UNSEEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"
_LAYOUT = dict.fromkeys(map(ord, "\t\r\n"))  # nobody sees these either, and all is well
_BEGINNING = 8000  # bytes in which programs other than ours look for a NUL, too, to tell a text
_BREAK = r"\r\n|\r|\n"
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\0\0\xfe\xff": "UTF-32"}

# The parser says it in one of these ways; we say it in ours.
_SYNTAX = (
    ("'\\t'", "E003", "a tab where YAML wants spaces", ("put spaces in its place; YAML does not indent with tabs",)),
    ("mapping values are not allowed", "E004", "a second `: ` in one line", ("put text with `: ` in it in quotes",)),
    ("could not find expected ':'", "E004", "a line without a `: `", ("write `key: value`, with the space",)),
    ("quoted scalar", "E004", "a quoted text that does not end or has a wrong escape", ("close the quotes",)),
    ("'@'", "E004", "a value cannot start with @", ("put it in quotes",)),
    ("'`'", "E004", "a value cannot start with `", ("put it in quotes",)),
    ("'%'", "E004", "a value cannot start with %", ("put it in quotes",)),
    ("directive", "E020", "a YAML directive", ("take the lines that start with % out",)),
    ("incompatible", "E020", "a YAML directive", ("take the lines that start with % out",)),
    ("flow", "E004", "a bracket is not closed, or a comma is missing", ("close every [ and {",)),
    ("block", "E004", "this line does not fit the ones above it", ("indent the keys of one mapping equally",)),
    ("alias", "E004", "an alias without a name", ("text that starts with * goes in quotes",)),
    ("anchor", "E004", "an anchor without a name", ("text that starts with & goes in quotes",)),
    ("tag", "E010", "a tag has no meaning in a spec", ("text that starts with an exclamation mark goes in quotes",)),
)


def text_lines(text: str) -> list[str]:
    return re.split(_BREAK, text)


def decode(raw: bytes, file: str) -> str:
    """UTF-8 with or without a byte order mark. Refused otherwise, with the place of the first wrong byte."""
    mark = next((name for start, name in _WIDE.items() if raw.startswith(start)), None)
    if mark is not None:
        where = Where(file, 1, 1, 1)
        raise Refused(Diagnostic("E001", f"the file is {mark}, not UTF-8", where, help=("save it as UTF-8",)))
    if b"\0" in raw[:_BEGINNING]:
        help_ = ("a spec is YAML: see `vmlaunch explain`",)
        raise Refused(Diagnostic("E001", "this is not a text file", Where(file, 1, 1, 1), help=help_))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text_lines(raw[: error.start].decode("utf-8-sig"))
        where = Where(file, len(before), len(before[-1]) + 1, len(before[-1]) + 2)
        message = f"byte {error.start} is 0x{raw[error.start]:02x}, which is not UTF-8"
        raise Refused(Diagnostic("E001", message, where, help=("save the file as UTF-8",))) from None


def unseen(text: str, file: str) -> list[Diagnostic]:
    """Invisible characters: the first one of each line, and of a file full of them the first lines."""
    if text.translate(_LAYOUT).isprintable() or not re.search(_UNSEEN, text):
        return []
    lines = ((number, re.search(_UNSEEN, line)) for number, line in enumerate(text_lines(text), 1))
    found = ((number, match) for number, match in lines if match)
    return [_invisible(match, file, number) for number, match in islice(found, 20)]


def _invisible(match: re.Match[str], file: str, line: int) -> Diagnostic:
    where = Where(file, line, match.start() + 1, match.end() + 1)
    return Diagnostic("E002", f"an invisible character: U+{ord(match[0]):04X}", where, help=("delete it",))


def resolve(written: str) -> Scalar:
    """What a plain scalar is: nothing, true or false, a number, text."""
    if written in _WORDS:
        return _WORDS[written]
    if written.isascii() and written.isdecimal() and len(written) <= _MOST_DIGITS:
        return int(written)
    found = re.fullmatch(_NUMBER, written) if _may_be_number(written) else None
    if found is None:
        return written
    if found[1]:
        return int(written, {"0o": 8, "0x": 16}.get(written[:2], 10))
    return float(written if found[2] else written.replace(".", ""))


def _may_be_number(written: str) -> bool:
    return written[0] in _FIRST and (written[-1] in _LAST or written.startswith("0x"))


def joined(text: str) -> str | None:
    """JSON writes a character beyond U+FFFF as two escapes, the halves of a pair. None: a half without the other."""
    if not any("\ud800" <= sign <= "\udfff" for sign in text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


# Of Helm, Jinja and Ansible; of Jinja; of ERB.
_TEMPLATE = r"\{\{(?:[^{}]{0,200}\}\})?|\{%(?:[^%]{0,200}%\})?|<%(?:[^%]{0,200}%>)?"


def not_filled_in(where: Where, lines: list[str]) -> Diagnostic:
    """`where` a template begins."""
    found = re.compile(_TEMPLATE).match(lines[where.line - 1], where.column - 1)
    shown = f"`{found[0]}`" if found and len(found[0]) > len("{{") else "this"
    end = found.end() + 1 if found else where.end_column
    help_ = ("fill the template in first, as with `helm template` or `jinja2`, and give what comes of it",)
    message = f"{shown} belongs to a template, which is not filled in here"
    return Diagnostic("E022", message, Where(where.file, where.line, where.column, end), help=help_)


def syntax_problem(error: MarkedYAMLError, text: str, file: str) -> Diagnostic:
    said = f"{error.context or ''} {error.problem or ''}"
    where = _marked(error, text, file)
    if seen := _seen(said, where, text_lines(text)):
        return seen
    if opened := _opened(error, said, where):
        return opened
    _, code, message, help_ = next((row for row in _SYNTAX if row[0] in said), ("", "E004", "this is not YAML", ()))
    return Diagnostic(code, message, where, help=help_)


def _opened(error: MarkedYAMLError, said: str, where: Where) -> Diagnostic | None:
    """What opens in a line before the one where the parser gave up is told where it opens."""
    mark = error.context_mark
    if mark is None or mark.line + 1 == where.line:
        return None
    place = Where(where.file, mark.line + 1, mark.column + 1, mark.column + 2)
    if "quoted scalar" in said:
        return Diagnostic("E004", "the quotes that open here do not close", place, help=("close the quotes",))
    message = f"the bracket that opens here is not closed before line {where.line}, or a comma is missing there"
    return Diagnostic("E004", message, place, help=("close every [ and {",)) if "flow" in said else None


def _seen(said: str, where: Where, lines: list[str]) -> Diagnostic | None:
    """What the lines show and the parser does not say."""
    for number in (where.line, where.line - 1):  # the parser finds out a line late that a key has no colon
        if number and (found := re.search(_TEMPLATE, lines[number - 1])):
            return not_filled_in(Where(where.file, number, found.start() + 1, found.end() + 1), lines)
    if "flow" in said:
        return _variable(where, lines) or _commented(where, lines)
    return _deeper(where, lines) if "mapping values" in said or "block" in said else None


def _variable(where: Where, lines: list[str]) -> Diagnostic | None:
    """The brackets of `{a: ${B}}` are three to YAML."""
    found = re.search(r"\$\{[A-Za-z0-9_]{1,64}\}", lines[where.line - 1])
    if found is None:
        return None
    place = Where(where.file, where.line, found.start() + 1, found.end() + 1)
    help_ = ("write the value, or put text with $ in it in quotes",)
    return Diagnostic("E004", f"`{found[0]}` is not filled in here, and its bracket is YAML's", place, help=help_)


def _commented(where: Where, lines: list[str]) -> Diagnostic | None:
    """`{cmdline: a #b}`: the bracket that would close it is in a comment."""
    for number in range(where.line, 0, -1):
        if found := re.search(r"[\[{].* (#.*[\]}])", lines[number - 1]):
            place = Where(where.file, number, found.start(1) + 1, found.end(1) + 1)
            help_ = ("put text with ` #` in it in quotes",)
            return Diagnostic(
                "E004", "a comment begins here, and the bracket is not closed before it", place, help=help_
            )
    return None


def _deeper(where: Where, lines: list[str]) -> Diagnostic | None:
    """A key that is indented as if it went on with the value of the line above: to YAML a second `: `, or no key."""
    line = lines[where.line - 1]
    above = next((one for one in reversed(lines[: where.line - 1]) if re.match(r" *[^ #]", one)), "")
    start, key = _start(line), re.match(r"[ -]*[A-Za-z0-9_-]+:(?= |$)", line)
    second = key is not None and where.column > key.end()
    goes_on = re.match(r"[ -]*[^ :\[\]{},]+: +[^ #|>&\[{]", above)
    if not key or second or not goes_on or start <= _start(above):
        return None
    message = f"this line is indented deeper than the one above, {start} spaces instead of {_start(above)}"
    place = Where(where.file, where.line, start + 1, key.end() + 1)
    return Diagnostic("E004", message, place, help=("indent the keys of one mapping equally",))


def _start(line: str) -> int:
    """The column of a line's key, from 0, behind the dash of a list."""
    return len(line) - len(line.lstrip(" -"))


def _marked(error: MarkedYAMLError, text: str, file: str) -> Where:
    """The parser often finds out one line late; a place behind the text is moved to its end."""
    mark = error.problem_mark or error.context_mark
    lines = text_lines(text)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    while line > 0 and (line >= len(lines) or not lines[line].strip()):
        line -= 1
        column = len(lines[line])
    return Where(file, line + 1, column + 1, column + 2)
