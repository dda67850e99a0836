"""-netdev, -nic, -net and the cards on them in; in a draft NICs, or why there is none. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.qemu_options import Option
from launcher.foreign.sizes import of_digits
from launcher.typed import Any

DEFAULT_BRIDGE = "br0"  # of qemu-bridge-helper
_CARDS = r"(virtio-net|e1000|rtl8139|ne2k|pcnet|vmxnet3|i8255|igb|tulip|usb-net|sungem|virtio-net-pci)"
_NO_WAY = {
    "l2tpv3": "there is no such network: a bridge on this host can have its other end",
    "vde": "there is no such network: a tap or a bridge connects to it",
    "netmap": "there is no such network: a tap or a bridge connects to it",
    "af-xdp": "there is no such network: a bridge connects to the card",
    "vhost-vdpa": "there is no vDPA: pass a virtual function by `devices`",
    "socket": "there is no network of sockets between VMs: a bridge connects them",
    "stream": "name a bridge or a tap; of passt `user` is said",
    "dgram": "there is no network of sockets between VMs: a bridge connects them",
    "hubport": "there are no hubs: a bridge connects",
    "vmnet-shared": "there is no such network here: `user` needs no rights",
}
_FORWARD = "nobody reaches the guest by `user`: vsock does, or a bridge"
_USER = "`user` is passt with its own settings"
_SCRIPT = "no script is run: a tap that is named has to be there, and in its bridge, already"


def read_nics(draft: Draft, options: Sequence[Option]) -> Iterator[int]:
    """Says which options, by their number, are cards."""
    cards = {one.get("netdev"): (number, one) for number, one in enumerate(options) if _is_card(one)}
    sockets = {one.get("id"): one for one in options if one.name == "chardev"}
    for one in options:
        if one.name == "netdev":
            number, card = cards.pop(one.get("id"), (-1, None))
            if card is None:
                draft.lose(one.shown, "no card is on it", one.line)
            else:
                yield number
                _nic(draft, one, card, sockets)
        elif one.name == "nic" and one.get("type") != "none":
            _nic(draft, one, one, sockets)
    for number, card in cards.values():
        draft.lose(card.shown, "it is connected to nothing that is named", card.line)
        yield number
    _old(draft, options, sockets)


def _is_card(one: Option) -> bool:
    return one.name == "device" and bool(re.match(_CARDS, one.get("driver")))


def _old(draft: Draft, options: Sequence[Option], sockets: Mapping[str, Option]) -> None:
    """`-net nic -net tap`: all of them were on one hub."""
    nets = [one for one in options if one.name == "net"]
    cards = [one for one in nets if one.get("type") == "nic"]
    ways = [one for one in nets if one.get("type") not in ("nic", "none")]
    for way in ways:
        _nic(draft, way, cards[0] if cards else way, sockets)
    if len(ways) != len(cards) and len(ways) > 1:
        draft.lose("the hub of -net", "there are no hubs: each of these is a NIC", nets[0].line)


def _nic(draft: Draft, way: Option, card: Option, sockets: Mapping[str, Option]) -> None:
    entry = _way(draft, way, sockets)
    if entry is None:
        return
    mac = card.get("mac", "macaddr")
    entry |= {"mac": mac.lower()} if mac else {}
    mtu = of_digits(card.get("host_mtu"))
    entry |= {"mtu": mtu} if "bridge" in entry and mtu > 1 else {}
    alias = draft.add("nics", way.get("id") or "net", entry)
    meaning.other_card(
        draft, alias, card.get("model") or (card.get("driver") if card is not way else "") or "virtio", card.line
    )
    _beside(draft, alias, way, card)


def _way(draft: Draft, way: Option, sockets: Mapping[str, Option]) -> dict[str, Any] | None:
    kind = way.get("type")
    if kind in ("user", "passt"):
        return {"user": True}
    if kind == "bridge":
        return {"bridge": way.get("br") or DEFAULT_BRIDGE}
    if kind == "tap":
        return _tap(draft, way)
    if kind == "vhost-user" and (socket := sockets.get(way.get("chardev"))) is not None:
        if socket.is_on("server"):
            why = "vmlaunch connects to the engine's socket: let the engine listen (in DPDK without client=1)"
            draft.lose(way.shown, why, way.line)
            return None
        return {"socket": socket.get("path")}
    draft.lose(way.shown, _NO_WAY.get(kind, "vmlaunch knows no such network: name a bridge or a tap"), way.line)
    return None


def _tap(draft: Draft, way: Option) -> dict[str, Any] | None:
    if bridge := way.get("br"):
        return {"bridge": bridge}
    if way.get("ifname"):
        return {"tap": way.get("ifname")}
    why = "the tap has no name: write `tap` with that of one that is there, or `bridge`"
    draft.lose(way.shown, why, way.line)
    return None


def _beside(draft: Draft, alias: str, way: Option, card: Option) -> None:
    user = way.get("type") == "user"
    for key, value in way.values.items():
        if key in ("hostfwd", "guestfwd"):
            draft.lose(f"{key}={value}", _FORWARD, way.line, "nics", alias)
        elif user and key in (
            "net",
            "host",
            "dhcpstart",
            "dns",
            "tftp",
            "bootfile",
            "smb",
            "restrict",
            "hostname",
            "domainname",
        ):
            draft.lose(f"{key}={value}", _USER, way.line, "nics", alias)
        elif key in ("script", "downscript") and value not in ("no", ""):
            draft.lose(f"{key}={value}", _SCRIPT, way.line, "nics", alias)
    if card.is_on("mq") or way.get("queues") not in ("", "1"):
        draft.lose("several queues", "a NIC has one pair of queues", way.line, "nics", alias)
    if card.get("bootindex") or card.get("romfile"):
        draft.lose("booting from the network", "the firmware tries disks only", card.line, "nics", alias)
