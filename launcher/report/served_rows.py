"""A plan in, what it says of disks, NICs, shares and vsock out: a row each, for text and picture. Pure.

The spec in the plan says which there are; its steps say what became of them.
"""

from __future__ import annotations

from launcher.plan.seed import StartSeedEngine
from launcher.plan.virtio import (
    AddVirtio,
    ConnectEngine,
    MakeTap,
    OpenTap,
    StartDiskEngine,
    StartShareEngine,
    StartUserNetwork,
)
from launcher.record import record
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from launcher.plan.plan import Plan
    from launcher.plan.step import Step
    from launcher.plan.virtio import ServedDisk, Virtio

# Key of the spec -> what it is called, and what its second column says.
HEADS = {
    "disks": ("Disks", "image"),
    "nics": ("NICs", "network"),
    "shares": ("Shares", "folder"),
    "vsock": ("Vsock", "context id"),
    "cloud-init": ("Cloud-init", "files"),
}
NOUNS = {"disks": "disk", "nics": "NIC", "shares": "share"}


@record
class ServedRow:
    """`what` it is on the host, `engine` who works on its queues, `guest` where it is; both empty where nobody does."""

    kind: str
    alias: str
    what: str
    engine: str
    guest: PciAddress | None

    @property
    def place(self) -> str:
        return self.guest.guest if self.guest else "-"


def served_rows(plan: Plan) -> tuple[ServedRow, ...]:
    functions = {one.alias: one for step in plan.steps if isinstance(step, AddVirtio) for one in step.functions}
    brought = {alias: found for step in plan.steps for alias, found in _brought(step)}
    rows = []
    for kind, alias, said in _entries(plan):
        function = functions.get(alias)
        by_kernel = (str(function.cid), function.engine) if function else ("", "")
        what, engine = brought.get(alias, by_kernel if kind == "vsock" else ("", ""))
        more = _of_nic(function) if function else ()
        whole = ", ".join([what or _WISHES[kind](said), *more])
        rows.append(ServedRow(kind, alias, whole, engine, function.guest if function else None))
    return tuple(rows)


def _entries(plan: Plan) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for kind in NOUNS:
        yield from ((kind, alias, said) for alias, said in (plan.spec.resolved.get(kind) or {}).items())
    for key in ("vsock", "cloud-init"):
        if (said := plan.spec.resolved.get(key)) is not None:
            yield key, key, said


def _brought(step: Step) -> Iterator[tuple[str, tuple[str, str]]]:
    """Alias, what it is, who serves it."""
    if isinstance(step, StartDiskEngine):
        yield from ((one.alias, (_image(one), f"qemu-storage-daemon, uid {step.uid}")) for one in step.disks)
    elif isinstance(step, StartShareEngine):
        yield step.alias, (_with(step.path, "read-only" * step.readonly), f"virtiofsd, uid {step.uid}")
    elif isinstance(step, StartSeedEngine):
        yield step.alias, (", ".join(one.name for one in step.files), f"qemu-storage-daemon, uid {step.uid}")
    elif isinstance(step, StartUserNetwork):
        yield step.alias, ("user", f"passt, {step.user}")
    elif isinstance(step, MakeTap):
        yield step.alias, (f"bridge {step.bridge}", f"vhost-net, tap {step.tap}")
    elif isinstance(step, OpenTap):
        yield step.alias, (f"tap {step.tap}", "vhost-net")
    elif isinstance(step, ConnectEngine):
        yield step.alias, (f"socket {step.socket}", "yours, by vhost-user")


def _image(one: ServedDisk) -> str:
    first, *below = one.images or (None,)
    based = f"on {len(below)} more" if below else ""
    return _with(first.path if first else "", first.format if first else "", based, "read-only" * one.readonly)


def _with(*words: str) -> str:
    return ", ".join(word for word in words if word)


def _of_nic(one: Virtio) -> Iterator[str]:
    yield from [one.mac] if one.mac else []
    yield from [f"MTU {one.mtu}"] if one.mtu not in (None, _USUAL_MTU) else []


_USUAL_MTU = 1500


def _wish_of_nic(said: Mapping[str, Any]) -> str:
    ways = (f"{key} {said[key]}" for key in ("bridge", "tap", "socket") if said.get(key))
    return next(ways, "user")


def _wish_of_disk(said: Mapping[str, Any]) -> str:
    return str(said.get("path") or f"socket {said.get('socket')}")


_WISHES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "disks": _wish_of_disk,
    "nics": _wish_of_nic,
    "shares": lambda said: str(said.get("path")),
    "vsock": lambda said: str(said.get("cid")),
    "cloud-init": lambda said: str(said.get("user-data")),
}
