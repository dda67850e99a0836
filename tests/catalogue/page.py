"""The catalogue in, docs/failures.md out: of each failure its codes, where it was seen, and what a plan says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.catalogue.table import IDS, ROWS, WITHOUT_RULE

if TYPE_CHECKING:
    from tests.catalogue.row import Row

_INTRODUCTION = """\
# Failures of passthrough

Made from the catalogue by `python -m tests.generate`.

All known ways in which giving a PCI device to a VM goes wrong, or what the VM is started with, or its disks, networks
and shares, {all} of them: {ruled} are foretold by a plan, {others} are not a plan's to foretell, and the second table
says why. Each code is explained by `vmlaunch explain CODE`.

Of each failure there is a host that has it and one that almost has it, a near miss, of which the code must not be said.
The links lead to the words of both. Where a failure was seen:

- **recorded on NAME**: on this [lab](lab.md) host, whose facts are in `tests/hosts/lab-NAME.json` ({recorded});
- **made on NAME**: on this lab host, by commands (`tests/lab/failures.py`); the facts shown are made by hand ({made});
- **by hand**: no lab host has the hardware; the facts are what the kernel would show ({by_hand}).
"""

_GOLDEN = "../tests/catalogue/golden"


def failures_page() -> str:
    ruled = {name: [row for row in ROWS if row.id == name] for name in IDS if name not in WITHOUT_RULE}
    seen = [_seen(rows) for rows in ruled.values()]
    counts = {"recorded": "recorded", "made": "made", "by_hand": "by hand"}
    numbers = {key: sum(one.startswith(word) for one in seen) for key, word in counts.items()}
    head = _INTRODUCTION.format(all=len(IDS), ruled=len(ruled), others=len(WITHOUT_RULE), **numbers)
    lines = [f"| {name} | {_codes(rows)} | {_seen(rows)} | {_near(rows)} |" for name, rows in ruled.items()]
    reasons = [f"| {name} | {WITHOUT_RULE[name]} |" for name in IDS if name in WITHOUT_RULE]
    tables = [
        *("## With a code", "", "| failure | what a plan says | seen | near misses |", "|---|---|---|---|", *lines),
        *("", "## Without one", "", "| failure | why |", "|---|---|", *reasons),
    ]
    return "\n".join([head, *tables, ""])


def _seen(rows: list[Row]) -> str:
    """The best of what its rows have."""
    recorded = [f"recorded on {row.captured}" for row in rows if row.captured]
    made = [f"made on {row.made_in}" for row in rows if row.made_in]
    return next(iter([*recorded, *made]), "by hand")


def _codes(rows: list[Row]) -> str:
    return ", ".join(
        f"[{row.code}{f' {row.variant}' if row.variant else ''}]({_GOLDEN}/{row.name}.txt)" for row in rows
    )


def _near(rows: list[Row]) -> str:
    return ", ".join(f"[{row.variant or 'near'}]({_GOLDEN}/{row.name}.near.txt)" for row in rows)
