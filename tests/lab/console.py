"""The serial console of a guest that boots the disk image: what it says is read, its user logs in and gives orders.

In a lab host it is also kept among the results, as it comes: it can be watched, and stays when the machine is lost.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.lab.boot import INSIDE
from tests.lab.session import here

USER, PASSWORD = "trainer", "in-the-lab"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhvd0tub3dzV2hhdFRoaXNLZXlXb3VsZE9wZW4hIQ== trainer@lab"
USER_DATA = f"""#cloud-config
users:
  - name: {USER}
    plain_text_passwd: {PASSWORD}
    lock_passwd: false
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: [{KEY}]
"""
MENU, LOGIN = "GNU GRUB", "login: "
_FORMATS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")  # what a terminal would do with it, and no text


def _place() -> Path | None:
    if here() is None:
        return None
    test = re.sub(r"\W+", "-", os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("::")[2].split(" (")[0])
    folder = Path(INSIDE)
    place = folder / f"screen-{len([*folder.glob('screen-*')])}-{test}"
    place.touch()
    return place


class Console:
    """A process that passes the console on, by its standard input and output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""  # all of it
        self._heard = 0
        self._place = _place()

    def until(self, text: str) -> str:
        """What was said since the last answer, up to this one, which may stand anywhere in a line."""
        assert self.process.stdout is not None
        while (found := self.said.find(text, self._heard)) < 0:
            came = os.read(self.process.stdout.fileno(), 65536)
            if not came:
                raise AssertionError(f"no {text!r} in {self.said[self._heard :]}{self._errors()}")
            if self._place is not None:
                with self._place.open("ab") as place:
                    place.write(came)
            self.said = _FORMATS.sub("", self.said + came.decode(errors="replace"))
        start, self._heard = self._heard, found + len(text)
        return self.said[start : self._heard]

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def log_in(self, password: str = PASSWORD) -> None:
        """From the prompt on. The shell that then takes orders echoes nothing and prompts for nothing."""
        self.until(LOGIN)
        self.type(f"{USER}\n")
        self.until("Password: ")
        self.type(f"{password}\n")
        self.until("$ ")
        self.type("stty -echo; echo in $((40 + 2)); PS1= exec sh\n")
        self.until("in 42\n")

    def order(self, command: str) -> str:
        """What the command says."""
        self.type(f"{command}; echo; echo done $((40 + 2))\n")
        return self.until("\ndone 42\n").removesuffix("\ndone 42\n").strip()

    def _errors(self) -> str:
        return self.process.stderr.read() if self.process.stderr else ""
