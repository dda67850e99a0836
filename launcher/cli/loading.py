"""The name of a module of ours in, its compiled code out: found and read in four calls where Python makes thirteen.

A start reads two hundred modules. Only what is certain is taken: what was compiled by this Python in the usual place,
of a source of the same time and size. All else is left to Python, which also compiles what is new.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from marshal import loads
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

OURS = f"{__name__.partition('.')[0]}."
HEAD = 16  # bytes of a compiled file before its code: a magic number, flags, time and size of its source (PEP 552)
MOST = 1 << 16  # bytes of one; a larger one is left to Python
WORD = (1 << 32) - 1


class _Module(ModuleType):
    """One that is asked as any object is. Python 3.11 words an AttributeError, and drops it, whenever a module is asked
    for what it may not have: for `__path__` by each `from`, which was a fifth of a start. So does no later Python.
    """

    __slots__ = ()
    __getattribute__ = object.__getattribute__


QUICK = sys.version_info < (3, 12)
ASKED = ("__future__", "_collections_abc", "contextlib", "functools")  # by `from`, in most of our modules


class _Loader(SourceFileLoader):
    """That of Python, for whoever asks it for more than the code."""

    def __init__(self, name: str, source: str, code: CodeType) -> None:
        super().__init__(name, source)
        self._code: CodeType | None = code

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return _Module(spec.name) if QUICK else None

    def get_code(self, fullname: str) -> CodeType | None:
        """It is wanted once."""
        code, self._code = self._code, None
        return code or super().get_code(fullname)


class Finder:
    """For sys.meta_path."""

    def __init__(self, magic: bytes, ending: str) -> None:
        self._start, self._ending = magic + bytes(4), ending

    def find_spec(self, name: str, path: Sequence[str] | None = None, *_: object) -> ModuleSpec | None:
        if path is None or not name.startswith(OURS):
            return None
        place, last = path[0], name.rpartition(".")[2]
        return self._module(name, place, last) or self._module(name, f"{place}/{last}", "__init__")

    def _module(self, name: str, folder: str, last: str) -> ModuleSpec | None:
        source, cached = f"{folder}/{last}.py", f"{folder}/__pycache__/{last}{self._ending}"
        try:
            status, whole = os.stat(source), _read(cached)
        except OSError:
            return None
        time_and_size = (status.st_size & WORD) << 32 | int(status.st_mtime) & WORD
        if len(whole) == MOST or whole[:HEAD] != self._start + time_and_size.to_bytes(8, "little"):
            return None
        try:
            code = loads(memoryview(whole)[HEAD:])
        except (EOFError, ValueError, TypeError):  # cut off, or damaged; a read may give less than there is
            return None
        if getattr(code, "co_filename", None) != source:  # compiled elsewhere
            return None
        spec = ModuleSpec(name, _Loader(name, source, code), origin=source, is_package=last == "__init__")
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
        spec.has_location, spec.cached = True, cached
        return spec


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, MOST)
    finally:
        os.close(descriptor)


def install() -> None:
    """For this process. Nothing is done where compiled files are kept in another way."""
    from importlib.util import MAGIC_NUMBER

    tag = sys.implementation.cache_tag
    if tag is not None and sys.pycache_prefix is None and not sys.flags.optimize:
        sys.meta_path.insert(0, Finder(MAGIC_NUMBER, f".{tag}.pyc"))
        for module in [sys.modules[name] for name in ASKED if QUICK and name in sys.modules]:
            module.__class__ = _Module
