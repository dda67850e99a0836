"""A host, what it can pass, and the kernels on it in, the text of a commented spec for it out. Pure.

It is valid as it stands, and takes nothing of the host: what a user might want is there in comments, to be uncommented.
"""

from __future__ import annotations

from collections import Counter

from launcher.host.class_names import class_name
from launcher.record import record
from launcher.report.frame import visible
from launcher.report.inventory import NAMELESS, called, mediated_name
from launcher.report.lines import wrapped
from launcher.spec.kinds import WORDS, is_of
from launcher.spec.yaml_words import text_everywhere
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from launcher.host.facts import HostFacts, MediatedDevice, PciFunction, Serving
    from launcher.report.inventory import Verdict
    from launcher.values import PciAddress

_WIDTH = 110
_MOST = 24  # devices and kernels that are listed
_MOST_MEMORY, _LEAST_MEMORY = 8 * GIB, 256 * MIB
_MOST_CPUS = 4
# Of two words the narrower; what has none of these is a device.
_ALIASES = tuple(word for word in ("nvme", "ethernet", "infiniband", "wifi", *WORDS) if word != "display")
_PLACEHOLDER = "./bzImage"
_WIDEST = 56  # columns of an entry, with what is behind it below each other
_LONGEST = 96  # of what is said of a device
_ATTACH = "companions: attach"
_DOCTOR = "`vmlaunch doctor --for devices` says what to do."


@record
class FoundKernel:
    """`initrd` is the initial RAM disk of the same version; `why`, what keeps this user or every guest from it."""

    path: str
    initrd: str = ""
    why: str = ""


def first_spec(
    name: str, host: HostFacts, verdicts: Mapping[PciAddress, Verdict], kernels: Sequence[FoundKernel]
) -> str:
    about = (
        f"A first spec for {host.name}, Linux {host.kernel}. `vmlaunch explain` tells the fields, and `vmlaunch plan` "
        "what `up` would do with them here. What is behind a # is not in the VM: take the # away where you want it."
    )
    parts = (_boot(kernels), _cpus_and_memory(host), _devices(host, verdicts), _served(host.serving))
    lines = [*_comment(about), "", f"name: {text_everywhere(name)}", *(line for part in parts for line in ("", *part))]
    return "\n".join(visible(line).rstrip() for line in lines) + "\n"


# ---- what starts ----


def _boot(kernels: Sequence[FoundKernel]) -> Iterator[str]:
    usable = [one for one in kernels if not one.why]
    first = usable[0] if usable else FoundKernel(_PLACEHOLDER)
    if not usable:
        yield from _comment(
            "No kernel was found that a guest of yours can start with: name one, a bzImage or a vmlinux."
        )
    yield "boot:"
    yield f"  kernel: {text_everywhere(first.path)}"
    yield f"  {'' if first.initrd else '# '}initrd: {text_everywhere(first.initrd or './initrd.img')}"
    yield "  cmdline: console=ttyS0      # with a disk, such as: console=ttyS0 root=/dev/vda1 ro"
    yield "  # Or, in place of all that, by the host's UEFI from a disk that has a boot loader: `boot: uefi`."
    others = [one for one in kernels if one.path != first.path]
    if others:
        yield "  # Other kernels here:"
    yield from (f"  #   {one.path}{f'   ({one.why})' if one.why else ''}" for one in others[:_MOST])


