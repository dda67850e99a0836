"""A section of a spec whose values are valid in; what is wrong between them out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.spec import rules

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

    class Holding(Protocol):
        """The spec."""

        @property
        def devices(self) -> Mapping[str, rules.Assigned]: ...
        @property
        def memory(self) -> tuple[rules.Placed, ...]: ...


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


def of_vm_spec(one: Holding) -> Iterator[Problem]:
    yield from rules.of_devices(one.devices)
    yield from rules.of_memory(dict(enumerate(one.memory)))
