"""Plan and Report as JSON values and back: the saved form, read without pydantic. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from launcher.codec import DecodeError, decode, encode, learn
from launcher.errors import Diagnostic, Where
from launcher.plan.outcome import Report
from launcher.plan.plan import FORMAT_VERSION, Assumption, Plan
from launcher.plan.step import Step
from launcher.plan.steps import STEPS, OpenGroups, OpenIommufd
from launcher.record import fields
from launcher.typed import Any

_COMPUTED = {"steps", "assumes", "diagnostics"}
MOST_FACT = 1 << 14  # characters of a fact's name, in which a path may be: each part of it is looked up


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Keys in the order of the fields, so that the same plan is the same bytes."""
    plain: dict[str, Any] = {}
    for name in fields(Plan):
        value = getattr(plan, name)
        if name == "steps":
            plain["steps"] = [_step_to_json(n, step) for n, step in enumerate(value, 1)]
        elif name == "assumes":
            plain["assumes"] = [_assumption_to_json(one) for one in value]
        elif name == "diagnostics":
            plain["diagnostics"] = [one.as_json() for one in value]
        elif name == "only" and value is None:
            continue
        else:
            plain[name] = encode(value)
    return plain


def learn_plans() -> None:
    """How plans are read, for who waits for one."""
    for kind in (Plan, *STEPS.values()):
        learn(kind)


def plan_from_json(plain: Any) -> Plan:
    """DecodeError names the first field that does not fit; an unknown format version is one."""
    if not isinstance(plain, dict):
        raise DecodeError("", "not a JSON object")
    version = plain.get("format_version")
    if version != FORMAT_VERSION:
        raise DecodeError("format_version", f"{version!r}; this vmlaunch reads {FORMAT_VERSION!r}")
    names = fields(Plan)
    for name in plain:
        if name not in names:
            raise DecodeError(name, "unknown field")
    rest = {key: value for key, value in plain.items() if key not in _COMPUTED}
    shell = decode(Plan, rest | {"steps": [], "assumes": [], "diagnostics": []})
    lists = {key: _list(plain, key) for key in _COMPUTED}
    return Plan(
        **{name: getattr(shell, name) for name in names if name not in _COMPUTED},
        steps=tuple(_step_from_json(one, f"steps.{n}") for n, one in enumerate(lists["steps"])),
        assumes=tuple(_assumption_from_json(one, f"assumes.{n}") for n, one in enumerate(lists["assumes"])),
        diagnostics=tuple(diagnostic_from_json(one, f"diagnostics.{n}") for n, one in enumerate(lists["diagnostics"])),
    )


# Where steps that open groups name them.
_OF_GROUPS: dict[str, Callable[[Any], Iterable[Any]]] = {
    OpenGroups.op: lambda args: _list_in(args, "groups"),
    OpenIommufd.op: lambda args: (one.get("group") for one in _list_in(args, "functions") if isinstance(one, dict)),
}


def groups_in(plain: Any) -> Iterator[int]:
    """IOMMU groups that a saved plan opens, of which nothing else may be readable: it may be of another version."""
    for step in _list_in(plain, "steps"):
        found = _OF_GROUPS.get(str(step.get("op"))) if isinstance(step, dict) else None
        if found:
            yield from (one for one in found(step.get("args")) if isinstance(one, int))


def _list_in(plain: Any, key: str) -> list[Any]:
    found = plain.get(key) if isinstance(plain, dict) else None
    return found if isinstance(found, list) else []


def report_to_json(report: Report) -> dict[str, Any]:
    plain: dict[str, Any] = encode(report)
    return plain | {"diagnostics": [one.as_json() for one in report.diagnostics]}


def report_from_json(plain: Any) -> Report:
    """DecodeError: it is none, or of another version."""
    if not isinstance(plain, dict):
        raise DecodeError("", "not a JSON object")
    found = tuple(diagnostic_from_json(one, f"diagnostics.{n}") for n, one in enumerate(_list(plain, "diagnostics")))
    shell = decode(Report, {key: value for key, value in plain.items() if key != "diagnostics"})
    return Report(**{name: getattr(shell, name) for name in fields(Report)} | {"diagnostics": found})


def diagnostic_from_json(plain: Any, path: str) -> Diagnostic:
    if not isinstance(plain, dict) or not all(isinstance(plain.get(key), str) for key in ("code", "message")):
        raise DecodeError(path, "not a diagnostic")
    where = None
    if plain.get("file"):
        file = decode(str, plain["file"], f"{path}.file")
        keys = ("line", "column", "end_column")
        line, column, end = (decode(int, plain.get(key) or 0, f"{path}.{key}") for key in keys)
        where = Where(file, line, column, end, decode(str, plain.get("path") or "", f"{path}.path"))
    return Diagnostic(
        plain["code"],
        plain["message"],
        where,
        evidence=decode(tuple[str, ...], plain.get("evidence") or [], f"{path}.evidence"),
        help=decode(tuple[str, ...], plain.get("help") or [], f"{path}.help"),
        fix=None if plain.get("fix") is None else decode(str, plain["fix"], f"{path}.fix"),
    )


def _step_to_json(n: int, step: Step) -> dict[str, Any]:
    return {
        "n": n,
        "op": step.op,
        "by": step.by,
        "args": encode(step),
        "undo": {"text": step.on_down} if step.on_down else {},
        "device": step.device,
        "text": step.describe(),
    }


def _step_from_json(plain: Any, path: str) -> Step:
    """Only `op` and `args` count; the rest is for people and is made anew."""
    if not isinstance(plain, dict):
        raise DecodeError(path, "not an object")
    kind = STEPS.get(str(plain.get("op")))
    if kind is None:
        raise DecodeError(f"{path}.op", f"{plain.get('op')!r} is not a step of this vmlaunch")
    return decode(kind, plain.get("args"), f"{path}.args")


def _assumption_to_json(one: Assumption) -> dict[str, Any]:
    if one.at_least is not None:
        return {"fact": one.fact, "at_least": one.at_least}
    return {"fact": one.fact, "is": encode(one.equals)}


def _assumption_from_json(plain: Any, path: str) -> Assumption:
    if not isinstance(plain, dict) or not ({"fact", "is"} == set(plain) or {"fact", "at_least"} == set(plain)):
        raise DecodeError(path, "not {fact, is} or {fact, at_least}")
    fact = decode(str, plain["fact"], f"{path}.fact")
    if len(fact) > MOST_FACT:
        raise DecodeError(f"{path}.fact", f"longer than {MOST_FACT} characters")
    if "is" in plain:
        return Assumption(fact, equals=plain["is"])
    return Assumption(fact, at_least=decode(int, plain["at_least"], f"{path}.at_least"))


def _list(plain: dict[str, Any], key: str) -> list[Any]:
    found = plain.get(key)
    if not isinstance(found, list):
        raise DecodeError(key, "missing, or not a list")
    return found
