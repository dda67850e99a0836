"""A Tree in; the network interfaces of PCI functions, and what the host does with them, out."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.host.addresses import last, owner
from launcher.host.facts import Interface, Use
from launcher.host.lists import entries, number, str_of
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.tree import Tree
    from launcher.values import PciAddress

_NET = "/sys/class/net"
_UP = 1  # IFF_UP
_RANDOM = 1  # NET_ADDR_RANDOM
_REJECT = 0x200  # RTF_REJECT: a route to nowhere
_UPPER = "upper_"


class Network(NamedTuple):
    interfaces: dict[PciAddress, list[Interface]]
    uses: list[tuple[PciAddress, Use]]


def read_network(tree: Tree) -> Network:
    network, routes = Network({}, []), _default_routes(tree)
    for name in entries(tree.list_folder(_NET)):  # `bonding_masters` is a file, and has no owner
        address = owner(tree.read_link(f"{_NET}/{name}"))
        if address:
            one = _interface(tree, name)
            network.interfaces.setdefault(address, []).append(one)
            network.uses.extend((address, use) for use in _uses(tree, one, routes))
    return network


def _interface(tree: Tree, name: str) -> Interface:
    flags = number(tree.read_text(f"{_NET}/{name}/flags"), 16) or 0
    mac = str_of(tree.read_text(f"{_NET}/{name}/address")) or None
    random = number(tree.read_text(f"{_NET}/{name}/addr_assign_type")) == _RANDOM
    return Interface(name, mac, bool(flags & _UP), random)


def _uses(tree: Tree, one: Interface, routes: frozenset[str]) -> Iterator[Use]:
    if one.up:
        yield Use("interface", f"{one.name} is up", one.name)
    master = last(tree.read_link(f"{_NET}/{one.name}/master"))
    if master:
        yield Use("master", f"{one.name} is a port of {master}", one.name)
    if one.name in routes:
        yield Use("route", f"{one.name} has the default route", one.name)
    elif routes:
        for upper in sorted(_above(tree, one.name) & routes):
            yield Use("route", f"{one.name} carries {upper}, which has the default route", one.name)


def _above(tree: Tree, name: str) -> frozenset[str]:
    """Bridges, bonds, VLANs and the like that stand on an interface, and what stands on them."""
    found, left = set[str](), [name]
    while left:
        names = entries(tree.list_folder(f"{_NET}/{left.pop()}"))
        uppers = {name.removeprefix(_UPPER) for name in names if name.startswith(_UPPER)}
        left.extend(uppers - found)
        found |= uppers
    return frozenset(found)


def _default_routes(tree: Tree) -> frozenset[str]:
    """The interfaces that carry one."""
    four = (line.split() for line in str_of(tree.read_text("/proc/net/route")).splitlines()[1:])
    six = (line.split() for line in str_of(tree.read_text("/proc/net/ipv6_route")).splitlines())
    return frozenset((*_default_4(four), *_default_6(six)))


def _default_4(lines: Iterator[list[str]]) -> Iterator[str]:
    """Iface, Destination, Gateway, Flags, RefCnt, Use, Metric, Mask ..."""
    for words in lines:
        if len(words) > 7 and not int(words[1], 16) and not int(words[7], 16) and not int(words[3], 16) & _REJECT:
            yield words[0]


def _default_6(lines: Iterator[list[str]]) -> Iterator[str]:
    """Destination, its prefix, source, its prefix, gateway, metric, references, use, flags, device.

    The kernel's own ::/0 is a route to nowhere by `lo`.
    """
    for words in lines:
        if len(words) > 9 and not int(words[0], 16) and words[1] == "00" and not int(words[8], 16) & _REJECT:
            yield words[9]
