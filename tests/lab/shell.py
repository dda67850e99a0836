"""(Host, terminal) -> a shell in a lab host, on the terminal; its exit status."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

from tests.lab.boot import preparation, qemu_command, start, verdict, with_environment
from tests.lab.hosts import Host

TERMINAL = ("-chardev", "stdio,id=terminal,mux=on,signal=off", "-mon", "chardev=terminal")


def shell(host: Host, folder: Path, work: Path) -> int:
    (work / "lab").mkdir(parents=True)
    (work / "lab" / "command").write_text(_script(host, folder))
    command = [*qemu_command(host, work, "chardev:terminal"), *TERMINAL]
    print(f"lab host {host.name}: {host.about}; ^D ends it, ^A x ends it by force", flush=True)
    with _terminal_as_it_was(), (work / "qemu").open("wb") as said:
        machine = start(command, said, work, terminal=True)
        try:
            machine.wait()
        finally:
            machine.kill()
            machine.wait()
    ended = verdict(work, "", 0)
    if ended.lost:
        print(ended.lost, file=sys.stderr)
    return ended.status


@contextlib.contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    was = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, was)


def _script(host: Host, folder: Path) -> str:
    columns, lines = os.get_terminal_size()
    more = {"TERM": os.environ.get("TERM", "dumb"), "PS1": rf"{host.name}:\w\$ "}
    return (
        f"cd {shlex.quote(str(folder))} || exit\n"
        "exec </dev/ttyS0 >/dev/ttyS0 2>&1\n"
        f"{preparation(host)}"
        f"stty sane rows {lines} cols {columns}\n"
        f"exec {with_environment(more, 'setsid', '--ctty', '--wait', 'bash', '--norc', '-i')}\n"
    )
