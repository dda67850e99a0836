"""`vmlaunch import`: a libvirt domain or a QEMU command line in, a spec out, on stdout or in a new file."""

from __future__ import annotations

import os
import sys

from launcher.cli.terminal import drawn
from launcher.errors import Refused
from launcher.names import is_name
from launcher.record import replace
from launcher.report.escapes import as_json
from launcher.report.frame import visible
from launcher.report.lines import count
from launcher.typed import TYPE_CHECKING
from launcher.version import VERSION

if TYPE_CHECKING:
    import argparse

    from launcher.api.importing import Imported


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="XML of `virsh dumpxml`, or a QEMU command line; - for stdin")
    parser.add_argument("-o", "--output", metavar="SPEC", help="the new file, or - for stdout (default)")
    parser.add_argument("--json", action="store_true", help="the spec, what is not in it, and why, as JSON")


def run(options: argparse.Namespace) -> int:
    from launcher.cli.given import without_plugins

    without_plugins()
    if options.output == "-":
        options.output = None
    found = _imported(options)
    if options.output:
        from launcher.api.saving import write_new

        write_new(options.output, found.text)
    if options.json:
        print(as_json(_plain(found, options.file), indent=2))
    else:
        _show(found, options)
    return 1 if found.diagnostics else 0


def _imported(options: argparse.Namespace) -> Imported:
    """A file that is not there may be meant as the name of a domain, as with `virsh`."""
    from launcher.api.importing import import_machine

    try:
        return import_machine(options.file, options.output or "")
    except Refused as error:
        (found, *more) = error.diagnostics
        if found.code != "E015" or more:
            raise
        raise Refused(replace(found, help=(_way_out(options.file),))) from None


def _way_out(path: str) -> str:
    if is_name(path) and not os.path.lexists(path):
        return f"correct the path; or for a domain of that name: `virsh dumpxml {path} | vmlaunch import -`"
    return "name the file that `virsh dumpxml NAME` has printed, or one with a QEMU command line"


def _show(found: Imported, options: argparse.Namespace) -> None:
    name = options.output or f"{found.name}.yaml"
    if not options.output:
        print(found.text, end="")
    if found.diagnostics:
        print(drawn(found.diagnostics, {name: found.text}, sys.stderr) + "\n", file=sys.stderr)
    print(visible(_summed(found, options)), file=sys.stderr)


def _summed(found: Imported, options: argparse.Namespace) -> str:
    lost = sum(one.lost for one in found.notes)
    told = f"; {count(lost, 'comment')} {'says' if lost == 1 else 'say'} what is not in it, and why" if lost else ""
    valid = "not valid yet" if found.diagnostics else "valid"
    whence, spec = (
        "stdin" if options.file == "-" else options.file,
        " ".join(filter(None, ["the spec", options.output])),
    )
    return f"{whence}: {found.source}; {spec} is {valid}{told}"


def _plain(found: Imported, file: str) -> dict[str, object]:
    return {
        "format_version": "1.0",
        "vmlaunch": VERSION,
        "file": file,
        "source": found.source,
        "name": found.name,
        "valid": not found.diagnostics,
        "spec": found.text,
        "notes": [
            {
                "what": one.what,
                "why": one.why,
                "line": one.line,
                "beside": ".".join(one.beside) or None,
                "lost": one.lost,
            }
            for one in found.notes
        ],
        "diagnostics": [one.as_json() for one in found.diagnostics],
    }
