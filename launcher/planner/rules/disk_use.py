"""Rules about who else has an image or a block device: another process, another disk, the host itself. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.rules.disk_images import disks_there, images_of, where
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.host.facts import OtherVm
    from launcher.images.disk_files import Disk, DiskFile, DiskUse
    from launcher.planner.decided import Situation
    from launcher.planner.rules.disk_images import Seen

_WRITING = {"write", "resize"}
_READERS = "several readers of one image need `readonly: true`, each"


def _locked(it: Situation) -> Iterator[Diagnostic]:
    """As QEMU and its storage daemon lock images; two of them that serve a raw image do not refuse each other."""
    for seen in images_of(it):
        writes = seen.is_top and not it.spec.disks[seen.alias].readonly
        vms = _vms_with(seen.image, writes, it)
        if (_is_taken(seen.image, writes) or vms) and it.spec.name not in [vm.name for vm in vms]:
            yield _held(seen, writes, next(iter(vms), None))


def _held(seen: Seen, writes: bool, other: OtherVm | None) -> Diagnostic:
    openers = [f"{each.command} (pid {each.pid})" for each in seen.image.openers]
    by = f"the VM {other.name}" if other else series(openers) if openers else "another process"
    written = bool(_WRITING & {*seen.image.taken}) or (other is not None and seen.image.identity in other.images)
    does = "written" if written else "read" if other else "kept from others"
    fact = f"{seen.subject} is {does} by {by}"
    ways = f"stop it first: `vmlaunch down {other.name}`" if other else "stop it first"
    last = "what another writes cannot be served" if written and not writes else _READERS
    evidence = tuple(f"{one} has it open" for one in openers) if other else ()
    return Diagnostic("E617", fact, where(seen.alias), evidence, (ways, last))


def _is_taken(one: DiskFile, writes: bool) -> bool:
    needed = {"read", *(_WRITING if writes else ())}
    return bool(_WRITING & {*one.taken} or needed & {*one.refused})


def _vms_with(one: DiskFile, writes: bool, it: Situation) -> list[OtherVm]:
    """VMs of ours that are up, the one of this name among them, which is planned again. Who reads one reads on beside
    others that read it."""
    vms = it.host.serving.vms if it.host.serving else ()
    return [vm for vm in vms if one.identity in (*vm.images, *(vm.bases if writes else ()))]


def _shared(it: Situation) -> Iterator[Diagnostic]:
    """By what they are, and not by their names: a link leads to the same image."""
    found = list(disks_there(it))
    for number, (alias, disk) in enumerate(found):
        for other, earlier in found[:number]:
            if image := _conflict(alias, disk, other, earlier, it):
                fact = f"{alias}: {image.path} is also an image of {other}, and one of them writes it"
                yield Diagnostic("E620", fact, where(alias), help=(_READERS, "or give each an image of its own"))


def _conflict(alias: str, disk: Disk, other: str, earlier: Disk, it: Situation) -> DiskFile | None:
    """The image that one of them writes and both have."""
    for writer, name, reader in ((disk, alias, earlier), (earlier, other, disk)):
        if not it.spec.disks[name].readonly and any(_same(writer.top, one) for one in reader.chain):
            return writer.top
    return None


def _same(one: DiskFile, other: DiskFile) -> bool:
    return one.identity == other.identity or (one.number is not None and one.number == other.number)


def _of_the_host(it: Situation) -> Iterator[Diagnostic]:
    """What is mounted and written by two is destroyed by both; what is only read may be read while it changes."""
    for seen in images_of(it):
        uses = seen.image.uses
        if not uses:
            continue
        read = it.spec.disks[seen.alias].readonly or not seen.is_top
        fact = f"{seen.subject} is in use by this host: {_worst(uses).what}"
        evidence = tuple(use.what for use in uses) if len(uses) > 1 else ()
        ways = tuple(dict.fromkeys(way for use in sorted(uses, key=_order) if (way := _ending(use))))
        code, help_ = ("W618", (*ways, _CHANGES)) if read else ("E618", ways or _OTHER)
        yield Diagnostic(code, fact, where(seen.alias), evidence, help_)


_CHANGES = "what is read while it changes may make no sense to the guest"
_OTHER = ("take another device", "or write `readonly: true`")


def _worst(uses: Sequence[DiskUse]) -> DiskUse:
    return next((use for use in uses if use.kind in ("mounted", "swap")), uses[0])


def _order(use: DiskUse) -> bool:
    """In which they have to go: a mount is above what it is on."""
    return use.kind == "holder"


def _ending(use: DiskUse) -> str:
    if use.kind == "mounted" and use.name:
        return f"unmount it: `umount {use.name}`" if " " not in use.name else "unmount it"
    if use.kind == "swap":
        return f"switch it off: `swapoff {use.name}`"
    if use.kind == "holder" and use.name.startswith("loop"):
        return f"take the loop device away: `losetup -d /dev/{use.name}`"
    return ""


def _passed(it: Situation) -> Iterator[Diagnostic]:
    """The guest gets the drive itself, and the host has nothing any more that an engine could open."""
    taken = {one.function.address: one.alias for one in it.passing.taken}
    for alias, _, one, subject in images_of(it):
        if one.function is not None and (other := taken.get(one.function)):
            fact = f"{subject} is on {one.function}, which `devices.{other}` takes from the host"
            yield Diagnostic("E619", fact, where(alias), help=("take one of the two out",))


RULES: tuple[Rule, ...] = (
    Rule("kernel", _locked),
    Rule("policy", _shared),
    Rule("policy", _of_the_host),
    Rule("kernel", _passed),
)
