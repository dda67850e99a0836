"""What is wrong with a spec in, the same with only those fixes that mend it out. Pure.

Programs apply a fix without reading: what is offered to them has to take its own problem away and bring no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from launcher.record import replace
from launcher.spec.yaml_tree import read_tree
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from launcher.spec.problems import FieldPath, Problem

    _Mark = tuple[str, FieldPath]

Judge = Callable[[Mapping[str, object]], "Iterable[Problem]"]

_A_LINE = "E129"  # its fix is a line that is added, and no place is written over
_MOST = 32  # fixes that are tried; who has more problems will come again
_WORK = 100 * _MOST  # and problems that are found anew for them: a file of thousands would take minutes


def sound(found: Iterable[Problem], spec: Mapping[str, object], judge: Judge) -> Iterator[Problem]:
    problems = tuple(found)
    good = _good(problems, spec, judge)
    for number, one in enumerate(problems):
        yield one if one.fix is None or one.code == _A_LINE or number in good else _without(one)


def _good(problems: Sequence[Problem], spec: Mapping[str, object], judge: Judge) -> set[int]:
    """Those whose fix mends the spec alone, and together with all that are good before it.

    What is deepest goes first: a key that gets another name takes the paths below it with it.
    """
    most = min(_MOST, _WORK // max(len(problems), 1))
    tried = [number for number, one in enumerate(problems) if one.fix is not None and one.code != _A_LINE][:most]
    before = left = {_mark(one) for one in problems}
    whole: object = spec
    good: set[int] = set()
    for number in sorted(tried, key=lambda number: -len(problems[number].path)):
        one = problems[number]
        alone = _left(one, spec, judge, before)
        after = None if alone is None else _left(one, whole, judge, left)
        if after is not None:
            good.add(number)
            whole, left = _with(whole, one.path, one.fix or "", key=one.key), after
    return good


def _without(one: Problem) -> Problem:
    """A value that does not mend it is not advised to people either; a key may be right, and its value wrong."""
    helps = one.help if one.key else tuple(line for line in one.help if line != f"write `{one.fix}`")
    return replace(one, help=helps, fix=None)


def _left(one: Problem, spec: object, judge: Judge, before: set[_Mark]) -> set[_Mark] | None:
    """The problems that are left when it is mended; None if it is not, or for the price of another."""
    if one.key and not _can_be_renamed(one, section_at(spec, one.path)):
        return None
    mended = _with(spec, one.path, one.fix or "", key=one.key)
    after = {_mark(other) for other in judge(mended)} if isinstance(mended, Mapping) else before
    return after if after < before and _mark(one) not in after else None


def _can_be_renamed(one: Problem, beside: Mapping[str, object]) -> bool:
    """No key is there twice, and one of ours that is null is none."""
    return one.fix not in beside and beside.get(one.path[-1]) is not None


def _mark(one: Problem) -> _Mark:
    return one.code, one.path


def _with(part: object, path: FieldPath, fix: str, *, key: bool) -> object:
    """The part with the value at the path, or the key at its end, in the words of the fix.

    A short form is written over where it stands: `memory: 4G` is at `memory`, although its field is memory.0.size.
    """
    if not path or not isinstance(part, Mapping | list):
        return _value(fix)
    first, *rest = path
    if isinstance(part, list):
        place = int(first) if first.isdecimal() else -1
        return [_with(one, tuple(rest), fix, key=key) if n == place else one for n, one in enumerate(part)]
    if first not in part:
        return part
    if not rest and key:
        return {(fix if name == first else name): one for name, one in part.items()}
    return {name: _with(one, tuple(rest), fix, key=key) if name == first else one for name, one in part.items()}


def _value(fix: str) -> object:
    root = read_tree(fix, "").root
    return root.plain() if root is not None else None


def section_at(spec: object, path: FieldPath) -> Mapping[str, object]:
    """The mapping that the last key of the path is in."""
    for key in path[:-1]:
        if isinstance(spec, Mapping):
            spec = spec.get(key)
        elif isinstance(spec, list) and key.isdecimal() and int(key) < len(spec):
            spec = spec[int(key)]
    return spec if isinstance(spec, Mapping) else {}
