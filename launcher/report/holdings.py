"""What the processes of a VM hold and gave up in; rows for the report's table out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.plan.outcome import Report
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.vms.holdings import Holdings

Row = tuple[str, str]
# linux/capability.h, from 0 on
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
OURS = ("keeper", "runner", "standby")
MANY = 12  # to be named one by one


def rows(report: Report, held: Mapping[str, Holdings | None]) -> Iterator[Row]:
    """`held` by the names of the processes; None of one that has gone."""
    told = {
        "keeper": (report.keeper_confinement, report.keeper_writes),
        "runner": (report.confinement, _all_or_none(report.confinement)),
        "standby": (report.standby_confinement, _all_or_none(report.standby_confinement)),
    }
    told |= {one.name: (one.measures, one.writes) for one in report.engines}
    for name, one in held.items():
        if one is not None:
            yield from _process(name, one, *told[name])


def _all_or_none(measures: Mapping[str, str]) -> tuple[str, ...]:
    return () if measures.get("landlock") == "on" else ("/",)


def confinement(measures: Mapping[str, str]) -> str:
    without = [f"{name} ({cause})" for name, cause in measures.items() if cause != "on"]
    having = ", ".join(name for name, cause in measures.items() if cause == "on") or "by nothing"
    return f"{having}; without {', '.join(without)}" if without else having


def _process(name: str, held: Holdings, measures: Mapping[str, str], writes: tuple[str, ...]) -> Iterator[Row]:
    engine = name not in OURS
    yield "engine" if engine else name, f"{f'{name}, ' if engine else ''}process {held.pid}, {_user(held)}"
    yield "  gave up", confinement(measures)
    yield "  capabilities", _capabilities(held)
    if held.name_spaces:
        yield "  name spaces", f"{', '.join(held.name_spaces)} of its own"
    yield "  filters", _filters(held.filters)
    yield "  writes to", _writes(writes, held)
    yield "  open", _files(held.files)


def _user(held: Holdings) -> str:
    real, effective, _, files = held.uids
    if len(set(held.uids)) == 1:
        return f"uid {real}, gid {held.gids[0]}"
    return f"uid {real}, signals as uid {effective}, files as uid {files}"


def _capabilities(held: Holdings) -> str:
    """Those of a process in a user name space of its own are over what is in there."""
    if not held.no_new_privs:
        return f"{held.capabilities:#x} and those that new programs gain"
    if not held.capabilities:
        return "none"
    where = " in its user name space" if "user" in (held.name_spaces or ()) else ""
    names = [f"CAP_{name}" for n, name in enumerate(CAPABILITIES) if held.capabilities >> n & 1]
    known = len(names) == held.capabilities.bit_count() <= MANY
    return (", ".join(names) if known else f"{held.capabilities:#x}") + where


def _writes(writes: tuple[str, ...], held: Holdings) -> str:
    if writes == ("/",) and "mnt" in (held.name_spaces or ()):
        return "/ of its own mount name space, as its user"
    return ", ".join(writes) or "nothing by name"


def _filters(filters: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in filters.items())


def _files(files: Mapping[str, int] | None) -> str:
    if files is None:
        return "only root may look"
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in files.items())
