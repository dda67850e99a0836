"""PEP 517 build backend: the checkout in; wheel or sdist out. Before setuptools it makes _native.c."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator
from gzip import GzipFile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn


def _refuse(what: str) -> NoReturn:
    """What pip shows of a process that ends so is the sentence, and no traceback."""
    sys.exit(
        f"vmlaunch is built with setuptools 77 and cffi 1.17, or later ones; here is {what}.\n"
        "Leave out --no-build-isolation, or: pip install 'setuptools>=77' 'cffi>=1.17'"
    )


try:
    import cffi
    import setuptools
    from setuptools import build_meta
    from setuptools.build_meta import (  # noqa: F401 - the hooks that make nothing of ours
        get_requires_for_build_editable,
        get_requires_for_build_sdist,
        get_requires_for_build_wheel,
        prepare_metadata_for_build_editable,
        prepare_metadata_for_build_wheel,
    )
except ImportError as missing:
    _refuse(f"no {missing.name}")
if int(setuptools.__version__.split(".")[0]) < 77:  # it does not know what `license` is, and says so by a schema
    _refuse(f"setuptools {setuptools.__version__}")
if cffi.__version_info__ < (1, 17):
    _refuse(f"cffi {cffi.__version__}")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What there is in a checkout, without what is made there.
TREE = (
    *(".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "dev", "docs", "examples"),
    *("launcher", "pyproject.toml", "schemas", "tests"),
)
MADE = ("__pycache__", ".hypothesis", "_native.c", "performance.json.partial")
ENDINGS_OF_MADE = (".pyc", ".so", ".o", ".egg-info")


def build_wheel(*arguments: Any, **named: Any) -> str:
    generate()
    return build_meta.build_wheel(*arguments, **named)


def build_editable(*arguments: Any, **named: Any) -> str:
    generate()
    return build_meta.build_editable(*arguments, **named)


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """All of the checkout, so that it can be tested; setuptools would take what a wheel is made of."""
    metadata = _metadata(config_settings)
    version = metadata.partition(b"\nVersion: ")[2].partition(b"\n")[0].decode()
    top = f"vmlaunch-{version}"
    with (
        open(Path(sdist_directory, f"{top}.tar.gz"), "wb") as file,
        GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in tree():
            _add(archive, archive.gettarinfo(ROOT / path, f"{top}/{path}"), ROOT / path)
        about = tarfile.TarInfo(f"{top}/PKG-INFO")
        about.size = len(metadata)
        archive.addfile(about, BytesIO(metadata))
    return f"{top}.tar.gz"


def generate() -> None:
    """_native.c, only if it would change."""
    ffi = cffi.FFI()
    for declarations in ("floor.h", "cdef.h"):
        ffi.cdef((HERE / declarations).read_text())
    ffi.set_source("launcher.native._native", '#include "native.h"')
    ffi.emit_c_code(str(HERE / "_native.c"))


def tree() -> Iterator[str]:
    """The files of a checkout, in order."""
    for name in TREE:
        path = ROOT / name
        found = path.rglob("*") if path.is_dir() else [path]
        files = (one.relative_to(ROOT) for one in sorted(found) if one.is_symlink() or one.is_file())
        yield from (str(one) for one in files if not any(map(_is_made, one.parts)))


def _is_made(name: str) -> bool:
    return name in MADE or name.endswith(ENDINGS_OF_MADE)


def _metadata(config_settings: Any) -> bytes:
    with TemporaryDirectory() as folder:
        name = prepare_metadata_for_build_wheel(folder, config_settings)
        return Path(folder, name, "METADATA").read_bytes()


def _newest(time: float) -> int:
    """Of what is built twice to be the same, the time is given."""
    return min(int(time), int(os.environ.get("SOURCE_DATE_EPOCH", sys.maxsize)))


def _add(archive: tarfile.TarFile, about: tarfile.TarInfo, path: Path) -> None:
    """Whose it was here, and what others might do with it, is nothing to those who unpack it."""
    about.uid = about.gid = 0
    about.uname = about.gname = ""
    about.mode = 0o755 if about.mode & 0o100 else 0o644
    about.mtime = _newest(about.mtime)
    if not about.isreg():
        archive.addfile(about)
        return
    with open(path, "rb") as file:
        archive.addfile(about, file)
