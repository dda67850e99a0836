"""An <interface> of a domain in; in a draft a NIC or a virtual function, or why there is none. Pure."""

from __future__ import annotations

from collections.abc import Callable

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.libvirt_hostdevs import address_of, pass_device
from launcher.foreign.sizes import of_digits
from launcher.foreign.xml_tree import Element

DEFAULT_BRIDGE = "virbr0"  # of the network `default` that libvirt brings

_NO_WAY = {
    "direct": "macvtap is not there: make the host's card a port of a bridge, and write `bridge`",
    "vdpa": "there is no vDPA: pass a virtual function by `devices`",
    "mcast": "there is no network of sockets between VMs: a bridge connects them",
    "server": "there is no network of sockets between VMs: a bridge connects them",
    "client": "there is no network of sockets between VMs: a bridge connects them",
    "udp": "there is no network of sockets between VMs: a bridge connects them",
    "null": "a NIC is connected to something",
    "vds": "there is no VMware here",
    "internal": "vmlaunch knows no such network: name its bridge",
}
_REASONS = {
    "bandwidth": "nothing is limited here: `tc` can, on the bridge's port",
    "filterref": "libvirt's filters of packets are not there: nftables on the bridge can",
    "vlan": "the guest's tap is a port of the bridge as it is: `bridge vlan` sets it",
    "virtualport": "a port of Open vSwitch cannot be made here: make a tap of it, and write `tap`",
    "link": "the link is up while the bridge is",
    "guest": "the guest names its interfaces itself",
    "ip": "addresses in the guest are the guest's",
    "route": "addresses in the guest are the guest's",
    "backend": "`user` is passt with its own settings",
    "portForward": "nobody reaches the guest by `user`: take a bridge for that",
    "tune": "how packets are sent is vhost-net's",
    "coalesce": "how packets are sent is vhost-net's",
    "port": "bridges do not isolate their ports here",
    "teaming": "bonding with a virtual function is the guest's to set up",
    "script": "no script is run: name a bridge, or a tap that is there",
    "downscript": "no script is run: name a bridge, or a tap that is there",
    "rom": "a NIC of virtio-net has no option ROM",
    "acpi": "slots have no names here",
}
_SILENT = ("mac", "source", "model", "driver", "target", "address", "alias", "mtu", "boot", "actual")


def interface(draft: Draft, one: Element) -> None:
    kind = one.get("type")
    source = one.first("source") or Element("source", one.line)
    if kind == "hostdev" or source.first("address") is not None:
        _function(draft, one, source)
        return
    entry = _WAYS[kind](draft, one, source) if kind in _WAYS else None
    if entry is None:
        if kind not in ("network", "ethernet", "vhostuser", "bridge"):
            draft.lose(f"the NIC {_what(one, source)}", _NO_WAY.get(kind, _NO_WAY["internal"]), one.line)
        return
    mac, mtu = one.said("mac", "address"), one.said("mtu", "size")
    entry |= {"mac": mac.lower()} if mac else {}
    entry |= {"mtu": of_digits(mtu)} if of_digits(mtu) and "bridge" in entry else {}
    _beside(draft, one, draft.add("nics", _alias(one), entry))


def _alias(one: Element) -> str:
    own = one.said("alias", "name")
    return own.removeprefix("ua-") if own.startswith("ua-") else "net"


def _what(one: Element, source: Element) -> str:
    told = [one.get("type"), *source.attributes.values()]
    return " ".join(filter(None, [one.said("mac", "address"), f"({' '.join(told)})"]))


def _bridge(draft: Draft, one: Element, source: Element) -> dict[str, object] | None:
    if one.said("virtualport", "type") == "openvswitch":
        draft.lose(f"the NIC {_what(one, source)}", _REASONS["virtualport"], one.line)
        return None
    return {"bridge": source.get("bridge")}


def _network(draft: Draft, one: Element, source: Element) -> dict[str, object] | None:
    """A domain that is up says which bridge its network has."""
    name = source.get("network")
    if bridge := source.get("bridge"):
        return {"bridge": bridge}
    if name == "default":
        draft.skip("the network default", f"libvirt's own network has the bridge {DEFAULT_BRIDGE}", one.line)
        return {"bridge": DEFAULT_BRIDGE}
    why = f"name its bridge, which `virsh net-info {name}` prints; `user` needs none"
    draft.lose(f"the NIC {_what(one, source)}", why, one.line)
    return None


def _user(_draft: Draft, _one: Element, _source: Element) -> dict[str, object]:
    return {"user": True}


def _tap(draft: Draft, one: Element, source: Element) -> dict[str, object] | None:
    if tap := one.said("target", "dev"):
        return {"tap": tap}
    draft.lose(f"the NIC {_what(one, source)}", "no tap is named", one.line)
    return None


def _socket(draft: Draft, one: Element, source: Element) -> dict[str, object] | None:
    if source.get("mode") == "server":
        why = "vmlaunch connects to the engine's socket: let the engine listen (in DPDK without client=1)"
        draft.lose(f"the NIC {_what(one, source)}", why, one.line)
        return None
    return {"socket": source.get("path")}


_WAYS: dict[str, Callable[[Draft, Element, Element], dict[str, object] | None]] = {
    "bridge": _bridge,
    "network": _network,
    "user": _user,
    "ethernet": _tap,
    "vhostuser": _socket,
}


def _function(draft: Draft, one: Element, source: Element) -> None:
    """A virtual function of a card, whose MAC and VLAN its physical function is told."""
    address = address_of(source.first("address"))
    if address is None:
        draft.lose(f"the NIC {_what(one, source)}", "no PCI address is named", one.line)
        return
    mac, tag = one.said("mac", "address"), one.said("vlan/tag", "id")
    network = ({"mac": mac.lower()} if mac else {}) | ({"vlan": of_digits(tag)} if of_digits(tag) else {})
    pass_device(draft, one, "net", {"pci": address} | ({"network": network} if network else {}))


def _beside(draft: Draft, one: Element, alias: str) -> None:
    model = one.said("model", "type") or "rtl8139"
    meaning.other_card(draft, alias, model, one.line)
    driver = one.first("driver")
    if driver is not None and driver.attributes:
        told = " ".join(f"{key}={value}" for key, value in driver.attributes.items())
        draft.lose(
            told, "a NIC has one pair of queues, served by vhost-net, passt or your engine", driver.line, "nics", alias
        )
    for child in one.children:
        if child.tag == "boot":
            draft.lose("booting from the network", "the firmware tries disks only", child.line, "nics", alias)
        elif child.tag not in _SILENT:
            why = _REASONS.get(child.tag, "vmlaunch knows no such element")
            draft.lose(f"<{child.tag}>", why, child.line, "nics", alias)
