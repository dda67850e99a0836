"""XML text in, its elements with their lines out. Pure.

Nothing is expanded and nothing is fetched: a document type, and with it every entity, is refused, and depth and number
of elements have limits. The standard library's expat reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat

from launcher.errors import Diagnostic, Refused, Where
from launcher.record import field, mutable
from launcher.typed import Any

DEPTH = 64
MOST = 20_000  # elements; a domain has some hundreds


@mutable
class Element:
    """`tag` and the names of attributes are without their namespace's prefix."""

    tag: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default).strip()

    def all(self, path: str) -> Iterator[Element]:
        """`devices/disk`: every one."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == first:
                yield from child.all(rest) if rest else (child,)

    def first(self, path: str) -> Element | None:
        return next(self.all(path), None)

    def said(self, path: str, attribute: str = "") -> str:
        """The text of the first element there, or one of its attributes; nothing where there is none."""
        found = self.first(path)
        return "" if found is None else found.get(attribute) if attribute else found.text


def read_xml(raw: bytes, file: str) -> Element:
    builder = _Builder(file)
    try:
        builder.parser.Parse(raw, True)
    except expat.ExpatError as error:
        where = Where(file, error.lineno, error.offset + 1, error.offset + 2)
        cause = expat.ErrorString(error.code)
        raise Refused(Diagnostic("E025", f"failed to read the XML: {cause}", where, help=(_COMPLETE,))) from None
    except (LookupError, ValueError) as error:  # an encoding that expat leaves to Python
        raise Refused(Diagnostic("E025", f"failed to read the XML: {error}", Where(file, 1, 1, 1))) from None
    return builder.root


_COMPLETE = "`virsh dumpxml NAME` prints it whole"


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.root = Element("", 0)
        self.open: list[Element] = []
        self.count = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > MOST or len(self.open) >= DEPTH:
            limit = f"{MOST:,} elements" if self.count > MOST else f"{DEPTH} levels"
            raise self._refused(f"the XML has more than {limit}", "a domain of libvirt is much smaller")
        plain = {_without_prefix(key): value for key, value in attributes.items()}
        one = Element(_without_prefix(name), self.parser.CurrentLineNumber, plain)
        if self.open:
            self.open[-1].children.append(one)
        else:
            self.root = one
        self.open.append(one)

    def end(self, _: str) -> None:
        self.open.pop()

    def characters(self, text: str) -> None:
        if self.open:
            self.open[-1].pieces.append(text)

    def doctype(self, *_: Any) -> None:
        raise self._refused("the XML has a document type, whose entities could be anything", "take the <!DOCTYPE> out")

    def _refused(self, fact: str, help_: str) -> Refused:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        return Refused(Diagnostic("E025", fact, Where(self.file, line, column, column + 1), help=(help_,)))


def _without_prefix(name: str) -> str:
    return name.rpartition(":")[2]
