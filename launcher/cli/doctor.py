"""This host or a recorded one in, PASS, WARN or FAIL for each thing that VMs with devices need out. Changes nothing."""

from __future__ import annotations

import sys

from launcher.report.escapes import as_json
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.host.facts import HostFacts
    from launcher.report.doctor import Check


# Codes of what only VMs with devices need: the IOMMU and VFIO, memory that is locked and mapped for DMA.
OF_DEVICES = ("E2", "E309", "E316")

# What a host can be asked for: any VM, and what makes a subject of report/doctor.py one `only` for it.
PURPOSES = ("vm", "devices", "disks", "shares", "nics", "user-nics", "vsock", "uefi", "bios")
_MORE = {
    "devices": "one device",
    "disks": "disks",
    "shares": "shares",
    "nics": "NICs at a bridge or a tap",
    "user-nics": "NICs of a user network",
    "vsock": "vsock",
    "uefi": "UEFI",
    "bios": "a BIOS",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="FACTS", help="examine a recorded host: see `devices --json`")
    parser.add_argument(
        "--for", dest="wanted", action="append", default=[], metavar="WHAT", choices=PURPOSES,
        help=f"only what such VMs need, and all of it: {', '.join(PURPOSES)}; repeatable",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="a JSON object")


def run(options: argparse.Namespace) -> int:
    from launcher.api.checkup import checkup
    from launcher.api.hosts import recorded_host, this_host
    from launcher.api.leftovers import leftovers_here

    host = recorded_host(options.host) if options.host else this_host()
    checks = checkup(host, () if options.host else leftovers_here(host), options.wanted)
    if options.json:
        _json(host, checks)
    else:
        _text(host, checks, options.wanted)
    return 1 if any(one.level == "FAIL" for one in checks) else 0


def _text(host: HostFacts, checks: tuple[Check, ...], wanted: Sequence[str]) -> None:
    from launcher.cli.terminal import wants_colour
    from launcher.report.doctor import doctor_closing, doctor_text
    from launcher.report.lines import columns_of

    more = f", with {' and '.join(_MORE[one] for one in _MORE if one in wanted)}" if {*wanted} - {"vm"} else ""
    whole = more if wanted else " and one device"
    print(visible(f"{host.name} · Linux {host.kernel}") + f" · for a VM with 1 GiB of memory{whole}\n")
    print(doctor_text(checks, colour=wants_colour(sys.stdout), width=columns_of(sys.stdout)))
    print(f"\n{doctor_closing(checks)}")
    failed = [one.code for one in checks if one.level == "FAIL"]
    if failed and not wanted and all(code and code.startswith(OF_DEVICES) for code in failed):
        print("VMs without devices can run.")


def _json(host: HostFacts, checks: tuple[Check, ...]) -> None:
    from launcher.codec import encode
    from launcher.version import VERSION

    found = [encode(one) for one in checks]
    answer = {"format_version": "1.0", "vmlaunch": VERSION, "host": host.name, "checks": found}
    print(as_json(answer, indent=2))
