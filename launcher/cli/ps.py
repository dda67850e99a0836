"""State folders in, a list of VMs out. Imports nothing heavy."""

from __future__ import annotations

import sys
from time import gmtime, localtime, strftime

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
        _draw([HEAD, *map(_row, found)])
    else:
        print(_none(ended=options.all), file=sys.stderr)
    return 0


def _draw(rows: list[tuple[str, ...]]) -> None:
    from launcher.report.frame import visible

    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(visible(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _none(*, ended: bool) -> str:
    return (
        "no VM is up, and none has left a report"
        if ended
        else "no VM is up; `vmlaunch ps -a` also lists those that ended"
    )


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    from launcher.sizes import show_size

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
        return strftime("%Y-%m-%d %H:%M:%S", localtime(_seconds(time))) if time else "-"
    except (ValueError, OverflowError):
        return "-"


def _seconds(time: str) -> float:
    """Since 1970. What keepers write is read without datetime, a tenth of what `ps` may take."""
    parts = time.removesuffix("+00:00").replace("T", "-").replace(":", "-").split("-")
    if len(parts) == len(("year", "month", "day", "hour", "minute", "second")) and all(map(str.isdecimal, parts)):
        year, month, day, hour, minute, second = map(int, parts)
        months, years = (month - 3) % 12, year - (month < 3)  # from March on: February has the days that are left
        days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 719_469
        seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
        if strftime("%Y-%m-%dT%H:%M:%S+00:00", gmtime(seconds)) == time:
            return seconds
    from datetime import datetime

    return datetime.fromisoformat(time).timestamp()
