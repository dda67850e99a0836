"""A Tree in; the network interfaces of the host out, as far as a guest's own can be joined to them."""

from __future__ import annotations

from launcher.host.addresses import last
from launcher.host.facts import Holder, Link
from launcher.host.lists import entries, keyed, number, str_of
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_NET = "/sys/class/net"
_TUN_NODE = "/dev/net/tun"
_UP = 1  # IFF_UP
# tun_flags (linux/if_tun.h)
_TUN, _MULTI_QUEUE, _PERSISTENT, _VNET_HEADER = 0x0001, 0x0100, 0x0800, 0x4000


def read_links(tree: Tree) -> tuple[Link, ...]:
    """`bonding_masters` is a file beside the interfaces."""
    names = entries(tree.list_folder(_NET))
    links = [_link(tree, name) for name in names if isinstance(tree.read_text(f"{_NET}/{name}/flags"), str)]
    holders = _holders(tree) if any(one.attached for one in links) else {}
    return tuple(replace(one, holders=tuple(holders.get(one.name, ()))) if one.attached else one for one in links)


def are_of_another(tree: Tree) -> bool:
    """/sys shows the interfaces of the network namespace it was mounted in, /proc those of this process. One that comes
    or goes between two looks is another matter: they are looked at again."""
    return _differ(tree) and _differ(tree)


def _differ(tree: Tree) -> bool:
    """Two lines of titles, then `eth0: ` and its numbers."""
    text = tree.read_text("/proc/net/dev")
    if isinstance(text, Missing):
        return False
    here = {line.partition(":")[0].strip() for line in text.splitlines() if ":" in line}
    names = entries(tree.list_folder(_NET))
    return here != {name for name in names if isinstance(tree.read_text(f"{_NET}/{name}/flags"), str)}


def _holders(tree: Tree) -> dict[str, list[Holder]]:
    """By the name of the tap, which the kernel has in fdinfo."""
    found: dict[str, list[Holder]] = {}
    for pid in sorted(int(name) for name in entries(tree.list_folder("/proc")) if name.isdecimal()):
        folder = f"/proc/{pid}"
        for one in entries(tree.list_folder(f"{folder}/fd")):
            if tree.read_link(f"{folder}/fd/{one}") == _TUN_NODE:
                name = keyed(tree.read_text(f"{folder}/fdinfo/{one}"), ":").get("iff", "")
                found.setdefault(name, []).append(Holder(pid, str_of(tree.read_text(f"{folder}/comm"))))
    return found


def _link(tree: Tree, name: str) -> Link:
    folder = f"{_NET}/{name}"
    tun = number(tree.read_text(f"{folder}/tun_flags"), 16)
    up = bool((number(tree.read_text(f"{folder}/flags"), 16) or 0) & _UP)
    return Link(
        name=name,
        kind=_kind(tree, folder, tun),
        mac=str_of(tree.read_text(f"{folder}/address")) or None,
        mtu=number(tree.read_text(f"{folder}/mtu")),
        up=up,
        master=last(tree.read_link(f"{folder}/master")) or None,
        ports=entries(tree.list_folder(f"{folder}/brif")),
        no_vlan=_has_no_vlan(tree, f"{folder}/bridge"),
        owner=_somebody(tree, f"{folder}/owner"),
        group=_somebody(tree, f"{folder}/group"),
        multi_queue=bool((tun or 0) & _MULTI_QUEUE),
        vnet_header=bool((tun or 0) & _VNET_HEADER),
        persistent=bool((tun or 0) & _PERSISTENT),
        attached=_attached(tree, folder) if tun is not None and up else None,
    )


def _kind(tree: Tree, folder: str, tun: int | None) -> Literal["bridge", "tap", "tun", "other"]:
    if tun is not None:
        return "tun" if tun & _TUN else "tap"
    return "other" if isinstance(tree.list_folder(f"{folder}/bridge"), Missing) else "bridge"


def _has_no_vlan(tree: Tree, folder: str) -> bool:
    """For a new port. Linux puts it in VLAN 1 unless somebody has set that to 0."""
    filters, given = (number(tree.read_text(f"{folder}/{name}")) for name in ("vlan_filtering", "default_pvid"))
    return filters == 1 and given == 0


def _somebody(tree: Tree, path: str) -> int | None:
    """-1: nobody."""
    found = number(tree.read_text(path))
    return None if found is None or found < 0 else found


def _attached(tree: Tree, folder: str) -> bool | None:
    """A tap has its carrier from the process that has it open; of one that is down the kernel does not say."""
    found = number(tree.read_text(f"{folder}/carrier"))
    return None if found is None else found == 1
