"""(this process, a uid) -> the process that another user would be: for facts that root or a service will use."""

from __future__ import annotations

from launcher.host.lists import keyed, number, str_of
from launcher.host.process import CAPABILITIES, capabilities, mappable, read_limit
from launcher.names import state_folder
from launcher.record import replace
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.facts import Process
    from launcher.host.tree import Tree


def process_as(tree: Tree, uid: int, mine: Process) -> Process:
    """In the same cgroup and container, with nothing locked; what could be seen stays what this process saw.

    Groups are those of /etc/passwd and /etc/group; a uid that is in neither has a group of its own number.
    """
    names, gid = _account(tree, uid)
    return replace(
        mine,
        uid=uid,
        gid=gid,
        capabilities=_all_capabilities(tree) if uid == 0 else (),
        memlock=read_limit(tree, "1", "Max locked memory") if uid == 0 and _has_limits(tree) else mine.memlock,
        open_files=read_limit(tree, "1", "Max open files") if uid == 0 and _has_limits(tree) else mine.open_files,
        tasks=read_limit(tree, "1", "Max processes") if uid == 0 and _has_limits(tree) else mine.tasks,
        user_tasks=None,
        address_space=mappable(tree, "1") if uid == 0 and _has_limits(tree) else mine.address_space,
        state_folder=state_folder(uid, f"/run/user/{uid}"),
        groups=tuple(sorted({gid, *_memberships(tree, names)})),
        locked=0,
        pinned=0,
    )


def _has_limits(tree: Tree) -> bool:
    """Those of the first process, which root's services begin with."""
    return isinstance(tree.read_text("/proc/1/limits"), str)


def _all_capabilities(tree: Tree) -> tuple[str, ...]:
    """As far as anybody here can get them: a container bounds even root."""
    bounding = keyed(tree.read_text("/proc/self/status"), ":").get("CapBnd")
    return capabilities(bounding) if bounding else tuple(CAPABILITIES.values())


def _account(tree: Tree, uid: int) -> tuple[frozenset[str], int]:
    """name:password:uid:gid:..."""
    lines = (line.split(":") for line in str_of(tree.read_text("/etc/passwd")).splitlines())
    found = [words for words in lines if len(words) > 3 and number(words[2]) == uid]
    gids = [number(words[3]) for words in found]
    return frozenset(words[0] for words in found), next((gid for gid in gids if gid is not None), uid)


def _memberships(tree: Tree, names: frozenset[str]) -> set[int]:
    """name:password:gid:member,member"""
    lines = (line.split(":") for line in str_of(tree.read_text("/etc/group")).splitlines())
    found = (number(words[2]) for words in lines if len(words) > 3 and names & set(words[3].split(",")))
    return {gid for gid in found if gid is not None}
