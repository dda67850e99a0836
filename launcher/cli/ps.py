"""State folders in, a list of VMs out. Imports nothing heavy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="also those that ended and keep their report")
    parser.add_argument("--names", action="store_true", help="only the names, for completion")
    parser.add_argument("--json", action="store_true", help="a JSON list")


def run(options: argparse.Namespace) -> int:
    found = list(_vms(everything=options.all))
    if options.json:
        print(json.dumps(found))
    elif options.names:
        print("\n".join(one["name"] for one in found), end="\n" if found else "")
    elif found:
        width = max(len(one["name"]) for one in found)
        for one in found:
            print(f"{one['name']:{width}}  {one['phase']:9} keeper {one['keeper']}")
    return 0


def _vms(*, everything: bool) -> Iterator[dict[str, Any]]:
    from launcher.cli.naming import state_root
    from launcher.vms.folder import STATE, all_folders, is_up, read_json

    root = state_root()
    for path in all_folders(root) if root else ():
        state = read_json(path / STATE) or {"name": path.name, "phase": "unknown", "keeper": None}
        up = is_up(path)
        if not up and state["phase"] != "ended":
            state["phase"] = "lost"  # its keeper died without a word; `down` puts the host back
        if up or everything or state["phase"] == "lost":
            yield state
