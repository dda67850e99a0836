"""Rules about folders that a guest mounts, and about memory that engines map. Pure."""

from __future__ import annotations

import re
from posixpath import normpath
from shlex import quote
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.images.disk_files import Folder
from launcher.planner.linux import release
from launcher.planner.places import in_spec
from launcher.planner.rules.access import SETFACL, who
from launcher.planner.rules.boot import AS_IT_IS, FOR_A_SHELL
from launcher.planner.rules.disk_images import images_of
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.planner.served_by import ENTER, READ, WRITE, Server, may, server_of
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.planner.decided import Situation

_MISSING = {
    "absent": ("E653", "is not there", "make it: `mkdir -p {path}`"),
    "denied": ("E655", "may not be looked at by {who}", "name a folder of that user, or plan as root"),
    "asleep": ("E653", "cannot be read", "see what `ls {path}` says"),
    "unreadable": ("E653", "cannot be read", "see what `ls {path}` says"),
}
# Folders of the host itself: some with all that is in them, others hold folders of anybody's.
_SYSTEM = r"/(bin|boot|dev|etc|lib\w*|proc|run|sbin|sys|usr)(/.*)?"
_TOPS = ("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/var/lib", "/var/log", "/var/spool")
_COLLAPSE = (6, 1)  # the first release with MADV_COLLAPSE, which gives shared memory its huge pages


def _where(alias: str) -> Where:
    return in_spec(f"shares.{alias}.path")


def _there(it: Situation) -> Iterator[Diagnostic]:
    for alias, found in it.files.shares.items():
        if isinstance(found, Missing):
            code, fact, way = _MISSING[found.missing]
            fact = f"{alias}: {found.path} {fact.format(who=who(it.host.process))}"
            shell = found.missing == "absent" and re.search(FOR_A_SHELL, found.path)
            help_ = AS_IT_IS if shell else way.format(path=quote(found.path))
            yield Diagnostic(code, fact, _where(alias), help=(help_,))
        elif found.kind != "directory":
            way = "name the folder that it is in, or make it a disk: `disks:`"
            yield Diagnostic("E654", f"{alias}: {found.path} is no directory", _where(alias), help=(way,))


def _folders(it: Situation) -> Iterator[tuple[str, Folder, bool]]:
    """(alias, folder, whether the guest writes it)."""
    for alias, found in it.files.shares.items():
        if isinstance(found, Folder) and found.kind == "directory":
            yield alias, found, not it.spec.shares[alias].readonly


def _rights(it: Situation) -> Iterator[Diagnostic]:
    for alias, found, writes in _folders(it):
        rights, server = found.rights, server_of(found.rights, it.host.process)
        wanted = READ | ENTER | (WRITE if writes else 0)
        if not may(found.rights, server, wanted):
            fact = f"{alias}: {found.path} cannot be {'written' if writes else 'read'} by {server}, who serves it"
            evidence = (f"{rights.path} has mode {rights.mode:04o}, uid {rights.uid}, gid {rights.gid}",)
            own = rights.uid == server.uid
            fix = _grant(found, server, "rwx" if writes else "rx")
            way = f"`{fix}`" if own else f"as its owner or root: `{fix}` ({SETFACL})"
            read_only = ("or write `readonly: true`",) if writes else ()
            yield Diagnostic("E655", fact, _where(alias), evidence, (way, *read_only), fix)
        if writes and found.read_only:
            fact = f"{alias}: {found.path} is on a file system that is mounted read-only"
            yield Diagnostic("E656", fact, _where(alias), help=("write `readonly: true`",))


def _grant(found: Folder, server: Server, wanted: str) -> str:
    """An access list is not asked for the owner, whose rights are those of the mode."""
    path = quote(found.path)
    if found.rights.uid == server.uid:
        return f"chmod u+{wanted} {path}"
    return f"setfacl -m u:{server.uid}:{wanted} {path}"


def _of_root(it: Situation) -> Iterator[Diagnostic]:
    """The guest's root is the folder's owner there. Of root's folder it may make programs that run as root here."""
    for alias, found, writes in _folders(it):
        if not writes or server_of(found.rights, it.host.process).uid != 0:
            continue
        fact = f"{alias}: {found.path} belongs to root, and so does what the guest writes there"
        yield Diagnostic("W656", fact, _where(alias), *_what_root_s_folder_means(found.path))


