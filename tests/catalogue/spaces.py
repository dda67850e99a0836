"""The rows whose rules are in planner/rules/memory.py, memory_limits.py, ram.py and bars.py, and those
of the same subjects that have none."""

from __future__ import annotations

from typing import Any

from launcher.host.facts import Bar, Config, Firmware, HostFacts, Iommu, IommuUnit, Limit, Msix, ReservedRegion
from launcher.record import replace
from launcher.values import GIB, KIB, MIB, Missing, PciAddress
from tests.catalogue.row import ONE, Row, gpu07, lab, small, with_function, with_linux, with_process
from tests.planning import host

_NVME, _NIC = "disk: 0000:81:00.0", "nic: {pci: 0000:01:00.0, companions: detach}"  # of lab hosts
_BOOT = "boot: {kernel: ./bzImage}\ncpus: 2\n"
_DISK = "devices: {disk: 0000:02:00.0}\n"
_GPU = f"{_BOOT}memory: 1GiB\ndevices: {{gpu: 0000:e1:00.0}}\n"
_BY_IOMMUFD = f"{_GPU}vfio: iommufd\n"
_TWO_GPUS = _BY_IOMMUFD.replace("0000:e1:00.0", "0000:e1:00.0, disk: 0000:02:00.0")
_EIGHT = f"{_BOOT}memory: 8GiB\n{_DISK}"
_HUGE = f"{_BOOT}memory: [{{size: 4GiB, pages: 2MiB}}]\n{_DISK}"
_HUGE_ON_NODE_1 = f"{_BOOT}memory: [{{size: 4GiB, pages: 2MiB, node: 1}}]\n{_DISK}"
_GIANT = f"{_BOOT}memory: [{{size: 64GiB, pages: 1GiB}}]\n{_DISK}"
_SMALL_PAGES = f"{_BOOT}memory: [{{size: 17GiB, pages: 4KiB}}]\n{_DISK}"

_NO_SYSFB = "quiet initcall_blacklist=sysfb_init"

_MSI = ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi")
_HT = ReservedRegion(0xFD00000000, 0xFFFFFFFFFF, "reserved")
_IOAPIC_BOARD = ReservedRegion(0x30000000, 0x3000FFFF, "direct")
_PROLIANT = Firmware(("DMAR",), "HP", "ProLiant DL380 Gen9")


def _at(address: str, devices: str = _DISK) -> str:
    return f"{_BOOT}memory: [{{size: 1GiB}}, {{size: 1GiB, at: {address}}}]\n{devices}"


def _in_lab(device: str, address: str) -> str:
    return small(device, f"[{{size: 64MiB}}, {{size: 32MiB, at: {address}}}]")


def _process(**fields: Any) -> HostFacts:
    return with_process(host("gpu07"), **fields)


def _kernel(**options: str) -> HostFacts:
    """gpu07 with a kernel that has these options, too; empty: that has it not."""
    facts = host("gpu07")
    assert isinstance(facts.linux.config, dict)
    return with_linux(facts, config={name: value for name, value in (facts.linux.config | options).items() if value})


def _poor(**fields: Any) -> HostFacts:
    return _process(capabilities=(), memlock=GIB, **fields)


def _pools(size: int, first: int, second: int, reserved: int = 0) -> HostFacts:
    """Free pages of this size on the two nodes."""
    facts = host("gpu07")
    free = {0: first, 1: second}
    nodes = (
        replace(node, huge_pages=tuple(
            replace(pool, total=free[node.id], free=free[node.id]) if pool.size == size else pool
            for pool in node.huge_pages
        ))
        for node in facts.nodes
    )  # fmt: skip
    memory = replace(facts.memory, reserved_huge_pages={str(size): reserved})
    return replace(facts, nodes=tuple(nodes), memory=memory)


def _huge_limit(maximum: int, current: int) -> HostFacts:
    limits = {str(2 * MIB): Limit("/kubepods/pod7", maximum, current)}
    return with_process(_pools(2 * MIB, 4096, 4096), huge_limits=limits)


