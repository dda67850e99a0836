"""A host and what the planner's rules find on it in; a line PASS, WARN or FAIL for each subject out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from launcher.host.facts import ENGINES
from launcher.planner.choose_backend import usual_backend
from launcher.planner.modules import unloaded
from launcher.record import record, replace
from launcher.report.frame import visible
from launcher.report.lines import WIDE, count, wrapped
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts

Level = Literal["PASS", "WARN", "FAIL"]

_TINTS: dict[str, str] = {"PASS": "\033[32m", "WARN": "\033[33m", "FAIL": "\033[31m"}
_PLAIN = "\033[0m"
_OF_ENGINES = frozenset({"E630", "E631", "E632", "E633"})
DISKS, SHARES, USER_NETWORK = ENGINES


@record
class Check:
    """`code` and `remedy` are there for WARN and FAIL."""

    level: Level
    subject: str
    fact: str
    code: str | None = None
    remedy: str | None = None


@record
class Subject:
    """`codes`: the findings that belong to it; `word`: only those that have it in their message.

    `fact`: what is so when there is none; None, nothing is known of it. Nor is it when one of `needs` has failed.
    `wish`: VMs can do without it, so that it is no failure. `only`: what needs it, if not all VMs do.
    """

    name: str
    codes: frozenset[str]
    fact: Callable[[HostFacts], str | None]
    needs: tuple[str, ...] = ()
    word: str = ""
    wish: bool = False
    only: str = ""

    def claims(self, one: Diagnostic) -> bool:
        return one.code in self.codes and self.word in one.message


def examine(host: HostFacts, found: Iterable[Diagnostic], wanted: Sequence[str] = ()) -> tuple[Check, ...]:
    """In the order of the table; the first subject that claims a finding has it, and what none claims is about a
    device or a spec. `wanted`: what none of these needs is left out, and what one needs is no wish."""
    left, failed = dict.fromkeys(found), set[str]()
    checks: list[Check] = []
    for subject in _subjects(wanted):
        mine = [one for one in left if subject.claims(one)]
        left = {one: None for one in left if one not in mine}
        checks += [_finding(subject, one) for one in mine] or _passed(subject, host, failed)
        failed |= {subject.name} if any(one.severity == "error" for one in mine) and not subject.wish else set()
    return tuple(checks)


def _subjects(wanted: Sequence[str]) -> Iterator[Subject]:
    for one in SUBJECTS:
        if not wanted or one.only in ("", *wanted):
            yield replace(one, wish=one.wish and not wanted)


def _finding(subject: Subject, one: Diagnostic) -> Check:
    remedy = one.help[0] if one.help else one.fix and f"`{one.fix}`"
    level: Level = "WARN" if one.severity == "warning" or subject.wish else "FAIL"
    return Check(level, subject.name, one.message, one.code, remedy)


def _passed(subject: Subject, host: HostFacts, failed: set[str]) -> list[Check]:
    """What rests on something that failed passes nothing."""
    fact = None if failed.intersection(subject.needs) else subject.fact(host)
    return [] if fact is None else [Check("PASS", subject.name, fact)]


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
    """What is not loaded passes only if it is known that it can be."""
    known, left = host.linux.modules, unloaded(host.linux, usual_backend(host))
    if known is None or (left and not isinstance(host.linux.loadable, tuple)):
        return None
    loaded = sorted(name for name in known if name.startswith("vfio") or name == "iommufd")
    said = (f"loaded: {', '.join(loaded)}" if loaded else "", f"`up` loads {', '.join(left)}" if left else "")
    return "; ".join(filter(None, said))


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


def _engine(name: str) -> Callable[[HostFacts], str | None]:
    def fact(host: HostFacts) -> str | None:
        found = host.serving.programs.get(name) if host.serving else None
        return " ".join(filter(None, (found.path, found.version))) if found else None

    return fact


def _networks(host: HostFacts) -> str | None:
    if host.serving is None:
        return None
    bridges = [one.name for one in host.serving.links if one.kind == "bridge"]
    return f"vhost-net; bridges: {', '.join(bridges[:8])}" if bridges else "vhost-net; no bridge"


def _vsock(host: HostFacts) -> str | None:
    return "/dev/vhost-vsock" if host.serving else None


def _boot_firmware(kind: str) -> Callable[[HostFacts], str | None]:
    def fact(host: HostFacts) -> str | None:
        return next((one.path for one in host.boot_firmware or () if one.kind == kind and not one.smm), None)

    return fact


SUBJECTS = (
    Subject("CPU virtualization", frozenset({"E405"}), _cpus),
    Subject("KVM", frozenset({"E401", "E402", "E403"}), _kvm),
    Subject("KVM capabilities", frozenset({"E404"}), _capabilities, ("KVM",)),
    Subject("IOMMU", frozenset({"E209", "E220", "E221", "E222", "E223", "E227"}), _iommu, word="IOMMU", only="devices"),
    Subject("interrupt remapping", frozenset({"E225", "E226"}), _remapping, ("IOMMU",), only="devices"),
    Subject("VFIO modules", frozenset({"E222", "E224"}), _modules, only="devices"),
    Subject("vfio-pci", frozenset(), _vfio_pci, ("VFIO modules",), only="devices"),
    Subject(
        "permissions", frozenset({"E228", "W220", "W221"}), _permissions, ("IOMMU", "VFIO modules"), only="devices"
    ),
    Subject("locked memory limit", frozenset({"E309"}), _locked, only="devices"),
    Subject("cgroup limits", frozenset({"E313", "W313", "E314"}), _cgroup),
    Subject("open files limit", frozenset({"W260"}), _files),
    Subject("huge pages", frozenset({"E302", "E303"}), _huge_pages),
    Subject("transparent huge pages", frozenset({"W301"}), _thp),
    Subject("memory", frozenset({"E304", "W302", "E315", "W315"}), _memory),
    Subject("DMA mappings", frozenset({"E316", "W316"}), lambda _: None, only="devices"),
    Subject("interrupt vectors", frozenset({"W259"}), lambda _: None, only="devices"),
    Subject("isolation", frozenset({"W231"}), lambda _: None, only="devices"),
    Subject("sleep", frozenset({"W222"}), lambda _: None, only="devices"),
    Subject("disks", _OF_ENGINES, _engine(DISKS), word=DISKS, wish=True, only="disks"),
    Subject("shares", _OF_ENGINES | {"E657"}, _engine(SHARES), word=SHARES, wish=True, only="shares"),
    Subject("networks", frozenset({"E642", "E643", "E644"}), _networks, word="net", wish=True, only="nics"),
    Subject("networks of users", _OF_ENGINES, _engine(USER_NETWORK), word=USER_NETWORK, wish=True, only="user-nics"),
    Subject("vsock", frozenset({"E642", "E643"}), _vsock, wish=True, only="vsock"),
    Subject(
        "UEFI for guests", frozenset({"E450", "E451"}), _boot_firmware("uefi"), word="OVMF", wish=True, only="uefi"
    ),
    Subject("BIOS for guests", frozenset({"E450"}), _boot_firmware("bios"), word="SeaBIOS", wish=True, only="bios"),
    Subject("state folder", frozenset({"E424", "E541"}), lambda host: host.process.state_folder),
    Subject("lockdown", frozenset(), _lockdown),
    Subject("not read", frozenset({"W216"}), lambda _: None),
    Subject("leftovers", frozenset({"W232", "W233", "W502", "W540", "W541", "W542", "E512"}), lambda _: "none"),
)
