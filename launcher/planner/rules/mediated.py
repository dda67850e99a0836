"""Rules about mediated devices: that each is there, is one that VFIO gives a PCI guest, and may lock memory. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.mediated import API, is_ready
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, series
from launcher.values import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import MediatedDevice
    from launcher.planner.decided import Mediated, Situation

_MAKING = "echo {uuid} > /sys/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create"


def _absent(it: Situation) -> Iterator[Diagnostic]:
    """One that is made by hand is gone after a boot."""
    for one in it.passing.mediated:
        if one.device is None:
            fact = f"{one.alias}: this host has no mediated device {one.address}"
            rows = listed([_shown(other) for other in it.host.mediated])
            help_ = (
                f"make it, as root: `{_MAKING.format(uuid=one.address)}`",
                "at each boot: `mdevctl define --auto`, or the host's own tool for its vGPUs",
            )
            yield Diagnostic("E260", fact, _where(one), ("it has:", *rows) if rows else (), help_)


def _shown(one: MediatedDevice) -> tuple[str, ...]:
    return (str(one.address), one.type, one.name or "", f"of {one.parent}")


def _not_for_pci(it: Situation) -> Iterator[Diagnostic]:
    for one in it.passing.mediated:
        found = one.device
        if found is None or is_ready(one):
            continue
        if found.api not in (API, None):
            fact = f"{one.alias}: {one.address} is a {found.api} device to VFIO, and guests have PCI functions only"
            yield Diagnostic("E261", fact, _where(one), help=("name one whose device_api is vfio-pci",))
        else:
            fact = f"{one.alias}: no driver of the host has {one.address}, so VFIO does not know it"
            help_ = ("see `dmesg | grep mdev`; removing it and making it again may bring its driver back",)
            yield Diagnostic("E261", fact, _where(one), (f"it is {found.type} of {found.parent}",), help_)


def _may_lock(it: Situation) -> Iterator[Diagnostic]:
    """What a driver asks VFIO to pin counts as all that is pinned does; the guest sees what comes of a refusal."""
    process, size = it.host.process, sum(bank.size for bank in it.spec.memory)
    able = "cap_ipc_lock" in process.capabilities and not process.own_user_namespace
    if it.locked or not it.passing.mediated or able or process.memlock is None or size <= process.memlock:
        return
    names, limit = series(one.alias for one in it.passing.mediated), show_size(process.memlock)
    fact = f"{names}: drivers lock what they use of {show_size(size)}, and this process may lock {limit}"
    command = "sudo prlimit --pid $$ --memlock=unlimited"
    help_ = (f"raise it for this shell: `{command}`", "for a systemd service: `LimitMEMLOCK=infinity`")
    yield Diagnostic("W269", fact, in_spec("memory"), help=help_, fix=command)


def _where(one: Mediated) -> Where:
    return in_spec(f"devices.{one.alias}.mdev")


RULES: tuple[Rule, ...] = (Rule("kernel", _absent), Rule("kernel", _not_for_pci), Rule("policy", _may_lock))