def _cpus_and_memory(host: HostFacts) -> Iterator[str]:
    count = len(host.process.cpus or host.cpus)
    cpus = max(1, min(_MOST_CPUS, count // 2))
    yield f"cpus: {cpus:<12} # of {count} here; `{{count: {cpus}, pin: ...}}` gives each one of its own"
    size = _LEAST_MEMORY
    while size * 2 <= min(_MOST_MEMORY, host.memory.available // 2):
        size *= 2
    shown = f"{size // GIB}GiB" if size >= GIB else f"{size // MIB}MiB"
    available, total = show_size(host.memory.available), show_size(host.memory.total)
    yield f"memory: {shown:<10} # {available} of {total} are available here"


# ---- devices ----


def _devices(host: HostFacts, verdicts: Mapping[PciAddress, Verdict]) -> Iterator[str]:
    general = {one.message: one for verdict in verdicts.values() for one in verdict.general}
    passable = list(_offered(host.pci, verdicts))
    if not passable and not host.mediated:
        yield from _comment("No device of this host can be passed to a guest: `vmlaunch devices` says why of each.")
        return
    if general:
        yield from _comment("No device of this host can be passed to a guest yet:")
        yield from (line for one in general.values() for line in _comment(f"- {one.message} ({one.code})"))
        yield from _comment(f"{_DOCTOR} Then a guest could have these, whole, and the host is without them meanwhile:")
    else:
        yield "# Devices of this host that a guest can have, whole. The host is without them while the VM is up."
    yield "# devices:"
    yield from _listed(passable[:_MOST], verdicts)
    yield from _mediated(host.mediated[:_MOST])
    if not any(one.name for one in host.pci):
        yield from _comment(NAMELESS)
    if len(passable) > _MOST:
        yield f"#   and {len(passable) - _MOST} more: `vmlaunch devices` lists them all"


def _mediated(devices: Sequence[MediatedDevice]) -> Iterator[str]:
    if devices:
        for number, one in enumerate(devices, 1):
            alias, about = f"mdev-{number}" if number > 1 else "mdev", mediated_name(one)
            yield f"#   {alias}: {{mdev: {text_everywhere(str(one.address), inside=True)}}}  # {about[:_LONGEST]}"


def _offered(functions: Iterable[PciFunction], verdicts: Mapping[PciAddress, Verdict]) -> Iterator[PciFunction]:
    """One function of a card whose others come with it."""
    with_others = set[str]()
    for one in functions:
        verdict = verdicts.get(one.address)
        if _can_be_passed(verdict) and str(one.address)[:-2] not in with_others:
            yield one
            if verdict and _ATTACH in verdict.wishes:
                with_others.add(str(one.address)[:-2])


def _can_be_passed(verdict: Verdict | None) -> bool:
    return verdict is not None and not verdict.bridge and not verdict.problems


def _listed(passable: Iterable[PciFunction], verdicts: Mapping[PciAddress, Verdict]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    rows = []
    for one in passable:
        kind = next((word for word in _ALIASES if is_of(word, one.class_code, one.id)), "device")
        seen[kind] += 1
        alias = kind if seen[kind] == 1 else f"{kind}-{seen[kind]}"
        wishes = verdicts[one.address].wishes
        address = text_everywhere(str(one.address), inside=True)
        entry = f"{{pci: {', '.join([address, *wishes])}}}" if wishes else address
        rows.append((f"{alias}: {entry}", _about(one)))
    width = min(_WIDEST, max((len(entry) for entry, _ in rows), default=0))
    yield from (f"#   {entry:{width}}  # {about}" for entry, about in rows)


def _about(one: PciFunction) -> str:
    uses = f", {one.uses[0].what}" if one.uses else ""
    group = "" if one.group is None else f", group {one.group}"
    what = one.name or f"{one.id} {class_name(one.class_code) or f'class {one.class_code}'}"
    known = ", ".join((what, *called(one)))
    whole = f"{known}{group}, {one.driver or 'no driver'}{uses}"
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 3]}..."


# ---- what is served ----


def _served(serving: Serving | None) -> Iterator[str]:
    """Where it was not recorded, nothing is said of what is missing."""
    bridges = [one.name for one in serving.links if one.kind == "bridge"] if serving else []
    bridge = text_everywhere(bridges[0] if bridges else "br0", inside=True)
    rows = (
        ("disks", "root: ./root.qcow2", "or a block device, such as /dev/vg0/root", "qemu-storage-daemon"),
        ("nics", "inet: user", "needs no rights", "passt"),
        ("", f"lan: {{bridge: {bridge}}}", "a bridge of the host", ""),
        ("shares", "work: ./work", "in the guest: mount -t virtiofs work /mnt", "virtiofsd"),
    )
    for section, entry, about, engine in rows:
        if section:
            yield f"# {section}:"
        yield f"#   {entry:24}  # {about}{_missing(engine, serving)}"
    yield "# vsock: true"


def _missing(engine: str, serving: Serving | None) -> str:
    there = serving is None or not engine or any(name == engine and one.path for name, one in serving.programs.items())
    return "" if there else f"; {engine} is not installed"


def _comment(text: str) -> Iterator[str]:
    yield from (f"# {line}" for line in wrapped("", text, _WIDTH))
