"""-m, -smp, -cpu, -machine and what backs memory in; in a draft what of it is said. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.qemu_options import Option
from launcher.foreign.sizes import of_qemu
from launcher.values import GIB, MIB

DEFAULT = 128 * MIB  # of a PC in QEMU
_GROWING = "the guest has all its memory and vCPUs from the start"
_BACKENDS = ("memory-backend-ram", "memory-backend-file", "memory-backend-memfd", "memory-backend-memfd-hugetlb")


# ---- memory ----


def read_memory(draft: Draft, options: Sequence[Option]) -> None:
    backends = [one for one in options if one.name == "object" and one.get("qom-type") in _BACKENDS]
    numa = [one for one in options if one.name == "numa" and one.get("type") == "node"]
    of_cells = [one for one in backends if one.get("id") in {cell.get("memdev") for cell in numa}]
    wanted = [one for one in options if one.name == "m"]
    for one in wanted:
        for key in ("maxmem", "slots"):
            if one.get(key):
                draft.lose(f"{key}={one.get(key)}", _GROWING, one.line, "memory")
    whole = next((one for one in reversed(wanted)), None)
    if len(of_cells) > 1 and any(_node(one) is not None for one in of_cells):
        for one in of_cells:
            _bank(draft, one, of_qemu(one.get("size"), 1), whole)
    else:
        _whole(draft, options, whole, backends)
    if numa:
        why = "the guest sees one NUMA node: banks of `memory` are of nodes of the host"
        draft.lose(f"{len(numa)} NUMA nodes", why, numa[0].line, "memory")


def _whole(draft: Draft, options: Sequence[Option], wanted: Option | None, backends: Sequence[Option]) -> None:
    size = of_qemu(wanted.get("size")) if wanted is not None else DEFAULT
    path = next((one for one in options if one.name == "mem-path"), None)
    if size is None:
        assert wanted is not None
        draft.lose(wanted.shown, "it is no size", wanted.line, "memory")
        return
    if backends:
        _bank(draft, backends[0], size, wanted)
        return
    line = wanted.line if wanted is not None else 1
    pages = _pages_at(draft, path.text, path.line) if path is not None else ""
    if wanted is None:
        draft.lose("no -m", "QEMU takes 128MiB then, and so does this spec", line, "memory")
    meaning.bank(draft, size, line, pages)


def _bank(draft: Draft, one: Option, size: int | None, wanted: Option | None) -> None:
    if not size:
        size = of_qemu(wanted.get("size")) if wanted is not None else None
    pages = ""
    if one.get("mem-path"):
        pages = _pages_at(draft, one.get("mem-path"), one.line)
    elif one.is_on("hugetlb"):
        pages = meaning.huge_pages(draft, of_qemu(one.get("hugetlbsize"), 1) or None, one.line)
    meaning.bank(draft, size or DEFAULT, one.line, pages, _node(one))


def _node(one: Option) -> int | None:
    """Of one node of the host, strictly."""
    nodes = one.get("host-nodes", "host-nodes.0")
    return int(nodes) if re.fullmatch("[0-9]{1,4}", nodes) and one.get("policy") in ("bind", "") else None


def _pages_at(draft: Draft, path: str, line: int) -> str:
    """By the names that mounts of hugetlbfs have; a file elsewhere is no huge page."""
    if re.search(r"1048576kB|1G", path):
        return meaning.huge_pages(draft, GIB, line)
    if re.search(r"2048kB|2M", path):
        return meaning.huge_pages(draft, 2 * MIB, line)
    if "huge" in path:
        return meaning.huge_pages(draft, None, line)
    draft.lose(f"memory in {path}", "the guest's memory is anonymous, or of huge pages", line, "memory")
    return ""


# ---- vCPUs ----


def read_cpus(draft: Draft, options: Sequence[Option]) -> None:
    draft.cpus["count"] = 1
    for one in options:
        if one.name == "smp":
            _smp(draft, one)
        elif one.name == "cpu":
            _cpu(draft, one)


def _smp(draft: Draft, one: Option) -> None:
    """Without a number of vCPUs there are as many as the parts make."""
    parts = dict(_numbers(one))
    made = 1
    for key in ("sockets", "dies", "clusters", "modules", "cores", "threads"):
        made *= parts.get(key, 1)
    count = parts.get("cpus", made)
    draft.cpus["count"] = count
    if parts.get("maxcpus", count) != count:
        draft.lose(f"maxcpus={parts['maxcpus']}", _GROWING, one.line, "cpus")
    if len(parts.keys() & {"sockets", "cores", "threads"}) > 1:
        meaning.topology(draft, count, parts, one.line)
    if "cpus" in one.values and "cpus" not in parts:
        draft.lose(one.shown, "it is no number", one.line, "cpus")


def _numbers(one: Option) -> Iterator[tuple[str, int]]:
    for key, value in one.values.items():
        if re.fullmatch("[1-9][0-9]{0,4}", value):
            yield key, int(value)


def _cpu(draft: Draft, one: Option) -> None:
    model, *features = one.text.split(",")
    asked = [word.strip().removesuffix("=on") for word in features]
    nested = [word for word in asked if word in ("+vmx", "+svm", "vmx", "svm")]
    if nested:
        draft.cpus["nested"] = True
    rest = [word for word in asked if word not in nested and word not in ("", "migratable=off", "-vmx", "-svm")]
    if model in ("host", "max"):
        if not nested:
            draft.skip(f"-cpu {model}", "it is so here, but for VMX and SVM: `nested: true`", one.line)
    else:
        why = "the guest sees the host's processor: there are no models of others"
        draft.lose(f"-cpu {model}", why, one.line, "cpus")
    if rest:
        why = "no feature of the host's processor is added or taken, and KVM is not hidden"
        draft.lose(f"the processor's {','.join(rest)}", why, one.line, "cpus")


# ---- the rest ----


def _machine(draft: Draft, one: Option) -> None:
    draft.skip(f"the machine {one.get('type') or one.text}", "the guest's board is vmlaunch's own", one.line)
    if word := one.get("confidential-guest-support", "memory-encryption"):
        why = "the guest's memory is not encrypted: SEV and TDX are not supported"
        draft.lose(f"-{one.name} ...={word}", why, one.line)
    if (accel := one.get("accel")) and "kvm" not in accel:
        draft.lose(f"accel={accel}", "the guest is run by KVM, and by nothing else", one.line)


def _no_reboot(draft: Draft, one: Option) -> None:
    draft.lose("-no-reboot", "it is said where the VM is started: `vmlaunch up --no-reboot`", one.line)


def _accel(draft: Draft, one: Option) -> None:
    if one.get("accel").startswith("kvm"):
        draft.skip(one.shown, "the guest is run by KVM, always", one.line)
    else:
        draft.lose(one.shown, "the guest is run by KVM, and by nothing else", one.line)


def _global(draft: Draft, one: Option) -> None:
    if re.search(r"cfi\.pflash01.*\bsecure\b.*(on|true|yes|1)$", one.text):
        meaning.secure_boot(draft, one.line)
    else:
        draft.lose(one.shown, "a setting of a device of QEMU's has no device here", one.line)


MACHINE: dict[str, Callable[[Draft, Option], None]] = {
    "no-reboot": _no_reboot,
    "accel": _accel,
    "global": _global,
    "machine": _machine,
    "M": _machine,
}
