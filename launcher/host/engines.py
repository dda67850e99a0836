"""A Tree and who asks a program for its version in; the engines that are installed out.

An engine is looked for where packages put it, and nowhere else: `up` may be root's, whose PATH others do not make.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from launcher.host.facts import ENGINES, Program
from launcher.patterns import re
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Status, Tree

DISKS, SHARES, USER_NETWORK = ENGINES
_PATHS = ("/usr/local/bin", "/usr/bin", "/run/current-system/sw/bin")
# virtiofsd is started by other programs only, and so is in no PATH. Rust's first: QEMU has dropped the other in 8.0.
_OF_SHARES = ("/usr/local/libexec", "/usr/libexec", "/usr/lib", "/usr/lib/qemu", "/usr/libexec/qemu-kvm", *_PATHS)
_C = r"virtiofsd version (\S+)"
_RUST = r"virtiofsd (?:backend )?v?([0-9]\S*)"
_OF_PASST = rb"([0-9][0-9A-Za-z._~+-]{3,60})\nCopyright Red Hat\n"
_PLAIN = r"\S+ (?:version )?(\S+)"
# What a program that serves by vhost-user has in it: names of its options, and of their values. A package may be older
# than that, or made without it.
_SERVES = {DISKS: b"vhost-user-blk,id=", USER_NETWORK: b"vhost-user"}
_LARGEST = 1 << 25
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
    content, match = tree.read_bytes(path, 0, _LARGEST), re.match(_PLAIN, line)
    if isinstance(content, Missing):
        return Program(path, match[1] if match else "")
    version = match[1] if match else _written_in(content)
    return Program(path, version, vhost_user=_SERVES[name] in content)


def _written_in(content: bytes) -> str:
    """That of Debian 13 loses what it says with --version unless a terminal reads it."""
    match = re.search(_OF_PASST, content)
    return match[1].decode() if match else ""


def _of_shares(line: str) -> tuple[str, Literal["c", "rust"] | None]:
    kinds: Iterator[tuple[str, Literal["c", "rust"]]] = iter(((_C, "c"), (_RUST, "rust")))
    return next(((match[1], kind) for pattern, kind in kinds if (match := re.match(pattern, line))), ("", None))
