"""A section of a spec whose values are valid in; what is wrong between them out. Pure."""

from __future__ import annotations

from launcher.spec import rules, rules_of_boot, rules_of_served
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Protocol

    from launcher.spec.problems import Problem

    class Counting(Protocol):
        """vCPUs, as the model or the record of them has it; so with the others."""

        @property
        def count(self) -> int: ...
        @property
        def pin(self) -> tuple[int, ...] | None: ...
        @property
        def topology(self) -> rules.Counted | None: ...

    class Paged(rules.Placed, Protocol):
        """A bank."""

        @property
        def pages(self) -> str: ...

    class Said(Protocol):
        """What knows which of its keys the spec has."""

        @property
        def said(self) -> Collection[str]: ...

    class Given(rules.Assigned, rules_of_served.Networked, rules_of_boot.Ordered, Protocol):
        """A device."""

    class Disk(rules_of_served.Disk, rules_of_boot.Ordered, Protocol):
        """A disk."""

    class Holding(Protocol):
        """The spec."""

        @property
        def boot(self) -> rules_of_boot.Boot: ...
        @property
        def devices(self) -> Mapping[str, Given]: ...
        @property
        def memory(self) -> tuple[rules.Placed, ...]: ...
        @property
        def disks(self) -> Mapping[str, Disk]: ...
        @property
        def nics(self) -> Mapping[str, rules_of_served.Nic]: ...
        @property
        def shares(self) -> Mapping[str, object]: ...
        @property
        def vsock(self) -> object: ...
        @property
        def cloud_init(self) -> object: ...


def of_boot(one: rules_of_boot.Boot) -> Iterator[Problem]:
    return rules_of_boot.of_boot(one)


def of_cpus(one: Counting) -> Iterator[Problem]:
    return rules.of_cpus(one.count, one.pin, one.topology)


def of_bank(one: Paged) -> Iterator[Problem]:
    return rules.of_bank(one.size, one.pages, one.at)


def of_match(one: Said) -> Iterator[Problem]:
    return rules.of_match(one.said)


def of_vgpu(one: Said) -> Iterator[Problem]:
    return rules.of_vgpu(one.said)


def of_network(one: rules.Networked) -> Iterator[Problem]:
    return rules.of_network((one.mac, one.vlan, one.trust, one.spoofcheck))


def of_device(one: Said) -> Iterator[Problem]:
    return rules.of_device(one.said)


def of_disk(one: rules_of_served.Disk) -> Iterator[Problem]:
    return rules_of_served.of_disk(one)


def of_nic(one: rules_of_served.Nic) -> Iterator[Problem]:
    return rules_of_served.of_nic(one)


def of_vm_spec(one: Holding) -> Iterator[Problem]:
    yield from rules.of_devices(one.devices)
    yield from rules.of_memory(dict(enumerate(one.memory)))
    yield from rules_of_boot.of_orders(one.boot, one.disks, one.devices)
    served = one.disks or one.nics or one.shares or one.vsock or one.cloud_init
    yield from _of_served(one) if served else ()


def _of_served(one: Holding) -> Iterator[Problem]:
    kinds = {"devices": one.devices, "disks": one.disks, "nics": one.nics, "shares": one.shares}
    alone = [key for key, there in (("vsock", one.vsock), ("cloud-init", one.cloud_init)) if there is not None]
    yield from rules_of_served.of_aliases(kinds, alone)
    yield from rules_of_served.of_tags(one.shares)
    most = rules_of_served.most_beside(one.boot.firmware)
    yield from rules_of_served.of_number(one.disks, one.nics, one.shares, alone, most)
    yield from rules_of_served.of_things(one.disks, one.nics, one.devices)
