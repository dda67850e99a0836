"""`./dev lab ...`: the command line of the lab. (`./dev lab` alone runs the tests: that is pytest.)"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.lab import kernel, pieces
from tests.lab.boot import Job, run
from tests.lab.capture import capture
from tests.lab.hosts import HOSTS, TABLE, Host
from tests.lab.packages import Missing, say
from tests.lab.shell import shell


def main(arguments: list[str]) -> int:
    words, command = _split(arguments)
    asked = _parser().parse_args(words)
    try:
        status: int = asked.act(asked, command)
    except Missing as why:
        say(str(why))
        return 1
    return status


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What is before `--`, what is behind it."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev lab", description="Virtual hosts with an IOMMU and PCI devices.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, act, about in (
        ("hosts", _hosts, "list them"),
        ("run", _run, "run a command in one: run [HOST] -- COMMAND ..."),
        ("shell", _shell, "a shell in one, on this terminal"),
        ("capture", _capture, "write tests/hosts/lab-HOST.json anew: of all hosts, or of those named"),
        ("kernel", _kernel, "build a kernel of the lab's own: own, or compat, whose /dev/vfio/vfio is iommufd's"),
        ("update", _update, "fetch the distribution's kernel and busybox anew"),
    ):
        verb = verbs.add_parser(name, help=about, description=about)
        verb.set_defaults(act=act)
        if name in ("run", "shell"):
            verb.add_argument("host", nargs="?", default="zoo", choices=HOSTS, metavar="HOST")
        if name == "capture":
            verb.add_argument("hosts", nargs="*", default=list(HOSTS), metavar="HOST")
        if name == "run":
            verb.add_argument("--seconds", type=int, default=600, help="the time that the command may take")
            verb.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder, to keep console and files in")
        if name == "kernel":
            verb.add_argument("which", nargs="?", default="own", choices=pieces.RECIPES, metavar="WHICH")
            verb.add_argument("--check", action="store_true", help="stop when it is configured")
    return parser


def _hosts(asked: argparse.Namespace, command: list[str]) -> int:
    for host in TABLE:
        print(f"{host.name:17} {'*' if host.every_commit else ' '} {host.about}{_kernel_of(host)}")
    print("* its tests belong to every commit; the others to --long")
    return 0


def _kernel_of(host: Host) -> str:
    return f" [kernel: {host.boots.value}]" if host.boots is not type(host.boots).ANY else ""


def _run(asked: argparse.Namespace, command: list[str]) -> int:
    if not command:
        raise Missing("what to run? ./dev lab run [HOST] -- COMMAND ...")
    with tempfile.TemporaryDirectory(prefix="vmlaunch-lab-") as folder:
        job = Job(tuple(command), Path.cwd(), asked.seconds)
        work = asked.keep or Path(folder)
        ended = run(HOSTS[asked.host], job, work, sys.stdout.buffer, sys.stderr.buffer)
    if ended.lost:
        say(ended.lost)
    return ended.status


def _shell(asked: argparse.Namespace, command: list[str]) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Missing("a shell needs a terminal; for one command: ./dev lab run [HOST] -- COMMAND ...")
    with tempfile.TemporaryDirectory(prefix="vmlaunch-lab-") as folder:
        return shell(HOSTS[asked.host], Path.cwd(), Path(folder))


def _capture(asked: argparse.Namespace, command: list[str]) -> int:
    for name in asked.hosts:
        if name not in HOSTS:
            raise Missing(f"there is no lab host {name}: see ./dev lab hosts")
        say(f"wrote {capture(HOSTS[name])}")
    return 0


def _kernel(asked: argparse.Namespace, command: list[str]) -> int:
    recipe = pieces.RECIPES[asked.which]
    if asked.check:
        kernel.configured(recipe)
        return 0
    say(f"built {kernel.build(recipe)}")
    return 0


def _update(asked: argparse.Namespace, command: list[str]) -> int:
    pieces.forget()
    pieces.busybox()
    say(f"the kernel is {pieces.distribution_kernel().image.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
