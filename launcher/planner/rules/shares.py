"""Rules about folders that a guest mounts. Pure."""

from __future__ import annotations

from posixpath import normpath

from launcher.errors import Diagnostic
from launcher.images.disk_files import OF_THE_KERNEL, Folder
from launcher.patterns import re
from launcher.planner.engines import SHARES, program_of
from launcher.planner.places import in_spec
from launcher.planner.rules.access import SETFACL, who
from launcher.planner.rules.boot import AS_IT_IS, FOR_A_SHELL
from launcher.planner.rules.disk_images import images_of
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.planner.served_by import ENTER, READ, WRITE, Server, may, server_of
from launcher.shell import quote
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
        elif found.file_system in OF_THE_KERNEL:
            fact = f"{alias}: {found.path} is made up by the kernel, and what is in it is in no folder"
            evidence = (f"it is a {found.file_system}",)
            yield Diagnostic("E654", fact, _where(alias), evidence, ("share a folder that holds files",))
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


def _way(it: Situation) -> Iterator[Diagnostic]:
    """virtiofsd in Rust is given a folder that is open, and looks its path up again; the one in C does not."""
    program = program_of(SHARES, it.host)
    if program is None or program.kind != "rust":
        return
    for alias, found, _ in _folders(it):
        server = server_of(found.rights, it.host.process)
        shut = next((one for one in found.above if not may(one, server, ENTER)), None)
        if shut is not None:
            fact = f"{alias}: {server}, who serves {found.path}, may not pass {shut.path} on the way there"
            evidence = (f"{shut.path} has mode {shut.mode:04o}, uid {shut.uid}, gid {shut.gid}",)
            fix = f"setfacl -m u:{server.uid}:x {quote(shut.path)}"
            help_ = (f"as its owner or root: `{fix}` ({SETFACL})", "or share a folder in another place")
            yield Diagnostic("E655", fact, _where(alias), evidence, help_, fix)


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
        inside = [seen.image.path for seen in images_of(it) if _is_in((seen.image.path, seen.image.real), found)]
        if writes and inside:
            fact = f"{alias}: {found.path}, which the guest writes, has {series(sorted(set(inside)))} in it"
            evidence = ("a guest can put another image there, whose header names any file, which the next `up` serves",)
            help_ = ("keep images out of shares", "or write `readonly: true` for the share")
            yield Diagnostic("W654", fact, _where(alias), evidence, help_)


def _with_the_spec(it: Situation) -> Iterator[Diagnostic]:
    for alias, found, writes in _folders(it):
        if writes and _is_in(it.files.spec, found):
            fact = f"{alias}: {found.path}, which the guest writes, has this spec in it"
            evidence = ("a guest can write another spec there, and the next `up` does what that says",)
            help_ = ("keep the spec out of shares", "or write `readonly: true` for the share")
            yield Diagnostic("W654", fact, _where(alias), evidence, help_)


def _is_in(names: Iterable[str | None], folder: Folder) -> bool:
    """By a name of its own or by what that leads to: a guest may replace a link as it may a file."""
    tops = [normpath(one).rstrip("/") for one in (folder.path, folder.real) if one]
    return any(normpath(name).startswith(f"{top}/") for name in names if name for top in tops)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _there),
    Rule("kernel", _rights),
    Rule("kernel", _way),
    Rule("policy", _of_root),
    Rule("policy", _with_images),
    Rule("policy", _with_the_spec),
)
