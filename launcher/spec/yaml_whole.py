"""Any YAML text in, a tree of Nodes with their places out, and what is wrong with the text. Pure.

The tree is built from the parser's events with a stack of our own, so that depth and aliases have limits and every
key and value keeps its place.
"""

from __future__ import annotations

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from launcher.errors import Diagnostic, Refused, Where
from launcher.record import field, mutable, record, replace
from launcher.spec.places import Node, Tree
from launcher.spec.problems import did_you_mean
from launcher.spec.yaml_mapping import is_template, mapping_of
from launcher.spec.yaml_text import joined, not_filled_in, resolve, syntax_problem, text_lines
from launcher.typed import Any

VERSION = (1, 2)
DEPTH = 32
NODES = 10_000


@record
class _Done:
    """A finished value; `count` and `height` are those it has with its aliases written out."""

    node: Node
    count: int = 1
    height: int = 0


@mutable
class _Open:
    """A collection whose end has not come yet; the nodes of a mapping are key, value, key, value."""

    where: Where
    anchor: str | None
    is_mapping: bool
    in_braces: bool
    nodes: list[Node] = field(default_factory=list)
    count: int = 1
    height: int = 1

    def take(self, done: _Done) -> None:
        self.nodes.append(done.node)
        self.count += done.count
        self.height = max(self.height, done.height + 1)

    def last_key(self) -> Node | None:
        """The key in `{ }` whose value is to come."""
        return self.nodes[-1] if self.in_braces and len(self.nodes) % 2 else None


def read_whole(text: str, file: str) -> Tree:
    builder = _Builder(file, text)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except Refused as refusal:
        return Tree(None, [*builder.problems, *refusal.diagnostics])
    except MarkedYAMLError as error:
        return Tree(None, [*builder.problems, syntax_problem(error, text, file)])
    except (YAMLError, ValueError, AssertionError):
        # what ruamel.yaml has for "\U00110000" and for %YAML 1.3
        message = "failed to read the YAML behind this place"
        return Tree(None, [*builder.problems, Diagnostic("E004", message, builder.last)])
    return Tree(builder.root, builder.problems)


class _Builder:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text_lines(text)
        self.root: Node | None = None
        self.problems: list[Diagnostic] = []
        self.open: list[_Open] = []
        self.anchors: dict[str, _Done | None] = {}
        self.last = Where(file, 1, 1, 1)
        self.second: Where | None = None  # where a document begins behind that of the root

    def take(self, event: Any) -> None:
        where = self.last = self._where(event.start_mark, event.end_mark)
        match event:
            case events.DocumentStartEvent():
                self._document(event, where)
            case events.ScalarEvent():
                if self.second and (event.value or event.style or event.anchor):
                    raise self._another(self.second)
                self._tagless(event, where)
                self._finish(_Done(self._scalar(event, where)), event.anchor)
            case events.AliasEvent():
                self._finish(self._aliased(event.anchor, where))
            case events.CollectionStartEvent():
                if self.second:
                    raise self._another(self.second)
                self._tagless(event, where)
                self._begin(event, where)
            case events.CollectionEndEvent():
                self._end(event)

    def _where(self, start: Any, end: Any) -> Where:
        """A place on one line: what goes on for more lines ends where its first line does."""
        line, column = start.line, start.column
        end_column = end.column if end.line == line else len(self.lines[line].rstrip())
        return Where(self.file, line + 1, column + 1, max(end_column, column) + 1)

    def _document(self, event: Any, where: Where) -> None:
        """Helm and kustomize write `---` behind documents, and documents of nothing: neither is a second one."""
        if self.root is not None and (self.root.value is not None or self.root.written):
            self.second = where
        if event.tags or event.version not in (None, VERSION):
            help_ = ("take the lines that start with % out: a spec is YAML 1.2, without tags",)
            raise Refused(Diagnostic("E020", "there is a YAML directive before this line", where, help=help_))

    @staticmethod
    def _another(where: Where) -> Refused:
        help_ = ("one file is one VM: put the second document in a file of its own",)
        return Refused(Diagnostic("E007", "a second document starts here", where, help=help_))

    def _tagless(self, event: Any, where: Where) -> None:
        if event.tag is not None:
            self._problem("E010", "a tag has no meaning in a spec", where, "take it out; quotes make text of anything")

    def _scalar(self, event: Any, where: Where) -> Node:
        """The escapes of a double-quoted text can write halves of a surrogate pair, which no UTF-8 can."""
        written = joined(event.value)
        if written is None:
            self._problem("E002", "an escape that is not a character", where, "write the character itself")
            return Node(None, where, lost=True)
        bare = not (written or event.style or event.anchor) and self._is_bare()
        return Node(written if event.style else resolve(written), where, written, bare=bare)

    def _is_bare(self) -> bool:
        """Nobody has written a colon behind the key whose value this is."""
        key = self.open[-1].last_key() if self.open else None
        return key is not None and not self.lines[key.where.line - 1][key.where.end_column - 1 :].lstrip().startswith(
            ":"
        )

    def _begin(self, event: Any, where: Where) -> None:
        self._limit(1, 1, where)
        if event.anchor:
            self.anchors[event.anchor] = None  # still open: an alias to it would be a circle
        is_mapping = isinstance(event, events.MappingStartEvent)
        self.open.append(_Open(where, event.anchor, is_mapping, in_braces=is_mapping and bool(event.flow_style)))

    def _end(self, event: Any) -> None:
        closed = self.open.pop()
        where = closed.where
        if event.end_mark.line + 1 == where.line:
            where = replace(where, end_column=event.end_mark.column + 1)
        else:
            where = replace(where, end_column=len(self.lines[where.line - 1].rstrip()) + 1)
        if closed.is_mapping and is_template(closed.nodes, where):
            self.problems.append(not_filled_in(where, self.lines))
            self._finish(_Done(Node(None, where, lost=True)), closed.anchor)
            return
        value = mapping_of(closed.nodes, self.problems) if closed.is_mapping else closed.nodes
        self._finish(_Done(Node(value, where), closed.count, closed.height), closed.anchor)

    def _finish(self, done: _Done, anchor: str | None = None) -> None:
        if anchor:
            self.anchors[anchor] = done
        self._limit(done.height, done.count, done.node.where)
        if self.open:
            self.open[-1].take(done)
        elif self.second is None:
            self.root = done.node

    def _limit(self, height: int, count: int, where: Where) -> None:
        if len(self.open) + height > DEPTH:
            raise Refused(Diagnostic("E012", f"nested more than {DEPTH} levels deep", where))
        if count + sum(one.count for one in self.open) > NODES:
            message = f"more than {NODES:,} values, with aliases written out"
            raise Refused(Diagnostic("E013", message, where))

    def _aliased(self, anchor: str, where: Where) -> _Done:
        done = self.anchors.get(anchor)
        if done is not None:
            return done
        if anchor in self.anchors:
            self._problem("E018", f"`*{anchor}` is inside the value it stands for", where)
        else:
            near = did_you_mean(anchor, self.anchors)
            self._problem("E009", f"no value above is marked `&{anchor}`", where, *near)
        return _Done(Node(None, where, lost=True))

    def _problem(self, code: str, message: str, where: Where, *help_: str) -> None:
        self.problems.append(Diagnostic(code, message, where, help=help_))
