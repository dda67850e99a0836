"""`vmlaunch init`: a commented spec for this host, in a new file."""

from __future__ import annotations

import os
import sys

from launcher.errors import Diagnostic, WrongUsage
from launcher.report.frame import visible
from launcher.report.lines import fitted
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

NAME = "vm"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default=NAME, metavar="VM", help=f"the VM's name (default: {NAME})")
    parser.add_argument("-o", "--output", metavar="SPEC", help="the new file, or - for stdout (default: VM.yaml)")
    parser.add_argument("--host", metavar="FACTS", help="for a recorded host")


def run(options: argparse.Namespace) -> int:
    from launcher.api.beginning import begun_spec
    from launcher.api.hosts import recorded_host, this_host
    from launcher.api.saving import write_new

    _check_name(options.name)
    path = options.output or f"{options.name}.yaml"
    if options.host:
        text = begun_spec(options.name, recorded_host(options.host), root=None)
    else:
        text = begun_spec(options.name, this_host())
    if path == "-":
        print(text, end="")
        return 0
    write_new(path, text)
    told = f"{path}: a first spec; edit it, then `vmlaunch plan {path}` and `vmlaunch up {path}`"
    print(fitted(visible(told), sys.stderr), file=sys.stderr)
    return 0


def _check_name(name: str) -> None:
    from launcher.names import is_name
    from launcher.spec.scalars import suggested_name

    folder, stem = os.path.split(name.removesuffix(".yml").removesuffix(".yaml"))
    if is_name(stem) and stem != name:
        file = f" -o {name}" if folder or name != f"{stem}.yaml" else ""
        help_: tuple[str, ...] = (f"write `vmlaunch init{file} {stem}`, which makes {name}",)
        raise WrongUsage(Diagnostic("E117", f"a file, and not the name of a VM: {name}", help=help_))
    if not is_name(name):
        near, rule = suggested_name(name), "names are 1 to 63 of a-z, 0-9 and -, and not - first"
        help_ = (f"write `vmlaunch init {near}`", rule) if near else (rule,)
        raise WrongUsage(Diagnostic("E117", f"not a name for a VM: {name}", help=help_))