def _what_root_s_folder_means(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Evidence and ways out."""
    if _is_the_host_s(path):
        evidence = "it is a folder of the host's own: a guest that writes there can take the host over"
        return (evidence,), (
            "share a folder made for the guest: `install -d -o USER /srv/work`",
            "or write `readonly: true`",
        )
    evidence = "a program with the setuid bit that the guest leaves there runs as root on this host"
    given_away = f"or give it to a user: `chown -R USER {quote(path)}`"
    return (evidence,), ("write `readonly: true`", given_away, "or mount its file system with nosuid")


def _is_the_host_s(path: str) -> bool:
    """Nobody is to give it to a user with all that is in it."""
    plain = normpath(path)
    return plain in _TOPS or bool(re.fullmatch(_SYSTEM, plain, re.DOTALL))


def _with_images(it: Situation) -> Iterator[Diagnostic]:
    """The next `up` believes an image's header, and opens what its name then leads to."""
    for alias, found, writes in _folders(it):
        top = normpath(found.path).rstrip("/")
        inside = [seen.image.path for seen in images_of(it) if normpath(seen.image.path).startswith(f"{top}/")]
        if writes and inside:
            fact = f"{alias}: {found.path}, which the guest writes, has {series(sorted(set(inside)))} in it"
            evidence = ("a guest can put another image there, whose header names any file, which the next `up` serves",)
            help_ = ("keep images out of shares", "or write `readonly: true` for the share")
            yield Diagnostic("W654", fact, _where(alias), evidence, help_)


def _name_spaces(it: Situation) -> Iterator[Diagnostic]:
    """virtiofsd is root of a user namespace of its own, and passt shuts itself into one."""
    serving, spec = it.host.serving, it.spec
    share, user = next(iter(spec.shares), None), next((alias for alias, one in spec.nics.items() if one.user), None)
    entry = f"shares.{share}" if share is not None else f"nics.{user}"
    if serving is None or (share is None and user is None):
        return
    who_ = who(it.host.process)
    if serving.user_namespaces == 0:
        fix = "sysctl user.max_user_namespaces=15000"
        fact = f"this host allows no user namespace, and {_engine_of(share)} needs one"
        yield Diagnostic("E657", fact, in_spec(entry), ("user.max_user_namespaces is 0",), (f"as root: `{fix}`",), fix)
    elif serving.unprivileged is not None and it.host.process.uid != 0 and _is_refused(serving.unprivileged, it):
        value = "0" if "apparmor" in serving.unprivileged else "1"
        fix = f"sysctl {serving.unprivileged}={value}"
        fact = f"{who_} may not make a user namespace on this host, and {_engine_of(share)} needs one"
        either = (f"as root: `{fix}`", "or run `up` as root")
        yield Diagnostic("E657", fact, in_spec(entry), (f"{serving.unprivileged} forbids it",), either, fix)


def _engine_of(share: str | None) -> str:
    return "virtiofsd" if share is not None else "passt"


def _is_refused(setting: str, it: Situation) -> bool:
    """Ubuntu's AppArmor has a profile that allows it to passt, which is then asked for no more."""
    return bool(it.spec.shares) or "apparmor" not in setting


def _shared_memory(it: Situation) -> Iterator[Diagnostic]:
    """Engines map the guest's memory, so it is a file, of which each bank is one."""
    serving, path = it.host.serving, _first_with_engine(it)
    if path is None or serving is None:
        return
    largest = max(bank.size for bank in it.spec.memory)
    if serving.file_size is not None and serving.file_size < largest:
        fact = f"a bank of memory has {show_size(largest)}, and a file of this process {show_size(serving.file_size)}"
        evidence = ("engines map the guest's memory, which is a file in memory for that (`ulimit -f`)",)
        way = "`ulimit -f unlimited`, or LimitFSIZE=infinity in the service"
        yield Diagnostic("E658", fact, in_spec("memory"), evidence, (way,))
    small = any(bank.pages == "thp" for bank in it.spec.memory)
    if small and release(it.host.kernel) < _COLLAPSE and serving.shmem in ("never", "deny"):
        fact = f"the memory that engines share has 4 KiB pages on Linux {it.host.kernel}"
        evidence = ("huge pages for it came with Linux 6.1 (MADV_COLLAPSE)",)
        fix = "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"
        help_ = (f"as root: `{fix}`", "or reserve huge pages, and write `pages: 2MiB`")
        yield Diagnostic("W657", fact, in_spec(path), evidence, help_, fix)


def _first_with_engine(it: Situation) -> str | None:
    """The first entry that a process serves, by vhost-user."""
    spec = it.spec
    nics = (f"nics.{alias}" for alias, one in spec.nics.items() if one.user or one.socket is not None)
    every = (*(f"disks.{alias}" for alias in spec.disks), *nics, *(f"shares.{alias}" for alias in spec.shares))
    return next(iter(every), None)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _there),
    Rule("kernel", _rights),
    Rule("policy", _of_root),
    Rule("policy", _with_images),
    Rule("kernel", _name_spaces),
    Rule("kernel", _shared_memory),
)
