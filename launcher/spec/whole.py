"""A section of a spec whose values are valid in; what is wrong between them out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.spec import rules, rules_of_served

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

    class Given(rules.Assigned, rules_of_served.Networked, Protocol):
        """A device."""

    class Holding(Protocol):
        """The spec."""

        @property
        def devices(self) -> Mapping[str, Given]: ...
        @property
        def memory(self) -> tuple[rules.Placed, ...]: ...
        @property
        def disks(self) -> Mapping[str, rules_of_served.Disk]: ...
        @property
        def nics(self) -> Mapping[str, rules_of_served.Nic]: ...
        @property
        def shares(self) -> Mapping[str, object]: ...
        @property
        def vsock(self) -> object: ...


def of_cpus(one: Counting) -> Iterator[Problem]:
    return rules.of_cpus(one.count, one.pin, one.topology)


def of_bank(one: Paged) -> Iterator[Problem]:
    return rules.of_bank(one.size, one.pages, one.at)


def of_match(one: Said) -> Iterator[Problem]:
    return rules.of_match(one.said)


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
    yield from _of_served(one) if one.disks or one.nics or one.shares or one.vsock else ()


def _of_served(one: Holding) -> Iterator[Problem]:
    kinds = {"devices": one.devices, "disks": one.disks, "nics": one.nics, "shares": one.shares}
    yield from rules_of_served.of_aliases(kinds, one.vsock is not None)
    yield from rules_of_served.of_tags(one.shares)
    yield from rules_of_served.of_number(one.disks, one.nics, one.shares, one.vsock is not None)
    yield from rules_of_served.of_things(one.disks, one.nics, one.devices)
