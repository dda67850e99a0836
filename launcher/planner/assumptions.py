"""(a saved plan, the host as it is now) -> which of the facts that it rests on no longer hold. Pure."""

from __future__ import annotations

from launcher.host.facts import HostFacts
from launcher.images.boot_files import BootFiles
from launcher.patterns import re
from launcher.planner.keeping import differences, kept
from launcher.planner.named_facts import NamedFacts, around
from launcher.record import record, replace
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.plan.plan import Assumption, Plan


_GONE = "not there"
_MOST_TOLD = 12
_ALONE, _BY_ALIAS = "kernel|initrd|firmware|variables", "roms|seed|shares|sockets"
_FILE = rf"files\.({_ALONE}|({_BY_ALIAS})\[[^\]]+\]|disks\[[^\]]+\](\.chain\[[^\]]+\])?)"


@record
class Failed:
    """A fact that is not as the plan assumes."""

    fact: str
    assumed: str
    found: str
    path: str = ""  # of a file

    def __str__(self) -> str:
        differs = ": its checksum differs" if self.fact.endswith(".sha256") else ""
        subject = f"{self.path}{differs} ({self.fact})" if self.path else self.fact
        return f"{subject}: {self.assumed} -> {self.found}"


def failed_assumptions(plan: Plan, host: HostFacts, files: BootFiles) -> tuple[Failed, ...]:
    """What a saved plan meets here and now. Of what is not there at all only the first fact is told."""
    facts = NamedFacts(host, files, plan.name)
    told: dict[str, Failed] = {}
    for failed in (failed for one in plan.assumes for failed in _failed(one, facts)):
        first = _gone(failed, facts) or failed
        told.setdefault(first.fact, first)
    # That a device is gone, or its group another one, has been said of the device.
    of_devices = any(fact.startswith("pci[") for fact in told)
    return tuple(_by_path(one, facts) for one in told.values() if not (of_devices and _is_gone_group(one)))


def _by_path(one: Failed, facts: NamedFacts) -> Failed:
    """People know a file by its path, not by what it is to the plan."""
    part = re.match(_FILE, one.fact)
    file = facts.find(part[0]) if part else None
    named = getattr(file, "top", file)  # of a disk its first image
    return one if named is None else replace(one, path=getattr(named, "path", ""))


def as_evidence(failed: tuple[Failed, ...]) -> tuple[str, ...]:
    """Devices first, for a reader knows them by address; then what is found by searching, then the rest."""
    lines = [str(one) for one in sorted(failed, key=_rank)]
    more = (f"and {len(lines) - _MOST_TOLD} more",) if len(lines) > _MOST_TOLD else ()
    return (*lines[:_MOST_TOLD], *more)


def _rank(one: Failed) -> int:
    if one.fact.startswith("pci["):
        return 1 if "=" in one.fact.partition("]")[0] else 0
    return 2


def _is_gone_group(one: Failed) -> bool:
    return one.fact.startswith("groups") and one.found == _GONE


def _failed(one: Assumption, facts: NamedFacts) -> Iterator[Failed]:
    now = facts.find(one.fact)
    now = None if isinstance(now, BootFiles | HostFacts) else now  # which are no facts, but have them
    if one.at_least is None:
        found = differences(one.fact, one.equals, now)
        for fact, assumed, is_now in found:
            name = fact.rpartition(".")[2]
            yield Failed(fact, _show(assumed, name), _found(assumed, is_now, name))
    elif not isinstance(now, int) or now < one.at_least:
        yield Failed(one.fact, f"at least {one.at_least}", _show(kept(now)))


def _gone(failed: Failed, facts: NamedFacts) -> Failed | None:
    """The largest part of its name that stands for nothing here: `pci[0000:c1:00.0]` of its driver."""
    for name in around(failed.fact):
        value = facts.find(name)
        if value is None or isinstance(value, Missing):
            return Failed(name, failed.assumed, _GONE if value is None else value.missing)
    return None


def _found(assumed: Any, now: Any, name: str) -> str:
    return _GONE if now is None and isinstance(assumed, dict) else _show(now, name)


def _show(plain: Any, name: str = "") -> str:
    """For people: a device is its id, a reserved region `0xfee00000 0xfeefffff msi`, a mode is octal."""
    if isinstance(plain, dict):
        words = (key if value is True else _show(value, key) for key, value in plain.items())
        return str(plain["id"]) if "id" in plain else " ".join(words)
    if isinstance(plain, list):
        return ", ".join(map(_show, plain)) or "nothing"
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if name == "mode" and isinstance(plain, int):
        return f"{plain:04o}"
    return "nothing" if plain is None else str(plain)
