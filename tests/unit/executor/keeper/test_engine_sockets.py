"""Sockets of other people's engines that nobody serves, and the words of an engine about what it has open."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.executor.keeper import engine_sockets
from launcher.executor.keeper.last_words import said_by


def test_a_socket_where_others_wait_already_is_told_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "engine.sock")
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(path)
        listening.listen(0)
        status = Path(path).stat()
        identity = f"{status.st_dev}:{status.st_ino}"
        stack.enter_context(closing(engine_sockets.connect(path, identity)))  # one waits
        with pytest.raises(OSError, match="which takes nobody") as failed:
            engine_sockets.connect(path, identity)
        assert failed.value.errno == errno.EAGAIN


def test_a_descriptor_that_begins_as_another_one_is_not_taken_for_it() -> None:
    names = ((6, "/srv/a"), (61, "/srv/b"))
    engine: Any = SimpleNamespace(
        listen=lambda: b"/proc/self/fd/61: no\n/proc/self/fd/6/.: no\n/proc/self/fd/612: no\n",
        order=SimpleNamespace(names=names),
    )
    assert said_by(engine) == ("/srv/b: no", "/srv/a: no", "/proc/self/fd/612: no")
