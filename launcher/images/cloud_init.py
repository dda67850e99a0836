"""Paths of cloud-init's files in; what is known of each out. Reads regular files of a bounded size only."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from launcher.digests import sha256
from launcher.images.boot_files import SeedText
from launcher.images.opening import looked_at
from launcher.values import MIB, Missing

LARGEST = MIB
_MOST_YAML = 128 << 10  # what is longer is a script or an archive, and takes long to parse
# What else cloud-init takes for user-data than YAML (its docs/explanation/format.rst).
# It passes over white space before these words, and takes them in capitals, too (its handlers/__init__.py).
_KNOWN = (b"#!", b"#include", b"#cloud-boothook", b"#part-handler", b"## template:", b"#cloud-config-jsonp")
_MIME, _NEAR = b"mime-version:", 4096  # anywhere in the beginning (its user_data.py)
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_ARCHIVE, _CONFIG = b"#cloud-config-archive", b"#cloud-config"


def read_seed(paths: Mapping[str, str]) -> dict[str, SeedText | Missing]:
    return {name: _read(name, path) for name, path in paths.items()}


def _read(name: str, path: str) -> SeedText | Missing:
    return looked_at(path, lambda descriptor: _described(name, path, descriptor))


def _described(name: str, path: str, descriptor: int) -> SeedText:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return SeedText(path, "other")
    content = os.pread(descriptor, LARGEST + 1, 0)
    size = max(status.st_size, len(content))
    return SeedText(path, "file", size, sha256(content), _problem(name, content))


def _problem(name: str, content: bytes) -> str | None:
    """Why cloud-init would not make anything of it."""
    if name != "user-data":
        return None if content.startswith(_GZIP) else _not_yaml(content, dict)
    start = content[:_NEAR].lstrip().lower()
    if content.startswith(_GZIP) or start.startswith((*_KNOWN, b"content-type:")) or _MIME in start:
        return None
    if start.startswith(_CONFIG):
        return _not_yaml(content, list if start.startswith(_ARCHIVE) else dict)
    if not start or start.startswith(_BOM):
        return "is empty" if not start else "begins with a byte order mark, which cloud-init does not pass over"
    return "does not begin with `#cloud-config`, nor with what else cloud-init knows"


_WANTED: dict[type, str] = {
    dict: "has no mapping where cloud-init takes one",
    list: "has no list where cloud-init takes one",
}


def _not_yaml(content: bytes, wanted: type) -> str | None:
    """Nothing at all is as good as an empty one."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(content) > _MOST_YAML:
        return None
    try:
        found = YAML(typ="safe", pure=True).load(content.decode())
    except UnicodeDecodeError:
        return "is no text in UTF-8"
    except (YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        return f"is no YAML{f': see its line {place.line + 1}' if place else ''}"
    return None if found is None or isinstance(found, wanted) else _WANTED[wanted]
