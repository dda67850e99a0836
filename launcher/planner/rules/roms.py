"""Rules about the files that are to be option ROMs: each is one, is of its card, and is whole. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.boot_files import BootFile
from launcher.planner.places import in_spec
from launcher.planner.rules.contents import named
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import PciFunction
    from launcher.images.option_rom import OptionRom
    from launcher.planner.decided import Situation

# An expansion ROM has 16 MiB at most (PCI Local Bus 3.0, 6.2.5.2).
_LARGEST = 16 * MIB
_OWN = "or leave `rom` out: the guest then sees the card's own"


def _roms(it: Situation) -> Iterator[Diagnostic]:
    functions = {choice.alias: function for choice, function in it.chosen()}
    for alias, file in it.files.roms.items():
        where = in_spec(f"devices.{alias}.rom")
        if isinstance(file, BootFile) and file.size > _LARGEST:
            fact = f"{file.path} has {show_size(file.size)}, and an option ROM has {show_size(_LARGEST)} at most"
            help_ = ("name the file that has the card's ROM, or leave `rom` out",)
            yield Diagnostic("E425", fact, where, help=help_)
        elif isinstance(file, BootFile) and file.rom is not None:
            if file.rom.start != 0:
                yield _none(alias, file, file.rom.start, where)
            else:
                yield from _faults(alias, file, file.rom, functions.get(alias), where)


def _none(alias: str, file: BootFile, start: int | None, where: Where) -> Diagnostic:
    """Or one that does not start where the file does."""
    if start is None:
        what = named(file)
        if what == "is an option ROM":
            what = "is no option ROM of a PCI card: it has no PCI data structure (PCIR)"
        else:
            what = f"{what}, and no option ROM" if what else "is no option ROM: it does not begin with 55 aa"
        fact = f"{alias}: {file.path} {what}"
        return Diagnostic("E430", fact, where, help=("name a dump of the card's ROM", _OWN))
    dump = "a dump with NVIDIA's header (NVGI)" if file.content == "nvgi" else "a dump with a header"
    fact = f"{alias}: {file.path} is {dump}: its option ROM begins at {start:#x}, and the guest looks for it at 0"
    from launcher.images.option_rom import UNIT
    from launcher.shell import quote

    block, skip = (UNIT, start // UNIT) if start % UNIT == 0 else (1, start)
    fix = f"dd if={quote(file.path)} of={quote(f'{file.path}.cut')} bs={block} skip={skip}"
    help_ = (f"cut off what is before 55 aa: `{fix}`, and name {file.path}.cut",)
    return Diagnostic("E430", fact, where, help=help_, fix=fix)


def _faults(
    alias: str, file: BootFile, rom: OptionRom, function: PciFunction | None, where: Where
) -> Iterator[Diagnostic]:
    if function is not None and function.id not in (*rom.ids, *rom.others):
        fact = f"{alias}: {file.path} is the ROM of {series(rom.ids)}, and {function.address} is {function.id}"
        yield Diagnostic("W430", fact, where, help=(f"name the ROM of a {function.id}", _OWN))
    if rom.missing:
        fact = f"{alias}: {file.path} is cut off: its images have at least {show_size(rom.missing)} more"
        yield Diagnostic("W431", fact, where, help=("dump or copy it again, whole", _OWN))
    if not rom.sums:
        fact = f"{alias}: the checksum of {file.path} is wrong, so it is damaged or was edited by hand"
        yield Diagnostic("W432", fact, where, help=("dump or copy it again", _OWN))


RULES: tuple[Rule, ...] = (Rule("kernel", _roms),)
