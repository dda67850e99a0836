"""What the processes of a VM hold and gave up in; rows for the report's table out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.plan.outcome import Report
from launcher.vms.holdings import Holdings

Row = tuple[str, str]
CAP_NET_ADMIN = 12  # linux/capability.h


def rows(report: Report, held: Mapping[str, Holdings | None]) -> Iterator[Row]:
    """`held` by the names of the processes; None of one that has gone."""
    measures = {
        "keeper": report.keeper_confinement,
        "runner": report.confinement,
        "standby": report.standby_confinement,
    }
    for name, one in held.items():
        if one is not None:
            yield from _process(name, one, measures[name], _writes(name, report, measures[name]))


def _writes(name: str, report: Report, measures: Mapping[str, str]) -> tuple[str, ...]:
    if name == "keeper":
        return report.keeper_writes
    return () if measures.get("landlock") == "on" else ("/",)


def confinement(measures: Mapping[str, str]) -> str:
    without = [f"{name} ({cause})" for name, cause in measures.items() if cause != "on"]
    having = ", ".join(name for name, cause in measures.items() if cause == "on") or "by nothing"
    return f"{having}; without {', '.join(without)}" if without else having


def _process(name: str, held: Holdings, measures: Mapping[str, str], writes: tuple[str, ...]) -> Iterator[Row]:
    yield name, f"process {held.pid}, {_user(held)}"
    yield "  gave up", confinement(measures)
    capabilities = f"{held.capabilities:#x} and those that new programs gain" if not held.no_new_privs else ""
    yield "  capabilities", capabilities or _capabilities(held.capabilities)
    yield "  filters", _filters(held.filters)
    yield "  writes to", ", ".join(writes) or "nothing by name"
    yield "  open", _files(held.files)


def _user(held: Holdings) -> str:
    real, effective, _, files = held.uids
    if len(set(held.uids)) == 1:
        return f"uid {real}, gid {held.gids[0]}"
    return f"uid {real}, signals as uid {effective}, files as uid {files}"


def _capabilities(held: int) -> str:
    if held == 1 << CAP_NET_ADMIN:
        return "CAP_NET_ADMIN"
    return f"{held:#x}" if held else "none"


def _filters(filters: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in filters.items())


def _files(files: Mapping[str, int] | None) -> str:
    if files is None:
        return "only root may look"
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in files.items())
