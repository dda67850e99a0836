"""A Tree and who asks a program for its version in; the engines that are installed out.

An engine is looked for where packages put it, and nowhere else: `up` may be root's, whose PATH others do not make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Literal

from launcher.host.facts import ENGINES, Program
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Status, Tree

_, SHARES, USER_NETWORK = ENGINES
_PATHS = ("/usr/local/bin", "/usr/bin", "/run/current-system/sw/bin")
# virtiofsd is started by other programs only, and so is in no PATH. Rust's first: QEMU has dropped the other in 8.0.
_OF_SHARES = ("/usr/local/libexec", "/usr/libexec", "/usr/lib", "/usr/lib/qemu", "/usr/libexec/qemu-kvm", *_PATHS)
_C = r"virtiofsd version (\S+)"
_RUST = r"virtiofsd (?:backend )?v?([0-9]\S*)"
_PLAIN = r"\S+ (?:version )?(\S+)"
_VHOST_USER = b"vhost-user"  # a program has the names of its options in it
_LARGEST = 1 << 24
_WRITTEN_BY_OTHERS = 0o022


def read_engines(tree: Tree, uid: int, wanted: Collection[str], said: Callable[[str], str]) -> dict[str, Program]:
    """`uid` will start them; `said`: the path of a program -> the first line of its --version, or nothing."""
    found = {name: _found(tree, name) for name in ENGINES if name in wanted}
    return {name: _program(tree, name, *one, uid, said) for name, one in found.items() if one}


def _found(tree: Tree, name: str) -> tuple[str, Status] | None:
    folders = _OF_SHARES if name == SHARES else _PATHS
    statuses = ((path, tree.status(path)) for path in (f"{folder}/{name}" for folder in folders))
    return next(((path, status) for path, status in statuses if not isinstance(status, Missing)), None)


def _program(tree: Tree, name: str, path: str, status: Status, uid: int, said: Callable[[str], str]) -> Program:
    if status.mode & _WRITTEN_BY_OTHERS or status.uid not in (0, uid):
        return Program(path, loose=True)
    line = said(path)
    if name == SHARES:
        return Program(path, *_of_shares(line))
    match = re.match(_PLAIN, line)
    return Program(
        path, match[1] if match else "", vhost_user=_has_vhost_user(tree, path) if name == USER_NETWORK else None
    )


def _of_shares(line: str) -> tuple[str, Literal["c", "rust"] | None]:
    kinds: Iterator[tuple[str, Literal["c", "rust"]]] = iter(((_C, "c"), (_RUST, "rust")))
    return next(((match[1], kind) for pattern, kind in kinds if (match := re.match(pattern, line))), ("", None))


def _has_vhost_user(tree: Tree, path: str) -> bool | None:
    program = tree.read_bytes(path, 0, _LARGEST)
    return None if isinstance(program, Missing) else _VHOST_USER in program
