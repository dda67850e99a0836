"""A host and what the planner's rules find on it in; a line PASS, WARN or FAIL for each subject out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from launcher.report.frame import visible
from launcher.report.lines import WIDE, wrapped
from launcher.report.plan_text import count
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts

Level = Literal["PASS", "WARN", "FAIL"]

_TINTS: dict[str, str] = {"PASS": "\033[32m", "WARN": "\033[33m", "FAIL": "\033[31m"}
_PLAIN = "\033[0m"


@dataclass(frozen=True, slots=True)
class Check:
    """`code` and `remedy` are there for WARN and FAIL."""

    level: Level
    subject: str
    fact: str
    code: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """`codes`: the findings that belong to it. `fact`: what is so when there is none; None, nothing is known of it."""

    name: str
    codes: frozenset[str]
    fact: Callable[[HostFacts], str | None]


def examine(host: HostFacts, found: Iterable[Diagnostic]) -> tuple[Check, ...]:
    """In the order of the table. Findings that no subject claims are about a device or a spec."""
    known = tuple(dict.fromkeys(found))
    return tuple(check for subject in SUBJECTS for check in _checks(subject, host, known))


def _checks(subject: Subject, host: HostFacts, found: tuple[Diagnostic, ...]) -> Iterator[Check]:
    mine = [one for one in found if one.code in subject.codes]
    for one in mine:
        remedy = one.help[0] if one.help else one.fix and f"`{one.fix}`"
        yield Check("WARN" if one.severity == "warning" else "FAIL", subject.name, one.message, one.code, remedy)
    if not mine and (fact := subject.fact(host)) is not None:
        yield Check("PASS", subject.name, fact)


def doctor_text(checks: Iterable[Check], *, colour: bool = False, width: int = WIDE) -> str:
    return "\n".join(line for one in checks for line in _lines(one, colour, width))


def _lines(one: Check, colour: bool, width: int) -> Iterator[str]:
    code = f" ({one.code})" if one.code else ""
    first, *rest = wrapped(f"{one.level}  ", visible(f"{one.subject}: {one.fact}{code}"), width)
    yield f"{_TINTS[one.level]}{one.level}{_PLAIN}{first[4:]}" if colour else first
    yield from rest
    if one.remedy:
        yield from wrapped("      -> ", visible(one.remedy), width)


def doctor_closing(checks: tuple[Check, ...]) -> str:
    failed, warned = (sum(one.level == level for one in checks) for level in ("FAIL", "WARN"))
    more = " `vmlaunch explain CODE` says more about each." if failed or warned else ""
    return f"{count(failed, 'failure')}, {count(warned, 'warning')}.{more}"


# ---- what is so ----


def _cpus(host: HostFacts) -> str | None:
    """Without SVM and VT-x it is KVM that says what is wrong."""
    if not host.firmware.virtualization:
        return None
    return f"{host.architecture}, {count(len(host.cpus), 'CPU')}, SVM or VT-x"


def _kvm(host: HostFacts) -> str | None:
    return None if isinstance(host.kvm, Missing) else "/dev/kvm can be opened"


def _capabilities(host: HostFacts) -> str | None:
    if isinstance(host.kvm, Missing):
        return None
    most = host.kvm.extensions.get("max_vcpus", 0)
    return f"API version {host.kvm.api_version}, {most} vCPUs at most, guest addresses of {host.kvm.physical_bits} bits"


def _iommu(host: HostFacts) -> str | None:
    if host.iommu is None:
        return None
    bits = f", {host.iommu.address_bits} bits" if host.iommu.address_bits else ""
    return f"{host.iommu.kind}{bits}, {count(len(host.groups), 'group')}"


def _remapping(host: HostFacts) -> str | None:
    return "interrupts are remapped" if host.linux.remapping else None


def _modules(host: HostFacts) -> str | None:
    known = host.linux.modules
    loaded = sorted(name for name in known or () if name.startswith("vfio") or name == "iommufd")
    return None if known is None else f"loaded: {', '.join(loaded)}" if loaded else "not loaded; `up` loads them"


def _vfio_pci(host: HostFacts) -> str | None:
    known = host.linux.drivers
    if known is None:
        return None
    bound = sum(one.driver == "vfio-pci" for one in host.pci)
    return f"{count(bound, 'function')} bound to it" if "vfio-pci" in known else "not there until vfio_pci is loaded"


def _permissions(host: HostFacts) -> str | None:
    """What others than root may do is only seen at a device that could be passed."""
    if host.process.uid == 0:
        return "root"
    return f"uid {host.process.uid} may do what it takes" if host.groups else None


def _locked(host: HostFacts) -> str:
    limit = "unlimited" if host.process.memlock is None else show_size(host.process.memlock)
    return f"{limit}, and CAP_IPC_LOCK lifts it" if "cap_ipc_lock" in host.process.capabilities else limit


def _cgroup(host: HostFacts) -> str:
    limit, huge = host.process.memory_limit, host.process.huge_limits
    parts = [f"{show_size(limit.current)} of {show_size(limit.maximum)} in {limit.cgroup}"] if limit else []
    parts += [f"{show_size(int(size))} pages: {show_size(one.maximum)}" for size, one in huge.items()]
    return "; ".join(parts) or "no limit on memory or huge pages"


def _huge_pages(host: HostFacts) -> str:
    pools = [(pool, node) for node in host.nodes for pool in node.huge_pages if pool.total]
    said = (f"{pool.free} of {pool.total} x {show_size(pool.size)} free on node {node.id}" for pool, node in pools)
    return "; ".join(said) or "none reserved; `pages: 2MiB` and `1GiB` need them"


def _thp(host: HostFacts) -> str | None:
    return None if isinstance(host.memory.thp, Missing) else host.memory.thp


def _memory(host: HostFacts) -> str:
    return f"{_about(host.memory.available)} of {_about(host.memory.total)} available"


def _about(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def _files(host: HostFacts) -> str:
    return "unlimited" if host.process.open_files is None else f"{host.process.open_files} open files"


def _lockdown(host: HostFacts) -> str | None:
    mode = host.linux.lockdown
    return mode if mode in (None, "none") else f"{mode}; VFIO works all the same"


SUBJECTS = (
    Subject("CPU virtualization", frozenset({"E405"}), _cpus),
    Subject("KVM", frozenset({"E401", "E402", "E403"}), _kvm),
    Subject("KVM capabilities", frozenset({"E404"}), _capabilities),
    Subject("IOMMU", frozenset({"E209", "E220", "E221", "E222", "E223", "E227"}), _iommu),
    Subject("interrupt remapping", frozenset({"E225", "E226"}), _remapping),
    Subject("VFIO modules", frozenset({"E224"}), _modules),
    Subject("vfio-pci", frozenset(), _vfio_pci),
    Subject("permissions", frozenset({"E228", "W220", "W221"}), _permissions),
    Subject("locked memory limit", frozenset({"E309"}), _locked),
    Subject("cgroup limits", frozenset({"E313", "W313", "E314"}), _cgroup),
    Subject("open files limit", frozenset({"W260"}), _files),
    Subject("huge pages", frozenset({"E302", "E303"}), _huge_pages),
    Subject("transparent huge pages", frozenset({"W301"}), _thp),
    Subject("memory", frozenset({"E304", "W302", "E315", "W315"}), _memory),
    Subject("DMA mappings", frozenset({"E316", "W316"}), lambda _: None),
    Subject("interrupt vectors", frozenset({"W259"}), lambda _: None),
    Subject("isolation", frozenset({"W231"}), lambda _: None),
    Subject("sleep", frozenset({"W222"}), lambda _: None),
    Subject("state folder", frozenset({"E424"}), lambda host: host.process.state_folder),
    Subject("lockdown", frozenset(), _lockdown),
    Subject("not read", frozenset({"W216"}), lambda _: None),
    Subject("leftovers", frozenset({"W232", "W233", "W502"}), lambda _: "none"),
)
