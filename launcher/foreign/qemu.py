"""A QEMU command line, as words or in a script, in; a Draft out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.qemu_cards import read_nics
from launcher.foreign.qemu_disks import firmware_of, read_disks
from launcher.foreign.qemu_machine import MACHINE, read_cpus, read_memory
from launcher.foreign.qemu_options import Option, options_of
from launcher.foreign.qemu_rest import devices, read_shares
from launcher.foreign.qemu_words import LOST, NEEDLESS, UNKNOWN
from launcher.foreign.shell_words import Word, qemu_words
from launcher.foreign.sizes import of_digits
from launcher.record import replace
from launcher.spec.words import by_word, plain_word

Reader = Callable[[Draft, Option], None]

# Options that are read together, by who knows what belongs together.
_TOGETHER = frozenset(
    "m smp cpu numa mem-path mem-prealloc drive blockdev hda hdb hdc hdd cdrom fda fdb pflash bios netdev nic net "  # noqa: SIM905
    "device chardev fsdev virtfs kernel initrd append name object".split()
)


# What a machine has once.
_WHOLE = frozenset(["m", "smp", "cpu", "numa", "mem-path", "kernel", "initrd", "append", "name", "bios", "pflash"])


def read_command(text: str, file: str, *, split: bool) -> Draft | None:
    """`split`: each line is a word already. None where it has no command of QEMU."""
    words = [Word(one, 1) for one in text.splitlines()] if split else qemu_words(text, file)
    if not words:
        return None
    before, architecture, options = options_of(words, file)
    if not options:
        return None
    meaning.check_architecture(architecture, file, words[0].line)
    draft = Draft("a command line of QEMU")
    _before(draft, before)
    _read(draft, _from_one(options))
    return draft


def add_options(draft: Draft, words: Sequence[Word], file: str) -> None:
    """Options beside those that made the draft: what starts, memory and vCPUs are said already."""
    _, _, options = options_of(words, file)
    for one in options:
        if one.name in _WHOLE:
            draft.lose(one.shown, "the domain says it already, and the two are not put together", one.line)
    _beside_the_machine(draft, [one for one in options if one.name not in _WHOLE])


def _before(draft: Draft, words: Sequence[Word]) -> None:
    told = " ".join(one.text for one in words if "=" not in one.text)
    if told not in ("", "sudo", "exec", "exec sudo"):
        draft.lose(
            told,
            "what stands before QEMU is not run: where CPUs or nodes are meant, `pin` and `node` say it",
            words[0].line,
        )


def _from_one(options: Sequence[Option]) -> list[Option]:
    """QEMU's boot orders begin with 0, and a spec's with 1."""
    if all(one.get("bootindex") != "0" for one in options):
        return list(options)
    return [replace(one, values=dict(map(_one_later, one.values.items()))) for one in options]


def _one_later(pair: tuple[str, str]) -> tuple[str, str]:
    key, value = pair
    return (key, str(of_digits(value) + 1)) if key == "bootindex" and (of_digits(value) or value == "0") else pair


def _read(draft: Draft, options: Sequence[Option]) -> None:
    _unfilled(draft, options)
    _named(draft, options)
    _boot(draft, options)
    read_memory(draft, options)
    read_cpus(draft, options)
    _beside_the_machine(draft, options)
    _relative(draft, options[0].line)


def _beside_the_machine(draft: Draft, options: Sequence[Option]) -> None:
    used = {*read_disks(draft, options), *read_nics(draft, options), *read_shares(draft, options)}
    devices(draft, options, used)
    for one in options:
        if one.name not in _TOGETHER:
            _rest(draft, one)


def _relative(draft: Draft, line: int) -> None:
    paths = [draft.boot.get(key, "/") for key in ("kernel", "initrd")]
    paths += [one.get("path", "/") for kind in ("disks", "shares") for one in draft.entries[kind].values()]
    if not all(path.startswith(("/", "$", "~")) for path in paths):
        draft.skip("relative paths", "they are relative to the spec here, and to where QEMU was started there", line)


def _unfilled(draft: Draft, options: Sequence[Option]) -> None:
    for one in options:
        if "$" in one.text or "`" in one.text:
            draft.lose(one.shown, "what a shell fills in is not known here: write the value", one.line)


def _named(draft: Draft, options: Sequence[Option]) -> None:
    for one in options:
        if one.name == "name" and one.get("guest"):
            draft.call(one.get("guest"), one.line)


def _boot(draft: Draft, options: Sequence[Option]) -> None:
    keys = {"kernel": "kernel", "initrd": "initrd", "append": "cmdline"}
    draft.boot = {keys[one.name]: one.text for one in options if one.name in keys and one.text.strip()}
    if "kernel" in draft.boot:
        draft.boot = {key: draft.boot[key] for key in keys.values() if key in draft.boot}
        if firmware := firmware_of(options):
            draft.skip(firmware[1].shown, "a kernel that is named starts at once", firmware[1].line)
        return
    for one in options:
        if one.name in ("initrd", "append"):
            draft.lose(one.shown, "it goes with a kernel, and none is named", one.line, "boot")
    draft.boot = {}
    firmware = firmware_of(options)
    draft.firmware = firmware[0] if firmware else "bios"
    if firmware:
        draft.skip(firmware[1].shown, "the host's own UEFI or SeaBIOS is taken", firmware[1].line)


def _rest(draft: Draft, one: Option) -> None:
    if one.text == "none":
        return  # as in -display none: it says that there is nothing
    if reader := MACHINE.get(one.name):
        reader(draft, one)
    elif why := _LOST.get(plain_word(one.name)):
        draft.lose(one.shown, why, one.line)
    elif why := _NEEDLESS.get(plain_word(one.name)):
        draft.skip(one.shown, why, one.line)
    else:
        draft.lose(one.shown, UNKNOWN, one.line)


_LOST, _NEEDLESS = by_word(LOST), by_word(NEEDLESS)
