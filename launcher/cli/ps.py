"""State folders in, a list of VMs out. Imports nothing heavy."""

from __future__ import annotations

import sys

from launcher.report.frame import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

SWITCHES = {"-a": "all", "--all": "all", "--names": "names", "--json": "json"}
HEAD = ("NAME", "STATE", "VCPUS", "MEMORY", "SINCE/ENDED")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="also those that ended and keep their report")
    parser.add_argument("--names", action="store_true", help="only the names, for completion")
    parser.add_argument("--json", action="store_true", help="a JSON list")


def at_a_glance(words: Sequence[str]) -> dict[str, object] | None:
    if not SWITCHES.keys() >= set(words):
        return None
    return {name: name in {SWITCHES[word] for word in words} for name in SWITCHES.values()}


def run(options: argparse.Namespace) -> int:
    from launcher.api.folders import all_vms, names_of_vms

    if options.names and not options.json:
        for name in names_of_vms(ended=options.all):
            print(name)
        return 0
    found = list(all_vms(ended=options.all))
    if options.json:
        import json

        print(json.dumps(found))
    elif found:
        rows = [HEAD, *map(_row, found)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(visible(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    else:
        print(_none(ended=options.all), file=sys.stderr)
    return 0


def _none(*, ended: bool) -> str:
    return (
        "no VM is up, and none has left a report"
        if ended
        else "no VM is up; `vmlaunch ps -a` also lists those that ended"
    )


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
    from datetime import datetime

    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}" if time else "-"
    except (ValueError, OverflowError):
        return "-"
