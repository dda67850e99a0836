"""This host or a recorded one in, PASS, WARN or FAIL for each thing that VMs with devices need out. Changes nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from launcher.report.escapes import as_json
from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse

    from launcher.host.facts import HostFacts
    from launcher.report.doctor import Check


# Codes of what only VMs with devices need: the IOMMU and VFIO, memory that is locked and mapped for DMA.
OF_DEVICES = ("E2", "E309", "E316")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="FACTS", help="examine a recorded host: see `devices --json`")
    parser.add_argument("--json", action="store_true", help="a JSON object")


def run(options: argparse.Namespace) -> int:
    from launcher.api.checkup import checkup
    from launcher.api.hosts import recorded_host, this_host
    from launcher.api.leftovers import leftovers_here

    host = recorded_host(options.host) if options.host else this_host()
    checks = checkup(host) if options.host else checkup(host, leftovers_here(host))
    (_json if options.json else _text)(host, checks)
    return 1 if any(one.level == "FAIL" for one in checks) else 0


def _text(host: HostFacts, checks: tuple[Check, ...]) -> None:
    from launcher.cli.terminal import wants_colour
    from launcher.report.doctor import doctor_closing, doctor_text
    from launcher.report.lines import columns_of

    print(visible(f"{host.name} · Linux {host.kernel}") + " · for a VM with 1 GiB of memory and one device\n")
    print(doctor_text(checks, colour=wants_colour(sys.stdout), width=columns_of(sys.stdout)))
    print(f"\n{doctor_closing(checks)}")
    failed = [one.code for one in checks if one.level == "FAIL"]
    if failed and all(code and code.startswith(OF_DEVICES) for code in failed):
        print("VMs without devices can run.")


def _json(host: HostFacts, checks: tuple[Check, ...]) -> None:
    from launcher.codec import encode
    from launcher.version import VERSION

    found = [encode(one) for one in checks]
    answer = {"format_version": "1.0", "vmlaunch": VERSION, "host": host.name, "checks": found}
    print(as_json(answer, indent=2))
