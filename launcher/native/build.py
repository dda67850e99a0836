"""PEP 517 build backend: floor.h and cdef.h in, cffi's _native.c out, then setuptools. Also `python build.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cffi import FFI
from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401 - the hooks that need no C source
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

HERE = Path(__file__).parent


def generate() -> None:
    """Write _native.c, only if it would change."""
    ffi = FFI()
    for declarations in ("floor.h", "cdef.h"):
        ffi.cdef((HERE / declarations).read_text())
    ffi.set_source("launcher.native._native", '#include "native.h"')
    ffi.emit_c_code(str(HERE / "_native.c"))


def build_wheel(*arguments: Any, **named: Any) -> str:
    generate()
    return build_meta.build_wheel(*arguments, **named)


def build_editable(*arguments: Any, **named: Any) -> str:
    generate()
    return build_meta.build_editable(*arguments, **named)


def build_sdist(*arguments: Any, **named: Any) -> str:
    generate()
    return build_meta.build_sdist(*arguments, **named)
