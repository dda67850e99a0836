"""This host out: its devices by IOMMU group, or with --json the facts file that `plan --host` reads."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.host.facts import HostFacts


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the facts file that `plan --host` reads")
    parser.add_argument("--redact", action="store_true", help="without the host's name and serial numbers")


def run(options: argparse.Namespace) -> int:
    from launcher.api.hosts import this_host
    from launcher.codec import encode
    from launcher.report.inventory import inventory_text
    from launcher.report.lines import width_of

    host = redacted(this_host()) if options.redact else this_host()
    text = json.dumps(encode(host), indent=1, ensure_ascii=False) if options.json else None
    print(text or inventory_text(host, width_of(sys.stdout)))
    return 0


def redacted(host: HostFacts) -> HostFacts:
    pci = (replace(one, serial=None if one.serial is None else "redacted") for one in host.pci)
    return replace(host, name="redacted", pci=tuple(pci))
