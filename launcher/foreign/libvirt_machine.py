"""Memory, vCPUs and features of a domain in; in a draft what of it is said. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.libvirt_words import shown
from launcher.foreign.sizes import of_libvirt
from launcher.foreign.xml_tree import Element

_FLOATING = (
    "a vCPU is pinned to one CPU of the host, or to none: the kernel chooses, and systemd's CPUAffinity= bounds it"
)
_NO_NODES = "the guest sees one NUMA node: banks of `memory` are of nodes of the host"
_GROWING = "the guest has all its memory and vCPUs from the start"


# ---- memory ----


def read_memory(draft: Draft, domain: Element) -> None:
    backing = domain.first("memoryBacking")
    pages = _pages(draft, backing) if backing is not None else ""
    cells = {one.get("id", str(number)): one for number, one in enumerate(domain.all("cpu/numa/cell"))}
    nodes = {one.get("cellid"): one for one in domain.all("numatune/memnode")}
    sizes = [(key, one.line, of_libvirt(one.get("memory"), one.get("unit", "KiB"))) for key, one in cells.items()]
    if cells and nodes and all(size for _, _, size in sizes):
        for key, line, size in sizes:
            meaning.bank(draft, size or 0, line, pages, _node(draft, nodes[key]) if key in nodes else None)
    elif (whole := domain.first("memory")) is not None:
        _whole(draft, whole, pages, domain.first("numatune/memory"))
    if cells:
        draft.lose(f"{len(cells)} NUMA cells", _NO_NODES, next(iter(cells.values())).line, "memory")
    _sizes_beside(draft, domain)


def _whole(draft: Draft, memory: Element, pages: str, tuned: Element | None) -> None:
    size = of_libvirt(memory.text, memory.get("unit", "KiB"))
    node = _node(draft, tuned) if tuned is not None else None
    if size:
        meaning.bank(draft, size, memory.line, pages, node)
    else:
        draft.lose(f"the memory {memory.text!r}", "it is no size", memory.line, "memory")


def _node(draft: Draft, tuned: Element) -> int | None:
    nodes, mode = tuned.get("nodeset"), tuned.get("mode", "strict")
    if re.fullmatch("[0-9]{1,4}", nodes) and mode == "strict":
        return int(nodes)
    why = "a bank's memory comes from one node of the host, strictly, or from any"
    draft.lose(f"memory of the nodes {nodes or tuned.get('placement')} ({mode})", why, tuned.line, "memory")
    return None


def _pages(draft: Draft, backing: Element) -> str:
    found = ""
    for child in backing.children:
        if child.tag == "hugepages":
            found = _huge(draft, child)
        elif child.tag == "nosharepages":
            draft.lose("<nosharepages>", "KSM is left as the host has it", child.line, "memory")
        else:
            why = "memory is shared with engines where they need it, and locked where a device is passed"
            draft.skip(f"<{child.tag}> of memory", why, child.line)
    return found


def _huge(draft: Draft, hugepages: Element) -> str:
    pages = list(hugepages.all("page"))
    if len(pages) > 1:
        why = "a bank has pages of one size: write a bank for each"
        draft.lose("huge pages of several sizes", why, hugepages.line, "memory")
    sizes = [of_libvirt(one.get("size"), one.get("unit", "KiB")) for one in pages]
    return meaning.huge_pages(draft, sizes[0] if sizes else None, hugepages.line)


def _sizes_beside(draft: Draft, domain: Element) -> None:
    whole = domain.first("memory")
    for tag in ("currentMemory", "maxMemory"):
        one = domain.first(tag)
        if one is None or (whole is not None and _same(one, whole)):
            continue
        draft.lose(f"<{tag}> {one.text} {one.get('unit', 'KiB')}", _GROWING, one.line, "memory")


def _same(one: Element, other: Element) -> bool:
    return of_libvirt(one.text, one.get("unit", "KiB")) == of_libvirt(other.text, other.get("unit", "KiB"))


# ---- vCPUs ----


def read_cpus(draft: Draft, domain: Element) -> None:
    vcpu = domain.first("vcpu")
    draft.cpus["count"] = 1
    if vcpu is not None:
        _vcpu(draft, vcpu)
    for tune in domain.all("cputune"):
        _tune(draft, tune)
    for cpu in domain.all("cpu"):
        _cpu(draft, cpu)


def _vcpu(draft: Draft, vcpu: Element) -> None:
    current = vcpu.get("current") or vcpu.text
    if re.fullmatch("[0-9]{1,5}", current):
        draft.cpus["count"] = int(current)
    if vcpu.get("current") and vcpu.text != vcpu.get("current"):
        draft.lose(f"{vcpu.text} vCPUs at most", _GROWING, vcpu.line, "cpus")
    if vcpu.get("cpuset"):
        draft.lose(f"vCPUs on the host's CPUs {vcpu.get('cpuset')}", _FLOATING, vcpu.line, "cpus")


def _tune(draft: Draft, tune: Element) -> None:
    pins = {one.get("vcpu"): one.get("cpuset") for one in tune.all("vcpupin")}
    if pins and not meaning.pins(draft, [pins.get(str(number), "") for number in range(draft.cpus["count"])]):
        sets = ", ".join(dict.fromkeys(pins.values()))
        draft.lose(f"vCPUs on the host's CPUs {sets}", _FLOATING, tune.line, "cpus")
    for tag in dict.fromkeys(child.tag for child in tune.children if child.tag != "vcpupin"):
        why = "only vCPUs are pinned, and nothing else of how the host schedules is set"
        draft.lose(f"<{tag}> of cputune", why, tune.line, "cpus")


def _cpu(draft: Draft, cpu: Element) -> None:
    _model(draft, cpu)
    if (parts := cpu.first("topology")) is not None:
        meaning.topology(draft, draft.cpus["count"], dict(_numbers(parts)), parts.line)
    features = [(one.get("name"), one.get("policy", "require"), one.line) for one in cpu.all("feature")]
    for name, policy, line in features:
        if name in ("vmx", "svm"):
            if policy in ("require", "force", "optional"):
                draft.cpus["nested"] = True
        else:
            why = "the guest sees the host's processor, and no feature of it is added or taken"
            draft.lose(f"the processor's feature {name} ({policy})", why, line, "cpus")
    for child in cpu.children:
        if child.tag not in ("topology", "feature", "numa", "model", "vendor"):
            draft.lose(
                f"<{child.tag}> of cpu", "the guest sees caches and addresses as the host has them", child.line, "cpus"
            )


def _model(draft: Draft, cpu: Element) -> None:
    mode, model = cpu.get("mode", "custom"), cpu.said("model")
    if mode == "host-passthrough":
        draft.skip("the processor host-passthrough", "it is so here, but for VMX and SVM: `nested: true`", cpu.line)
    elif model or mode in ("host-model", "maximum"):
        why = "the guest sees the host's processor: there are no models of others"
        draft.lose(f"the processor {model or mode}", why, cpu.line, "cpus")


def _numbers(parts: Element) -> Iterator[tuple[str, int]]:
    for key, value in parts.attributes.items():
        if re.fullmatch("[0-9]{1,5}", value):
            yield key, int(value)


# ---- the rest ----

_LIKE_OURS = ("acpi", "apic", "pae", "hap", "pvspinlock", "privnet", "ioapic")


def _features(draft: Draft, features: Element) -> None:
    for child in features.children:
        if child.tag in _LIKE_OURS:
            continue
        if child.tag == "hyperv":
            why = "a guest is told that it runs on KVM, and has none of Hyper-V's helps for Windows"
            draft.lose("<hyperv> of features", why, child.line)
        elif child.tag == "kvm":
            draft.lose(
                "<kvm> of features", "a guest is told that it runs on KVM, and cannot be kept from it", child.line
            )
        else:
            draft.lose(f"<{child.tag}> of features", "the board is vmlaunch's own, and this cannot be set", child.line)


def _clock(draft: Draft, clock: Element) -> None:
    if clock.get("offset", "utc") not in ("utc", ""):
        why = "the guest's clock is KVM's, in UTC"
        draft.lose(f"the clock's offset {clock.get('offset')}", why, clock.line)
    timers = [one.get("name") for one in clock.all("timer")]
    if timers:
        why = "the guest has kvm-clock and TSC, and their behaviour is KVM's"
        draft.skip(f"the timers {', '.join(timers)}", why, clock.line)


def _on(draft: Draft, event: Element) -> None:
    usual = {"on_poweroff": "destroy", "on_reboot": "restart", "on_crash": "destroy"}
    if event.text == usual.get(event.tag):
        return
    if (event.tag, event.text) == ("on_reboot", "destroy"):
        draft.lose("<on_reboot> destroy", "it is said where the VM is started: `vmlaunch up --no-reboot`", event.line)
    else:
        why = "a VM that powers off or crashes ends, and one that reboots goes on"
        draft.lose(f"<{event.tag}> {event.text}", why, event.line)


def _pm(draft: Draft, pm: Element) -> None:
    for child in pm.children:
        if child.get("enabled") == "yes":
            draft.lose(shown(child), "a guest cannot be suspended", child.line)


MACHINE: dict[str, Callable[[Draft, Element], None]] = {
    "features": _features,
    "clock": _clock,
    "pm": _pm,
    "on_poweroff": _on,
    "on_reboot": _on,
    "on_crash": _on,
    "on_lockfailure": _on,
}
