"""PEP 517 build backend: setuptools, after cffi has written _native.c from cdef.h. Also `python build.py`."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI
from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks that need no C source

HERE = Path(__file__).parent


def generate() -> None:
    """Write _native.c, only if it would change."""
    ffi = FFI()
    ffi.cdef((HERE / "cdef.h").read_text())
    ffi.set_source("launcher.native._native", '#include "native.h"')
    ffi.emit_c_code(str(HERE / "_native.c"))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    generate()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    generate()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):  # type: ignore[no-untyped-def]
    generate()
    return build_meta.build_sdist(sdist_directory, config_settings)
