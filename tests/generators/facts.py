"""Hypothesis's choices in, hosts and specs out: recorded hosts with other facts, and hosts that no machine is like."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from launcher.host.facts import Bar, Config, HostFacts, Iommu, IommuGroup, PciFunction, ReservedRegion
from launcher.record import replace
from launcher.values import GIB, MIB, Missing, PciAddress
from tests.generators.changes import Change, changes, recorded

ABSENT = Missing("denied", "/sys/of/another/host")
DRIVERS = [None, "vfio-pci", "nvme", "nvidia", "pcieport", "shpchp", "snd_hda_intel"]
CLASSES = ["010802", "020000", "030000", "030200", "040300", "060100", "060400", "068000", "0c0330"]
KINDS = ["msi", "reserved", "direct", "direct-relaxable", "a-new-word"]
KERNELS = ["6.12.9", "6.1.0-56-amd64", "5.15.0-91-generic", "4.19", "next"]
SIZES = st.integers(0, 47).map(lambda bits: 1 << bits)

REGIONS = st.builds(
    lambda page, pages, kind: ReservedRegion(page << 12, (page + pages << 12) - 1, kind),
    st.integers(0, 1 << 36) | st.integers(0, 1 << 22) | st.just(0xFEE00),
    st.integers(1, 1 << 20) | st.just(1 << 52),
    st.sampled_from(KINDS),
)
BARS = st.builds(
    Bar,
    index=st.integers(0, 5),
    kind=st.sampled_from(["io", "mem32", "mem64"]),
    prefetchable=st.booleans(),
    start=st.sampled_from([0, 0xB0000000, 0x20000000000]),
    size=SIZES,
)
CONFIGS = st.none() | st.just(Missing("asleep", "config")) | st.builds(Config, pin=st.integers(0, 1))


@st.composite
def hosts(draw: st.DrawFn) -> HostFacts:
    return draw(changed_hosts() | odd_hosts())


@st.composite
def changed_hosts(draw: st.DrawFn) -> HostFacts:
    """A recorded host of a size that leaves time for many, with up to two facts that differ."""
    facts, first = draw(st.sampled_from(_small_hosts()))
    for _ in range(draw(st.integers(0, 2))):
        facts, first = draw(st.sampled_from(first or changes(facts))).host(), None
    return facts


@cache
def _small_hosts() -> list[tuple[HostFacts, list[Change] | None]]:
    return [(one, changes(one)) for one in recorded().values() if len(one.pci) < 40]


@st.composite
def odd_hosts(draw: st.DrawFn) -> HostFacts:
    """A few functions with any BARs in any groups, which need not agree with each other."""
    addresses = draw(st.lists(ADDRESSES, min_size=1, max_size=8, unique=True))
    pci = tuple(draw(functions(one, addresses)) for one in addresses)
    numbers = sorted({one.group for one in pci if one.group is not None})
    groups = tuple(draw(_groups(number, pci)) for number in numbers)
    bits = draw(st.none() | st.integers(30, 57))
    iommu = draw(st.none() | st.sampled_from(["AMD-Vi", "Intel VT-d"]).map(lambda kind: Iommu(kind, bits)))
    kernel = draw(st.sampled_from(KERNELS))
    return replace(recorded()["gpu07"], kernel=kernel, pci=pci, groups=groups, iommu=iommu)


ADDRESSES = st.builds(PciAddress, st.just(0), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2))


@st.composite
def functions(draw: st.DrawFn, address: PciAddress, others: list[PciAddress]) -> PciFunction:
    other = st.none() | st.sampled_from(others)
    bars = st.lists(BARS, max_size=4, unique_by=lambda bar: bar.index).map(tuple)
    return PciFunction(
        address,
        id=draw(st.sampled_from(["10de:2684", "144d:a809"])),
        subsystem=None,
        class_code=draw(st.sampled_from(CLASSES)),
        revision=None,
        name=draw(st.sampled_from([None, "Some Device"])),
        driver=draw(st.sampled_from(DRIVERS)),
        driver_override=draw(st.sampled_from([None, "vfio-pci"])),
        node=draw(st.sampled_from([None, 0, 1, 7])),
        group=draw(st.none() | st.integers(0, 4)),
        reset=draw(st.sampled_from([("flr", "bus"), ("bus",), ("pm",), (), ABSENT])),
        bars=draw(bars | st.just(ABSENT)),
        serial=draw(st.sampled_from([None, "S1"])),
        parent=draw(other),
        physical_function=draw(other),
        virtual_functions=tuple(draw(st.lists(st.sampled_from(others), max_size=2))),
        config=draw(CONFIGS),
        boot_vga=draw(st.booleans()),
    )


@st.composite
def _groups(draw: st.DrawFn, number: int, pci: tuple[PciFunction, ...]) -> IommuGroup:
    members = tuple(one.address for one in pci if one.group == number)
    reserved = draw(st.lists(REGIONS, max_size=3).map(tuple) | st.just(ABSENT))
    return IommuGroup(number, draw(st.sampled_from(["DMA-FQ", "unmanaged"])), members, reserved)


@st.composite
def specs(draw: st.DrawFn, facts: HostFacts) -> dict[str, Any]:
    """For the devices of this host, mostly. Not all of them are valid."""
    devices = draw(st.lists(device(facts), max_size=6))
    memory = draw(st.lists(BANKS, min_size=1, max_size=3))
    cpus = draw(st.sampled_from([1, 64, {"count": 2, "pin": "0-1"}]))
    return spec(cpus, memory, {f"d{n}": one for n, one in enumerate(devices)})


def spec(cpus: Any, memory: Any, devices: Any) -> dict[str, Any]:
    return {"boot": {"kernel": "./k", "initrd": "./i"}, "cpus": cpus, "memory": memory, "devices": devices}


@st.composite
def device(draw: st.DrawFn, facts: HostFacts) -> dict[str, Any]:
    addresses = [str(one.address) for one in facts.pci]
    pci = {"pci": st.sampled_from([*addresses, "0000:7f:1f.7"])}
    match = {"match": st.sampled_from([{"class": "gpu"}, {"class": "nvme", "node": 0}, {"id": "10de:2684"}])}
    fields: dict[str, Any] = draw(
        st.fixed_dictionaries(pci, optional={"vf": st.integers(0, 2)})
        | st.fixed_dictionaries(match, optional={"pick": st.sampled_from(["one", "free"])})
    )
    return fields | draw(_OPTIONS)


_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "companions": st.sampled_from(["refuse", "detach", "attach"]),
        "bind": st.sampled_from(["auto", "never"]),
        "guest": st.builds("00:{:02x}.{}".format, st.integers(0x10, 0x1F), st.integers(0, 7)),
        "allow": st.just(["no-reset", "in-use", "unsafe-interrupts"]),
        "expect": st.just("10de:2684"),
        "network": st.sampled_from([{"mac": "52:54:00:12:34:56", "vlan": 5}, {"trust": True}, {"spoofcheck": False}]),
    },
)
BANKS = st.fixed_dictionaries(
    {"size": st.integers(1, 600_000).map("{}MiB".format) | st.sampled_from(["4KiB", "1GiB", "5GiB", "2TiB"])},
    optional={
        "pages": st.sampled_from(["4KiB", "thp", "2MiB", "1GiB"]),
        "node": st.integers(0, 2),
        "at": st.sampled_from([0, GIB, 3 * GIB - 2 * MIB, 4 * GIB, 64 * GIB, 0xFD00000000, 1 << 46]).map(hex),
    },
)


def text_of(plain: dict[str, Any]) -> str:
    return json.dumps(plain)
