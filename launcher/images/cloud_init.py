"""Paths of cloud-init's files in; what is known of each out. Reads regular files of a bounded size only."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from hashlib import sha256

from launcher.images.boot_files import SeedText
from launcher.values import MIB, Missing, missing

LARGEST = MIB
_MOST_YAML = 128 << 10  # what is longer is a script or an archive, and takes long to parse
# What else cloud-init takes for user-data than YAML (its docs/explanation/format.rst).
_KNOWN = (b"#!", b"#include", b"#cloud-boothook", b"#part-handler", b"## template:", b"Content-Type:", b"MIME-Version:")
_GZIP = b"\x1f\x8b"
_YAML = (b"#cloud-config", b"#cloud-config-archive")


def read_seed(paths: Mapping[str, str]) -> dict[str, SeedText | Missing]:
    return {name: _read(name, path) for name, path in paths.items()}


def _read(name: str, path: str) -> SeedText | Missing:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return missing(error, path)
    except ValueError:  # no path: it has a NUL in it, or half of a character
        return Missing("absent", path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return SeedText(path, "other")
        content = os.pread(descriptor, LARGEST + 1, 0)
    except OSError as error:
        return missing(error, path)
    finally:
        os.close(descriptor)
    size = max(status.st_size, len(content))
    return SeedText(path, "file", size, sha256(content).hexdigest(), _problem(name, content))


def _problem(name: str, content: bytes) -> str | None:
    """Why cloud-init would not make anything of it."""
    if name != "user-data":
        return None if not _is_yaml(content) else _not_yaml(content)
    first = content.split(b"\n", 1)[0].strip()
    if first in _YAML:
        return _not_yaml(content)
    if content.startswith(_GZIP) or first.startswith(_KNOWN):
        return None
    return "does not begin with `#cloud-config`, nor with what else cloud-init knows"


def _is_yaml(content: bytes) -> bool:
    return not content.startswith(_GZIP)


def _not_yaml(content: bytes) -> str | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(content) > _MOST_YAML:
        return None
    try:
        YAML(typ="safe", pure=True).load(content.decode())
    except UnicodeDecodeError:
        return "is no text in UTF-8"
    except (YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        return f"is no YAML{f': see its line {place.line + 1}' if place else ''}"
    return None
