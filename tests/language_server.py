"""A spec and a place in it in, what yaml-language-server says there out: asked as an editor asks it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

import pytest

PACKAGE = "yaml-language-server"
VERSION = "2.0.0"
PATIENCE = 100  # seconds for npm
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmlaunch-editors" / f"{PACKAGE}-{VERSION}"
PROGRAM = CACHE / "node_modules" / PACKAGE / "bin" / PACKAGE
SETTINGS = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}
ABLE = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    },
    "workspace": {"configuration": True},
}


def installed() -> Path:
    """The program, fetched on first use; where that cannot be, the test is skipped and says why."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not there, which yaml-language-server needs")
    if not PROGRAM.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=CACHE.parent))
        try:
            _install(folder)
            with suppress(OSError):  # another run was faster
                folder.rename(CACHE)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return PROGRAM


def _install(folder: Path) -> None:
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder))
    words = ["npm", "install", *options, f"{PACKAGE}@{VERSION}"]
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        why = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[:1]
        pytest.skip(f"npm cannot install {PACKAGE} {VERSION}: {' '.join(why)}")


class Server:
    """One that has been started; each spec is a document of its own."""

    def __init__(self, to: IO[bytes], of: IO[bytes], schema: Path) -> None:
        self.to, self.of, self.schema, self.numbers = to, of, schema, count(1)
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": ABLE})
        self._tell("initialized", {})
        self._until(lambda said: said.get("method") == "workspace/configuration")

    def diagnostics(self, text: str) -> list[dict[str, Any]]:
        document = self._open(text)
        said = self._until(lambda one: one.get("params", {}).get("uri") == document and "diagnostics" in one["params"])
        found: list[dict[str, Any]] = said["params"]["diagnostics"]
        return found

    def at(self, what: str, text: str) -> Any:
        """`what` is completion or hover; a | in the text is where the cursor is."""
        before, _, after = text.partition("|")
        document = self._open(before + after)
        place = {"line": before.count("\n") + 1, "character": len(before.rpartition("\n")[2])}
        return self._ask(f"textDocument/{what}", {"textDocument": {"uri": document}, "position": place})

    def _open(self, text: str) -> str:
        """With the line that the README tells to write."""
        uri = f"file:///specs/{next(self.numbers)}.yaml"
        text = f"# yaml-language-server: $schema={self.schema.as_uri()}\n{text}"
        self._tell(
            "textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}}
        )
        return uri

    def _ask(self, method: str, params: object) -> Any:
        number = next(self.numbers)
        self._send({"id": number, "method": method, "params": params})
        return self._until(lambda said: said.get("id") == number and "method" not in said)["result"]

    def _tell(self, method: str, params: object) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.to.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.to.flush()

    def _until(self, is_meant: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What the server asks in between is answered."""
        while True:
            said = self._read()
            if said.get("method") == "workspace/configuration":
                asked = said["params"]["items"]
                self._send(
                    {"id": said["id"], "result": [SETTINGS if one["section"] == "yaml" else {} for one in asked]}
                )
            elif "method" in said and "id" in said:
                self._send({"id": said["id"], "result": None})
            if is_meant(said):
                return said

    def _read(self) -> dict[str, Any]:
        lines = iter(self.of.readline, b"\r\n")
        head = dict(line.split(b":", 1) for line in lines if line or _ended())
        found: dict[str, Any] = json.loads(self.of.read(int(head[b"Content-Length"])))
        return found


def _ended() -> bool:
    raise AssertionError("yaml-language-server has ended")


@contextmanager
def serving(schema: Path) -> Iterator[Server]:
    words = ["node", str(installed()), "--stdio"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(process.stdin, process.stdout, schema)
        finally:
            process.kill()