def _memory(**fields: Any) -> HostFacts:
    facts = host("gpu07")
    return replace(facts, memory=replace(facts.memory, **fields))


def _regions(*regions: ReservedRegion, group: int = 14, facts: HostFacts | None = None) -> HostFacts:
    facts = facts or host("gpu07")
    groups = (replace(one, reserved=regions) if one.number == group else one for one in facts.groups)
    return replace(facts, groups=tuple(groups))


def _intel(**widths: int) -> HostFacts:
    """A host whose disk is behind dmar0 and whose cards are behind dmar1."""
    facts = host("gpu07")
    units = tuple(IommuUnit(name, bits) for name, bits in widths.items())
    pci = (replace(one, iommu="dmar0" if one.address.bus < 0x80 else "dmar1") for one in facts.pci)
    return replace(facts, iommu=Iommu("Intel VT-d", min(widths.values()), units), pci=tuple(pci))


def _old_graphics(facts: HostFacts) -> HostFacts:
    """Before 5.3 graphics are let go whatever the firmware keeps."""
    return replace(with_function(facts, "0000:02:00.0", class_code="030000"), kernel="5.2.0-1-amd64")


def _widths(kvm: int, iommu: int, kind: str = "AMD-Vi") -> HostFacts:
    facts = host("gpu07")
    return replace(facts, kvm=replace(facts.kvm, physical_bits=kvm), iommu=Iommu(kind, iommu))


def _limited(entries: str) -> HostFacts:
    return with_linux(host("gpu07"), parameters={"vfio_iommu_type1.dma_entry_limit": entries})


def _banks(number: int) -> str:
    return f"{_BOOT}memory: [{', '.join(['{size: 1MiB, pages: 4KiB}', *['{size: 32MiB}'] * (number - 1)])}]\n{_DISK}"


def _slots(number: int) -> HostFacts:
    facts = host("gpu07")
    assert not isinstance(facts.kvm, Missing)
    kvm = replace(facts.kvm, extensions=facts.kvm.extensions | {"nr_memslots": number})
    return replace(facts, kvm=kvm)


def _tasks(*limits: Limit, cpus: tuple[int, ...] = (0, 1)) -> HostFacts:
    return _process(task_limits=limits, cpus=cpus)


def _card(*bars: Bar, **fields: Any) -> HostFacts:
    return with_function(host("gpu07"), "0000:e1:00.0", bars=bars, **fields)


def _below_hot_plug(facts: HostFacts) -> HostFacts:
    port = "0000:00:01.1"
    below = with_function(facts, "0000:e1:00.0", parent=PciAddress.parse(port))
    return with_function(below, port, config=Config(header=1, port="root port", hot_plug=True))


def _narrow(bar: Bar) -> HostFacts:
    return replace(_card(bar), iommu=Iommu("Intel VT-d", 38))


def _nvme(table: int, pending: int, vectors: int = 65) -> HostFacts:
    config = Config(msix=Msix(vectors, 0, table, 0, pending))
    bar = Bar(0, "mem64", prefetchable=False, start=0xB0100000, size=32 * KIB)
    return with_function(host("gpu07"), "0000:02:00.0", bars=(bar,), config=config)


def _bar(index: int, kind: str, size: int, start: int = 0x28000000000, **fields: Any) -> Bar:
    return Bar(index, kind, kind == "mem64", start, size, **fields)  # type: ignore[arg-type]


_REGISTERS = _bar(0, "mem32", 16 * MIB, 0xB8000000)
_BIG = _bar(1, "mem64", 32 * GIB)
_PORTS = _bar(5, "io", 128, 0x8000)


