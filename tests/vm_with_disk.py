"""A VM whose guest uses its disk until it is stopped, told by its own report: its engine serves by then."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Cli

Payload = Callable[[str], Path]


def begun(cli: Cli, payload: Payload, image: Path, **more: Any) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    boot = {"kernel": str(payload("blocks")), "cmdline": "midway 4000000000"}
    up = cli.start("up", cli.spec(Path("replaced"), boot=boot, disks={"root": str(image)}, **more))
    while True:
        assert up.poll() is None, up.communicate()
        told = cli.run("inspect", cli.name, "--json")
        report = (told.json()["report"] or {}) if told.code == 0 else {}
        if report.get("phase") == "running" and report.get("engines"):
            return up, report
