"""A <filesystem> or a <vsock> of a domain in; in a draft a share or a context id. Pure."""

from __future__ import annotations

import re

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.xml_tree import Element


def filesystem(draft: Draft, one: Element) -> None:
    kind, tag = one.get("type", "mount"), one.said("target", "dir")
    path = one.said("source", "dir")
    if kind not in ("mount", "bind") or not path:
        why = "a share is a folder of the host: mount it there, and name the folder"
        if one.said("source", "socket"):
            why = "virtiofsd is started here: name the folder that it shares as `path`"
        draft.lose(f"the share {tag} ({kind})", why, one.line)
        return
    readonly = {"readonly": True} if one.first("readonly") is not None else {}
    alias = draft.add("shares", tag, {"path": path} | readonly)
    meaning.other_share(draft, alias, tag, one.said("driver", "type") or "path", one.line)
    for name in ("accessmode", "multidevs", "fmode", "dmode"):
        if one.get(name) not in ("", "passthrough", "default"):
            why = "files have the owners and modes that they have on the host"
            draft.lose(f"{name}={one.get(name)}", why, one.line, "shares", alias)
    for child in one.children:
        if child.tag in ("binary", "idmap", "space_hard_limit", "space_soft_limit"):
            draft.lose(f"<{child.tag}>", "virtiofsd runs with its own settings", child.line, "shares", alias)


def vsock(draft: Draft, one: Element) -> None:
    cid = one.said("cid", "address")
    given = re.fullmatch("[0-9]{1,10}", cid) and one.said("cid", "auto") != "yes"
    draft.vsock = int(cid) if given else True
