"""The name of a fact in, the fact out. Pure.

Names are those of the facts file: `pci[0000:c1:00.0].driver`, `nodes[1].huge_pages[1073741824].free`. What follows
from several facts has a name, too: `process.lockable`; and so has a question about all functions, whose answer are
addresses: `pci[class=03 node=1]`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from launcher.host.facts import HostFacts, IommuUnit, Limit, Linux, Memory, PciFunction, Process, Serving
from launcher.planner.backend import own_node
from launcher.planner.functions import is_kind
from launcher.planner.keeping import name_of
from launcher.planner.linux import release
from launcher.planner.modules import nodes_obtainable, obtainable
from launcher.planner.needs import free_vectors, tasks_left
from launcher.planner.served_by import MADE
from launcher.planner.waiting import drm_clients
from launcher.record import fields, is_record, replace
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import PciAddress

if TYPE_CHECKING:
    from launcher.host.facts import DeviceNode
    from launcher.images.boot_files import BootFiles

_IN_NAMES = "abcdefghijklmnopqrstuvwxyz_0123456789"


def _huge_pages(host: HostFacts) -> dict[str, int]:
    """Of each size those of all nodes that are free and promised to nobody."""
    found: dict[str, int] = defaultdict(int)
    for pool in (pool for node in host.nodes for pool in node.huge_pages):
        found[str(pool.size)] += pool.free
    return {size: free - host.memory.reserved_huge_pages.get(size, 0) for size, free in found.items()}


def _limit(amount: int | None) -> int:
    """None is unlimited: more than anybody asks for."""
    return 1 << 63 if amount is None else amount


def _own_nodes(host: HostFacts) -> dict[str, DeviceNode]:
    """By the addresses of the devices: their names are others after each bind."""
    nodes = {one.path: one for one in host.device_nodes or ()}
    functions = {str(one.address): own_node(one) for one in host.pci}
    found = functions | {str(one.address): own_node(one) for one in host.mediated}
    return {address: nodes[path] for address, path in found.items() if path in nodes}


# Module parameters that a plan looks at, and what they are while their module is not loaded, or was given no other.
_OPTIONS = {
    "vfio.enable_unsafe_noiommu_mode": "N",
    "vfio_iommu_type1.allow_unsafe_interrupts": "N",
    "vfio_iommu_type1.dma_entry_limit": "65535",
    "vfio_pci.disable_denylist": "N",
    "vfio_pci.disable_vga": "N",
    "vfio_pci.nointxmask": "N",
}

_FOLLOWS: dict[tuple[type, str], Callable[[Any], Any]] = {
    (HostFacts, "release"): lambda host: ".".join(map(str, release(host.kernel))),
    (HostFacts, "cpu_count"): lambda host: len(host.cpus),
    (HostFacts, "free_vectors"): free_vectors,
    (HostFacts, "own_nodes"): _own_nodes,
    (HostFacts, "huge_pages"): _huge_pages,
    (IommuUnit, "domains_left"): lambda unit: (unit.most_domains or 0) - (unit.domains or 0),
    (Limit, "left"): lambda limit: limit.maximum - limit.current,
    (Linux, "drm_clients"): lambda linux: tuple(drm_clients(linux)),
    (Linux, "obtainable"): obtainable,
    (Linux, "options"): lambda linux: {name: linux.parameters.get(name, usual) for name, usual in _OPTIONS.items()},
    (Memory, "promisable"): lambda memory: memory.commit_limit - memory.committed,
    (Process, "lockable"): lambda process: _limit(process.memlock) - process.locked,
    (Process, "pinnable"): lambda process: _limit(process.memlock) - process.pinned,
    (Process, "mappable"): lambda process: _limit(process.address_space),
    (Process, "openable"): lambda process: _limit(process.open_files),
    (Process, "tasks_left"): tasks_left,
    (Process, "cpu_count"): lambda process: len(process.cpus),
    (Serving, "makes_name_spaces"): lambda serving: serving.name_space in (None, MADE),
    (Serving, "obtainable"): nodes_obtainable,
    (Serving, "writable"): lambda serving: _limit(serving.file_size),
}

_HAS: dict[str, Callable[[PciFunction, str], bool]] = {
    "bus": lambda one, text: str(one.address).startswith(f"{text}:"),
    "class": is_kind,
    "device": lambda one, text: str(one.address).startswith(f"{text}."),
    "driver": lambda one, text: one.driver == text,
    "id": lambda one, text: one.id == text,
    "irq": lambda one, text: str(one.irq) == text,
    "node": lambda one, text: str(one.node) == text,
    "pf": lambda one, text: str(one.physical_function) == text,
    "serial": lambda one, text: one.serial == text,
    "slot": lambda one, text: one.slot == text,
}
_SAFE = ":-._"  # what a question does not escape
_HALVES = "surrogatepass"


def question(**wanted: object) -> str:
    """`pci[class=03 node=1]`: which functions have these properties; `first` cuts the answer short."""
    given = ((key.rstrip("_"), value) for key, value in wanted.items() if value is not None)
    return f"pci[{' '.join(f'{key}={_quoted(str(value))}' for key, value in given)}]"


def _quoted(text: str) -> str:
    """A saved plan that was edited may have half of a character."""
    from urllib.parse import quote  # here and below: few plans ask for a function by what it is

    return quote(text, safe=_SAFE, errors=_HALVES)


def _asked(key: str) -> dict[str, str]:
    """ValueError: what is quoted is no text."""
    from urllib.parse import unquote

    words = (word.partition("=") for word in key.split())
    return {name: unquote(text, errors=_HALVES) for name, _, text in words}


def _of_disks(kind: type, name: str) -> Callable[[Any], Any] | None:
    """Not imported where a plan has nothing of it."""
    if kind.__name__ not in ("Disk", "Serving"):
        return None
    from launcher.planner.disk_state import FOLLOWS

    return FOLLOWS.get((kind, name))


def _without(name: str, host: HostFacts) -> HostFacts:
    """As if the VM of this name were not up."""
    serving = host.serving
    own = next((vm for vm in serving.vms if vm.name == name), None) if serving else None
    if serving is None or own is None:
        return host
    links = tuple(replace(one, attached=False) if one.name in own.taps else one for one in serving.links)
    others = tuple(vm for vm in serving.vms if vm is not own)
    return replace(host, serving=replace(serving, links=links, vms=others))


def _parts(fact: str) -> Iterator[tuple[str, str, int]]:
    """Each name, or each key in brackets, and where it ends."""
    at = 0
    while at < len(fact):
        if fact[at] == "[" and (end := fact.find("]", at)) > at + 1:
            yield "", fact[at + 1 : end], end + 1
            at = end + 1
        elif fact[at] in _IN_NAMES:
            end = at + 1
            while end < len(fact) and fact[end] in _IN_NAMES:
                end += 1
            yield fact[at:end], "", end
            at = end
        else:
            at += 1


class NamedFacts:
    """The facts of one host, by name. Long lists are put in order once."""

    def __init__(self, host: HostFacts, files: BootFiles, name: str = "") -> None:
        """`name`: of the VM, whose own being up is no fact of the host."""
        self._host, self._files = _without(name, host), files
        self._by_name: dict[int, dict[str, Any]] = {}
        self._children: dict[str, list[PciFunction]] = {}

    def find(self, fact: str) -> Any:
        """None for what is not there."""
        value: Any = self._host
        for name, key, _ in _parts(fact):
            value = self._files if (value is self._host and name == "files") else self._step_into(value, name, key)
        return value

    def _step_into(self, value: Any, name: str, key: str) -> Any:
        if isinstance(value, tuple):
            return self._answer(key) if "=" in key else self._named(value).get(key)
        if isinstance(value, dict):
            return value.get(key or name)
        follows = _FOLLOWS.get((type(value), name)) or _of_disks(type(value), name)
        if follows:
            return follows(value)
        return getattr(value, name) if is_record(value) and name in fields(value) else None

    def _named(self, items: tuple[Any, ...]) -> dict[str, Any]:
        if id(items) not in self._by_name:
            self._by_name[id(items)] = {name_of(one): one for one in items}
        return self._by_name[id(items)]

    def _answer(self, key: str) -> tuple[PciAddress, ...] | None:
        """None: no `question` is asked like this."""
        found = self._host.pci
        try:
            wanted = _asked(key)
            most = int(wanted.pop("first", len(found)))
        except ValueError:
            return None
        if not wanted.keys() <= {*_HAS, "below"}:
            return None
        if top := wanted.pop("below", None):
            found = self._below(top)
        for name, text in wanted.items():
            found = tuple(one for one in found if _HAS[name](one, text))
        return tuple(one.address for one in found[:most])

    def _below(self, top: str) -> tuple[PciFunction, ...]:
        """Through all buses."""
        if not self._children:
            for one in self._host.pci:
                self._children.setdefault(str(one.parent), []).append(one)
        waiting, found = [top], dict[PciAddress, PciFunction]()
        while waiting:
            new = {one.address: one for one in self._children.get(waiting.pop(), ()) if one.address not in found}
            found |= new
            waiting += map(str, new)
        return tuple(found[address] for address in sorted(found))


def around(fact: str) -> Iterator[str]:
    """What it is a part of, the largest first: `pci`, `pci[0000:c1:00.0]`."""
    ends = [end for _, _, end in _parts(fact)]
    return (fact[:end] for end in ends[:-1])