ROWS: tuple[Row, ...] = (
    # ---- what is locked, and what confines it ----
    Row("memlock-too-small", "E309", lambda: _poor(locked=MIB), _poor, made_in="narrow"),
    Row("memlock-iommufd-semantics", "E309", lambda: _poor(pinned=MIB), lambda: _poor(locked=MIB), _BY_IOMMUFD),
    Row(
        "memlock-iommufd-semantics", "E309",
        lambda: _poor(pinned=MIB), lambda: _process(capabilities=("cap_sys_resource",), memlock=GIB, pinned=MIB),
        _BY_IOMMUFD, variant="by-process",
    ),
    Row("peers-unreachable", "W323", gpu07(), gpu07(), _TWO_GPUS, _TWO_GPUS.replace("iommufd", "type1")),
    Row("peers-unreachable", "W323", gpu07(), lambda: _kernel(VFIO_PCI_DMABUF="y"), _TWO_GPUS, variant="dma-buf"),
    Row(
        "peers-unreachable", "W323",
        lambda: _kernel(VFIO_CONTAINER="", IOMMUFD_VFIO_CONTAINER="y", VFIO_PCI_DMABUF="y"), gpu07(),
        _TWO_GPUS.replace("iommufd", "type1"), variant="container-of-iommufd",
    ),
    Row(
        "peers-unreachable", "W323", lambda: with_linux(host("gpu07"), config=Missing("absent", "/boot/config")),
        lambda: _kernel(VFIO_PCI_DMABUF="y"), _TWO_GPUS, variant="not-known",
    ),
    Row(
        "memlock-too-small", "E309",
        lambda: _process(memlock=8 * MIB, own_user_namespace=True), lambda: _process(memlock=8 * MIB),
        variant="user-namespace",
    ),
    Row(
        "cgroup-memory-limit", "E313",
        lambda: _process(memory_limit=Limit("/system.slice/vm.service", 8 * GIB, GIB)),
        lambda: _process(memory_limit=Limit("/system.slice/vm.service", 9 * GIB, GIB // 2)),
        _EIGHT, made_in="narrow",
    ),
    Row(
        "cgroup-memory-limit", "W313",
        lambda: _process(memory_limit=Limit("/kubepods/pod7", 9 * GIB, GIB)),
        lambda: _process(memory_limit=Limit("/kubepods/pod7", 9 * GIB, GIB // 2)),
        _EIGHT, variant="tight",
    ),
    Row(
        "hugetlb-cgroup-limit", "E314", lambda: _huge_limit(4 * GIB, 2 * MIB), lambda: _huge_limit(4 * GIB, 0), _HUGE,
        made_in="two-nodes",
    ),
    Row(
        "hugepages-missing", "E302", lab("two-nodes"), lab("two-nodes"),
        small(_NVME, "[{size: 98MiB, pages: 2MiB}]"), small(_NVME, "[{size: 96MiB, pages: 2MiB}]"), "two-nodes",
    ),
    Row("hugepages-missing", "E302", lambda: _pools(GIB, 0, 63), lambda: _pools(GIB, 32, 32), _GIANT, variant="1g"),
    Row(
        "hugepages-missing", "E302", lambda: _pools(GIB, 0, 72, reserved=16), lambda: _pools(GIB, 0, 72, reserved=8),
        _GIANT, variant="reserved",
    ),
    Row(
        "hugepages-wrong-node", "E302", lab("two-nodes"), lab("two-nodes"),
        small(_NVME, "[{size: 64MiB, pages: 2MiB, node: 0}]"), small(_NVME, "[{size: 64MiB, pages: 2MiB, node: 1}]"),
        "two-nodes",
    ),
    Row(
        "hugepages-wrong-node", "E302", lambda: _pools(2 * MIB, 4096, 1024), lambda: _pools(2 * MIB, 0, 2048),
        _HUGE_ON_NODE_1, variant="far",
    ),
    Row(
        "host-ram-too-small", "E304", lab("narrow"), lab("narrow"), small("disk: 0000:01:00.0", "64GiB"),
        small("disk: 0000:01:00.0", "2560MiB"), "narrow",
    ),
    Row(
        "host-ram-too-small", "E304", lambda: _memory(available=7 * GIB), lambda: _memory(available=8 * GIB), _EIGHT,
        variant="available",
    ),
    Row(
        "host-ram-too-small", "E315",
        lambda: _memory(overcommit=2, commit_limit=64 * GIB, committed=60 * GIB),
        lambda: _memory(overcommit=0, commit_limit=64 * GIB, committed=60 * GIB),
        _EIGHT, variant="overcommit",
    ),
    Row(
        "host-ram-too-small", "W315",
        lambda: _node_free(7 * GIB), lambda: _node_free(8 * GIB),
        f"{_BOOT}memory: [{{size: 8GiB, node: 1}}]\n{_DISK}", variant="node",
    ),
    Row("dma-entry-limit", "E316", lambda: _limited("1"), lambda: _limited("2"), _EIGHT, made_in="narrow"),
    Row(
        "dma-entry-limit", "W316", lambda: _limited("5"), lambda: _limited("6"),
        f"{_BOOT}memory: 8GiB\ndevices: {{disk: 0000:02:00.0, gpu: 0000:e1:00.0}}\n", variant="bars",
    ),
    Row("memory-map-full", "E319", gpu07(), gpu07(), _banks(162), _banks(161)),
    Row("memory-map-full", "E319", gpu07(), lambda: _regions(_MSI), _banks(162), variant="reserved"),
    Row("memslots-exhausted", "E320", lambda: _slots(32), lambda: _slots(33), _banks(33)),
    Row("memslots-exhausted", "W321", lambda: _slots(33), lambda: _slots(34), _banks(33), variant="bars"),
    Row(
        "task-limit", "E426",
        lambda: _tasks(Limit("/system.slice/vm.service", 10, 3)),
        lambda: _tasks(Limit("/system.slice/vm.service", 11, 3), Limit("/system.slice", 1000, 3)),
        _EIGHT.replace("cpus: 2", "cpus: 8"),
    ),
    Row(
        "task-limit", "E426",
        lambda: _poor(uid=1000, tasks=10, cpus=(0, 1)), lambda: _process(tasks=10, cpus=(0, 1)),
        _EIGHT.replace("cpus: 2", "cpus: 8"), variant="ulimit",
    ),
    Row(
        "task-limit", "W405",
        lambda: _tasks(Limit("/", 40, 2), cpus=tuple(range(64))), lambda: _tasks(Limit("/", 40, 2)), _EIGHT,
        variant="populating",
    ),
    Row(
        "task-limit", "W405",
        lambda: _tasks(Limit("/docker/7", 64, 2), Limit("/docker", 100, 91)),
        lambda: _tasks(Limit("/docker/7", 64, 2), Limit("/docker", 100, 90)),
        _EIGHT.replace("cpus: 2", "cpus: 8"), variant="in-use",
    ),
    Row(
        "slow-pinning", "W314", gpu07(), gpu07(), _SMALL_PAGES, _SMALL_PAGES.replace("17GiB", "16GiB"),
    ),
    # ---- guest addresses ----
    Row(
        "msi-window-overlap", "E306", lab("narrow"), lab("narrow"), _in_lab("disk: 0000:01:00.0", "0xfee00000"),
        _in_lab("disk: 0000:01:00.0", "0x100000000"), "narrow",
    ),
    Row(
        "rmrr-direct-region", "E215", lab("regions"),
        lambda: _regions(_MSI, replace(_IOAPIC_BOARD, kind="direct-relaxable"), facts=_intel(dmar0=48)),
        small("nic: 0000:00:02.0"), ONE, "regions",
    ),
    Row(
        "rmrr-direct-region", "E215",
        lambda: _regions(_MSI, _IOAPIC_BOARD),
        lambda: replace(_regions(_MSI, _IOAPIC_BOARD), kernel="6.1.0-56-amd64"),
        variant="amd",
    ),
    Row(
        "rmrr-direct-region", "E215",
        lambda: replace(_regions(_MSI, _IOAPIC_BOARD, facts=_intel(dmar0=48)), firmware=_PROLIANT),
        lambda: _old_graphics(_regions(_MSI, _IOAPIC_BOARD, facts=_intel(dmar0=48))), variant="proliant",
    ),
    Row(
        "reserved-splits-bank", "E306", lab("amd-regions"), lab("amd"),
        small("nic: 0000:00:02.0", '[{size: 512MiB, at: "0x0"}]'), captured="amd-regions",
    ),
    Row(
        "reserved-splits-bank", "E306",
        lambda: _regions(ReservedRegion(0x120000000, 0x1200FFFFF, "reserved")),
        lambda: _regions(ReservedRegion(0x140000000, 0x1400FFFFF, "reserved")),
        _at("0x100000000"), variant="above-4g",
    ),
    Row(
        "amd-ht-hole", "E306", lab("amd-regions"), lab("regions"),
        _in_lab("usb: {pci: 0000:00:03.0, allow: [no-reset]}", "0xfd00000000"), captured="amd-regions",
    ),
    Row("amd-ht-hole", "E306", gpu07(), gpu07(), _at("0xfd00000000"), _at("0x10000000000"), variant="above"),
    Row(
        "iommu-address-width", "E311", lab("narrow"), lab("zoo"), _in_lab("disk: 0000:01:00.0", "0x8000000000"),
        captured="narrow",
    ),
    Row(
        "iommu-address-width", "E311", lambda: _intel(dmar0=39, dmar1=48), lambda: _intel(dmar0=48, dmar1=39),
        _at("0x8000000000"), variant="one-unit",
    ),
    Row(
        "amd-optimistic-aperture", "E311", lambda: _widths(52, 64), lambda: _widths(52, 64),
        _at("0x1000000000000"), _at("0xffffc0000000"),
    ),
    Row(
        "cpu-phys-bits", "E311", lab("shared"), lab("shared"), _in_lab(_NIC, "0x10000000000"),
        _in_lab(_NIC, "0xffc0000000"), "shared",
    ),
    Row(
        "cpu-phys-bits", "E311", lambda: _widths(39, 48), lambda: _widths(40, 48), _at("0x8000000000"),
        variant="39-bits",
    ),
    Row(
        "second-group-conflict", "E306",
        lambda: _regions(_MSI, ReservedRegion(0x100000000, 0x1000FFFFF, "reserved"), group=77),
        lambda: _regions(_MSI, ReservedRegion(0x100000000, 0x1000FFFFF, "reserved"), group=77),
        _at("0x100000000", "devices: {disk: 0000:02:00.0, gpu: 0000:e1:00.0}\n"), _at("0x100000000"),
    ),
    # ---- BARs ----
    Row("bar-unassigned", "E317", lambda: _card(replace(_BIG, start=0), _PORTS), lambda: _card(_BIG, _PORTS), _GPU),
    Row(
        "bar-unassigned", "E317", lambda: _below_hot_plug(_card(replace(_BIG, start=0), replace(_PORTS, start=0))),
        lambda: _below_hot_plug(_card(_BIG, _PORTS)), _GPU, variant="hot-plug",
    ),
    Row(
        "bar-unassigned", "E317",
        lambda: _card(_REGISTERS, config=Config(pin=1, unassigned=(1, 5), unassigned_ports=(5,))),
        lambda: _card(_REGISTERS, config=Config(pin=1, unassigned=(5,), unassigned_ports=(5,))),
        _GPU, variant="not-in-sysfs",
    ),
    Row(
        "bar-too-big-for-guest-hole", "E312",
        lambda: _card(_bar(0, "mem32", 512 * MIB, 0x80000000), _bar(1, "mem32", 512 * MIB, 0xA0000000)),
        lambda: _card(_bar(0, "mem32", 512 * MIB, 0x80000000), _bar(1, "mem32", 256 * MIB, 0xA0000000)),
        _GPU,
    ),
    Row(
        "bar-too-big-for-guest-hole", "E312",
        lambda: _narrow(replace(_BIG, size=256 * GIB, sizes=(256 * MIB, 256 * GIB))),
        lambda: _narrow(replace(_BIG, size=64 * GIB)),
        _GPU, variant="64-bit",
    ),
    Row("msix-table-shares-page", "W320", lambda: _nvme(0x5200, 0x4000), lambda: _nvme(0x2000, 0x3000)),
    Row(
        "msix-table-shares-page", "W320", lambda: _nvme(0x1000, 0x3000), lambda: _nvme(0x2000, 0x2800),
        variant="doorbells",
    ),
    Row(
        "io-bar", "W319",
        lambda: _card(_BIG, config=Config(pin=1, unassigned=(5,), unassigned_ports=(5,))), lambda: _card(_BIG, _PORTS),
        _GPU,
    ),
    Row(
        "bar-claimed-by-sysfb", "E318",
        lambda: replace(_card(replace(_BIG, claimed=("BOOTFB", "efifb"))), kernel="5.15.0-91-generic"),
        lambda: replace(_card(replace(_BIG, claimed=("nvidia",))), kernel="5.15.0-91-generic"),
        _GPU,
    ),
    Row(
        "bar-claimed-by-sysfb", "W318",
        lab("display"), lambda: _card(replace(_BIG, claimed=("simpledrm",)), class_code="030200"),
        small("gpu: {pci: 0000:00:02.0, allow: [no-reset, in-use]}"), _GPU, "display", "evicted",
    ),
    Row(
        "bar-claimed-by-sysfb", "E318",
        lambda: _card(replace(_BIG, claimed=("BOOTFB", "simpledrm")), class_code="030000"),
        lambda: _card(replace(_BIG, claimed=("BOOTFB", "simpledrm")), class_code="030000", driver="nouveau"),
        _GPU, variant="stays",
    ),
    Row(
        "bar-claimed-by-sysfb", "E318",
        lambda: with_linux(_card(replace(_BIG, claimed=("BOOTFB", "simpledrm"))), cmdline=_NO_SYSFB),
        lambda: with_linux(_card(_BIG), cmdline=_NO_SYSFB),
        _GPU, variant="in-spite-of-the-blacklist",
    ),
    Row(
        "resizable-bar", "W317",
        lambda: _card(replace(_BIG, size=256 * MIB, sizes=(256 * MIB, 32 * GIB))),
        lambda: _card(replace(_BIG, sizes=(256 * MIB, 32 * GIB))),
        _GPU,
    ),
)  # fmt: skip


def _node_free(size: int) -> HostFacts:
    facts = host("gpu07")
    return replace(facts, nodes=tuple(replace(one, free=size) if one.id == 1 else one for one in facts.nodes))


# id -> why a plan cannot see it, or where else it is dealt with.
WITHOUT_RULE: dict[str, str] = {
    "map-alignment": "the spec refuses it before there is a plan (E108, E109); ranges that the planner splits are "
    "multiples of the bank's page size (tests/unit/planner/test_placement.py)",
    "map-overlap": "two banks that overlap are the spec's own error (E110); what the planner places never meets, which "
    "tests/unit/planner/test_placement.py holds for any banks and regions",
    "map-efault": "guest memory is anonymous, written to before it is mapped, and never a file that may be too short; "
    "pages that are not to be had are E302 or E304",
    "balloon-discard": "the guest has no balloon and no free page reporting, and a spec cannot ask for them",
    "fork-after-pin": "no fact of the host: the process that maps guest memory does not fork afterwards",
    "rmrr-direct-relaxable": "no failure: the kernel lets VFIO map over such a region, and so does the planner "
    "(test_a_relaxable_region_over_the_first_mib_does_not_matter)",
    "arm-sw-msi-window": "x86-64 only (E405), where the window is a reserved region as every other",
    "sub-page-bar": "no failure: the plan says that the BAR is trapped, in a page of its own in the guest "
    "(tests/unit/planner/test_bars.py)",
}
