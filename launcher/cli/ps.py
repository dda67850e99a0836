"""State folders in, a list of VMs out. Imports nothing heavy."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

HEAD = ("NAME", "STATE", "VCPUS", "MEMORY", "SINCE/ENDED")
STATED = {"phase": str, "keeper": int, "started": str, "ended": str, "vcpus": int, "memory": int}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="also those that ended and keep their report")
    parser.add_argument("--names", action="store_true", help="only the names, for completion")
    parser.add_argument("--json", action="store_true", help="a JSON list")


def run(options: argparse.Namespace) -> int:
    found = list(_vms(everything=options.all))
    if options.json:
        print(json.dumps(found))
    elif options.names:
        print("\n".join(visible(one["name"]) for one in found), end="\n" if found else "")
    elif found:
        rows = [HEAD, *map(_row, found)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(visible(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    from launcher.values import show_size

    vcpus, memory = one.get("vcpus"), one.get("memory")
    size = "-" if memory is None else show_size(memory)
    return (one["name"], one["phase"], "-" if vcpus is None else str(vcpus), size, _since(one))


def _since(one: dict[str, Any]) -> str:
    if one["phase"] == "lost":
        return f"its keeper died; `vmlaunch down {one['name']}`"
    if end := one.get("end"):
        return f"{_local(one.get('ended'))}, {end.get('how')}, exit code {end.get('exit_code')}"
    return _local(one.get("started"))


def _local(time: str | None) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}" if time else "-"
    except (ValueError, OverflowError):
        return "-"


def _vms(*, everything: bool) -> Iterator[dict[str, Any]]:
    """What state.json says, and of those that ended how."""
    from launcher.cli.naming import state_root
    from launcher.vms.folder import all_folders

    root = state_root()
    for path in all_folders(root) if root else ():
        one = _vm(path, everything=everything)
        if one is not None:
            yield one


def _vm(path: Path, *, everything: bool) -> dict[str, Any] | None:
    """None: not asked for, or what is there is no VM's."""
    from launcher.vms.folder import REPORT, STATE, has_ended, is_one, is_up, read_json

    state = {"name": path.name} | _fitting(read_json(path / STATE), STATED)
    state["phase"] = state["phase"] or "unknown"
    up = is_up(path)
    if not up:  # its keeper has said its last word, or died without one: then `down` puts the host back
        state["phase"] = "ended" if has_ended(path) else "lost"
    ended = state["phase"] == "ended"
    if not up and (not is_one(path) or (ended and not everything)):
        return None
    if ended:
        state |= _fitting(read_json(path / REPORT), {"end": dict})
    return state


def _fitting(state: Any, kinds: dict[str, type]) -> dict[str, Any]:
    """Each of these keys; None for what is not of its kind: it may be of another version, or damaged."""
    found = state if isinstance(state, dict) else {}
    return {key: found[key] if isinstance(found.get(key), kind) else None for key, kind in kinds.items()}
