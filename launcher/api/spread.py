"""Work that falls into parts in, what processes make of it out, as it comes: one for each CPU that we may use."""

from __future__ import annotations

import gc
import os
import pickle
import selectors
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from launcher.api.child import Child, fork
from launcher.errors import Diagnostic, LauncherError, Refused
from launcher.signals import signal
from launcher.typed import Any, TypeVar

T = TypeVar("T")
Work = Callable[[int, int], Iterator[T]]  # (which part, of how many) -> its results

MOST = 8  # more of them would wait for the disk
_HEAD = 4  # bytes that say how long a result is
_PIECE = 1 << 16
_FEWER = ("`ulimit -n -u` shows what limits files and processes; on one CPU there is one: `taskset -c 0 vmlaunch ...`",)


def cpus() -> int:
    return min(len(os.sched_getaffinity(0)), MOST)


def spread(work: Work[T], parts: int) -> Iterator[T]:
    """In no order. A LauncherError of one part is raised here. Call it before there are threads."""
    if parts == 1:
        yield from work(0, 1)
        return
    children: list[Child] = []
    try:
        for part in range(parts):
            try:
                children.append(fork(partial(_do, work, part, parts), children))
            except OSError as error:
                raise Refused(Diagnostic("E575", f"failed to begin a process: {error.strerror}", help=_FEWER)) from None
        yield from _collect([one.reading for one in children])
    finally:
        for one in children:
            os.close(one.reading)
            one.kill()


def _do(work: Work[Any], part: int, parts: int, writing: int) -> int:
    """Nothing of what the parent would do at its end is done here. Who interrupts the parent ends this one, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.freeze()
    with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:  # who asked may have gone
        for answer in _answers(work, part, parts):
            raw = pickle.dumps(answer)
            pipe.write(len(raw).to_bytes(_HEAD, "little") + raw)
    return 0


def _answers(work: Work[T], part: int, parts: int) -> Iterator[tuple[str, Any]]:
    """What ends it is told, too: a bug of ours is one of the process that asked."""
    try:
        yield from (("one", one) for one in work(part, parts))
    except LauncherError as error:
        yield "error", (type(error), error.diagnostics)
    except Exception:
        from traceback import format_exc

        yield "bug", format_exc()
    else:
        yield "end", None


def _collect(pipes: list[int]) -> Iterator[Any]:
    waiting = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as ready:
        for pipe in pipes:
            ready.register(pipe, selectors.EVENT_READ)
        while waiting:
            for key, _ in ready.select():
                for kind, answer in _heard(key.fd, waiting[key.fd]):
                    if kind == "error":
                        raise answer[0](*answer[1])
                    if kind == "bug":
                        raise RuntimeError(f"in a process that judged hosts:\n{answer}")
                    if kind == "end":
                        ready.unregister(key.fd)
                        del waiting[key.fd]
                    else:
                        yield answer


def _heard(pipe: int, buffer: bytearray) -> Iterator[tuple[str, Any]]:
    """What is whole by now."""
    piece = os.read(pipe, _PIECE)
    if not piece:
        fact = "a process that judged hosts was killed"
        raise Refused(Diagnostic("E575", fact, help=("`dmesg` says whether memory was short",)))
    buffer += piece
    while len(buffer) >= _HEAD and len(buffer) >= (whole := _HEAD + int.from_bytes(buffer[:_HEAD], "little")):
        answer = pickle.loads(buffer[_HEAD:whole])
        del buffer[:whole]
        yield answer
