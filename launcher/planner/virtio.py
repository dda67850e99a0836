"""(spec, host) -> the virtio functions of disks, NICs, shares and vsock: slot, BAR, who works on them. Pure.

Slots and BARs go by kind and file order, over all that the spec names: an image that is not there yet moves nothing.
"""

from __future__ import annotations

from launcher.digests import sha256
from launcher.plan.virtio import Virtio, aliases_served
from launcher.record import record
from launcher.spec.served import AUTO
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import KIB, PciAddress, Span, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from launcher.host.facts import HostFacts, Link, Serving
    from launcher.machine.board import Layout
    from launcher.plan.step import Step
    from launcher.spec.parts import Nic, VmSpec

FIRST_SLOT = 1  # to 00:0f, behind which are the passed devices
BESIDE_FIRMWARE = 2  # which finds functions of the machine at 00:01
BAR = 32 * KIB
VSOCK, SEED = "vsock", "cloud-init"  # keys that are their own aliases
_OUI = "52:54:00"  # which QEMU and libvirt give their guests, too: the locally administered form of Realtek's
_AUTO_CIDS = range(1 << 16, 1 << 31)  # far from those that people choose
USUAL_MTU = 1500


@record
class Place:
    """Where an entry of the spec is in the guest. `bar` is None where the window is full."""

    kind: str  # the key of the spec
    alias: str
    guest: PciAddress
    bar: int | None


def places_of(spec: VmSpec, taken: Iterable[Span], layout: Layout) -> tuple[Place, ...]:
    """`taken`: RAM, what is reserved and the BARs of passed functions, none of which moves."""
    entries = [*_entries(spec)]
    bars = [*_bars(len(entries), [*taken], layout)]
    first = FIRST_SLOT if spec.boot.firmware is None else BESIDE_FIRMWARE
    return tuple(
        Place(kind, alias, PciAddress(0, 0, first + number, 0), bars[number] if number < len(bars) else None)
        for number, (kind, alias) in enumerate(entries)
    )


def _entries(spec: VmSpec) -> Iterator[tuple[str, str]]:
    for kind, named in (("disks", spec.disks), ("nics", spec.nics), ("shares", spec.shares)):
        yield from ((kind, alias) for alias in named)
    if spec.vsock is not None:
        yield VSOCK, VSOCK
    if spec.cloud_init is not None:
        yield SEED, SEED


def _bars(count: int, taken: Sequence[Span], layout: Layout) -> Iterator[int]:
    for free in layout.bars_32.minus(taken):
        start = align_up(free.start, BAR)
        while count and start + BAR <= free.end:
            yield start
            start, count = start + BAR, count - 1


def functions_of(spec: VmSpec, host: HostFacts, places: Iterable[Place], steps: Iterable[Step]) -> tuple[Virtio, ...]:
    """Those that somebody works on: of the others a diagnostic says why. `steps` bring their engines."""
    served = {alias for step in steps for alias in aliases_served(step)} | {VSOCK}
    there = (one for one in places if one.alias in served and one.bar is not None)
    return tuple(_FUNCTION[one.kind](one, spec, host.serving) for one in there)


def _disk(at: Place, spec: VmSpec, _: Serving | None) -> Virtio:
    disk = spec.disks[at.alias]
    return Virtio(at.alias, "blk", "vhost-user", at.guest, at.bar or 0, disk.queues, disk.readonly)


def _nic(at: Place, spec: VmSpec, serving: Serving | None) -> Virtio:
    nic = spec.nics[at.alias]
    engine: Literal["vhost-user", "vhost-net"] = "vhost-user" if nic.user or nic.socket is not None else "vhost-net"
    mac = macs_of(spec)[at.alias]
    return Virtio(at.alias, "net", engine, at.guest, at.bar or 0, 1, mac=mac, mtu=mtu_of(nic, serving))


def _share(at: Place, spec: VmSpec, _: Serving | None) -> Virtio:
    return Virtio(at.alias, "fs", "vhost-user", at.guest, at.bar or 0, 1, spec.shares[at.alias].readonly)


def _vsock(at: Place, spec: VmSpec, _: Serving | None) -> Virtio:
    return Virtio(at.alias, "vsock", "vhost-vsock", at.guest, at.bar or 0, 1, cid=cid_of(spec))


def _seed(at: Place, _: VmSpec, __: Serving | None) -> Virtio:
    return Virtio(at.alias, "blk", "vhost-user", at.guest, at.bar or 0, 1, readonly=True)


_FUNCTION = {"disks": _disk, "nics": _nic, "shares": _share, VSOCK: _vsock, SEED: _seed}


def macs_of(spec: VmSpec) -> dict[str, str]:
    """Of all NICs, by alias."""
    return {alias: nic.mac or derived_mac(spec.name, alias) for alias, nic in spec.nics.items()}


def derived_mac(name: str, alias: str) -> str:
    """Of a NIC whose MAC the spec leaves out. It stays as long as VM and NIC are called the same."""
    tail = _digest(name, alias)[:6]
    return f"{_OUI}:{tail[:2]}:{tail[2:4]}:{tail[4:]}"


def tap_name(name: str, alias: str) -> str:
    """Of a tap that is made: 15 characters, which is all that Linux takes."""
    return f"vml-{_digest(name, alias)[:11]}"


def _digest(name: str, alias: str) -> str:
    return sha256(f"{name}/{alias}".encode())


def cid_of(spec: VmSpec) -> int | None:
    """The guest's context id; one that follows from the VM's name where the spec leaves it to us."""
    if spec.vsock is None or spec.vsock.cid != AUTO:
        return None if spec.vsock is None else int(spec.vsock.cid)
    return _AUTO_CIDS[int(sha256(spec.name.encode())[:8], 16) % len(_AUTO_CIDS)]


def mtu_of(nic: Nic, serving: Serving | None) -> int | None:
    """What the spec says, else that of the bridge or tap; None: nobody knows, and the guest takes what is usual."""
    link = link_of(nic, serving)
    return nic.mtu or (link.mtu if link else None)


def link_of(nic: Nic, serving: Serving | None) -> Link | None:
    name = nic.bridge or nic.tap
    return next((one for one in serving.links if one.name == name), None) if serving and name else None
