"""A scalar of a spec in, a text or a name out; a Problem is raised otherwise. Pure."""

from __future__ import annotations

from launcher.names import is_name
from launcher.patterns import re
from launcher.record import replace
from launcher.spec.problems import Problem

COMMAND_LINE = 2047  # COMMAND_LINE_SIZE in arch/x86/include/asm/setup.h is 2048, with the NUL

# What other tools, YAML 1.1 and quotes make of true and false.
TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false", "true": "true",
         "false": "false"}  # fmt: skip
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", type(None): "nothing"}


# As they are spoken; after sixteen only what is a likely count of vCPUs.
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
            "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
            "twenty": 20, "twenty-four": 24, "thirty-two": 32, "sixty-four": 64}  # fmt: skip


def whole_number(given: str) -> str | None:
    """The digits of a text, or of the number that it says in words."""
    word = given.strip()
    if word.isdecimal():
        return word
    meant = _NUMBERS.get("-".join(word.lower().split()))
    return str(meant) if meant else None


def kind(given: object) -> str:
    """What a value of the spec is, in words."""
    return _KINDS.get(type(given), "a list" if isinstance(given, list | tuple) else "a mapping")


def wrong_kind(wanted: str, given: object) -> Problem:
    return Problem("E105", f"expected {wanted}, found {kind(given)}")


def text(given: object) -> str:
    """Text only: a number has already lost its leading zeros, its case or its digits."""
    if isinstance(given, str) and given.strip() and "\0" not in given:
        return given
    if isinstance(given, str):
        raise Problem("E130", "the text is empty" if not given.strip() else "the text has a NUL byte in it").error()
    if isinstance(given, int | float) and not isinstance(given, bool):
        raise Problem("E113", "YAML reads this as a number, and text belongs here", help=("put it in quotes",)).error()
    raise wrong_kind("text", given).error()


def rom(given: object) -> bool | str:
    if isinstance(given, bool):
        return given
    if given in (0, 1):
        raise _rom_by_number(given == 1).error()
    if isinstance(given, dict):
        raise _rom_of_others(given).error()
    path = text(given)
    if (meant := truth(path)) is None:
        return path
    raise _or_file(meant, path).error()


# What others call the two kinds of firmware, and files that are parts of one.
_FIRMWARE = dict.fromkeys(("efi", "ovmf", "edk2", "uefi64", "efi64"), "uefi") | dict.fromkeys(
    ("seabios", "legacy", "pc", "csm", "mbr"), "bios"
)
FIRMWARE = ("uefi", "bios")
_FROM = ("disk", "hd", "hdd", "cdrom", "cd", "dvd", "network", "pxe")  # what it boots from, as libvirt and others say


def firmware(given: object) -> str:
    """`uefi` or `bios`, in any writing, or a path."""
    path = text(given)
    if path in _FROM:
        what = "write `uefi` or `bios`, which look for a boot loader; `boot-order: 1` at a disk says which is first"
        help_ = (what, f"for a file of that name, write `./{path}`")
        raise Problem("E116", f"{path} is not a choice here", help=help_).error()
    fix = path.lower() if path.lower() in FIRMWARE else _FIRMWARE.get(path.lower())
    if path in FIRMWARE or fix is None:
        return path
    help_ = (f"write `{fix}`", f"for a file of that name, write `./{path}`")
    raise Problem("E116", f"{path} is not a choice here", help=help_, fix=fix).error()


def _rom_by_number(wanted: bool) -> Problem:
    """QEMU's `rombar=1`."""
    meant = truth(int(wanted))
    assert meant is not None
    return _or_file(meant, str(int(wanted)))


def _or_file(meant: Problem, path: str) -> Problem:
    return replace(meant, help=(*meant.help, f"for a file of that name, write `./{path}`"))


def truth(given: object) -> Problem | None:
    """What is meant as true or false, and is another thing to YAML; None for what means neither."""
    if isinstance(given, int | float) and not isinstance(given, bool) and given in (0, 1):
        fix = str(given == 1).lower()
        return Problem("E128", f"{given} is a number, not true or false", help=(f"write `{fix}`",), fix=fix)
    word = given.strip() if isinstance(given, str) else ""
    word_means = TRUTH.get(word.lower())
    if word_means is None:
        return None
    message = f"`{word}` is text to YAML 1.2, not true or false"
    return Problem("E128", message, help=(f"write `{word_means}`",), fix=word_means)


def _rom_of_others(given: dict[str, object]) -> Problem:
    """libvirt's `{file: ..., bar: off}`."""
    file = next((given[key] for key in ("file", "path") if isinstance(given.get(key), str)), None)
    off = any(given.get(key) in (False, "off", "no") for key in ("bar", "enabled"))
    shown = f"write its path: `rom: {file}`" if file else "write the path of a file, true, or false for none"
    shown = "write `rom: false`" if off and not file else shown
    return replace(wrong_kind("true, false or a path", given), help=(shown,))


def cmdline(given: object) -> str:
    if isinstance(given, list) and given and all(isinstance(word, str) and word for word in given):
        fix = " ".join(given)
        raise replace(wrong_kind("text", given), help=(f"write it as one text: `{fix}`",), fix=fix).error()
    if not isinstance(given, str):
        raise wrong_kind("text", given).error()
    if any(sign in given for sign in "\0\n\r"):
        help_ = ("`cmdline: >-` makes one line of several",)
        raise Problem("E126", "a kernel command line is one line of text without NUL", help=help_).error()
    if (length := len(given.encode("utf-8", "surrogatepass"))) > COMMAND_LINE:
        raise Problem("E126", f"the kernel command line has {length} bytes; x86 Linux takes {COMMAND_LINE}").error()
    return given


def version(given: object) -> int:
    if type(given) is int and given == 1:
        return given
    raise Problem("E127", f"format version {given} is not known", help=("write `vmlaunch: 1`",), fix="1").error()


def name(given: object) -> str:
    return _plain_name(given, "E117", "a name for a VM")


def alias(given: object) -> str:
    return _plain_name(given, "E118", "an alias")


def _plain_name(given: object, code: str, what: str) -> str:
    found = text(given)
    if is_name(found):
        return found
    fix = suggested_name(found)
    rule = "1 to 63 of a-z, 0-9 and -, and not - first"
    help_ = (f"write `{fix}`", f"names are {rule}") if fix else (f"names are {rule}",)
    raise Problem(code, f"not {what}: {found}", help=help_, fix=fix or None).error()


def suggested_name(given: str) -> str:
    """The nearest valid name, or nothing: `GPU_0` -> `gpu-0`, `ünï` -> `uni`."""
    from unicodedata import combining, normalize

    letters = "".join(sign for sign in normalize("NFKD", given[:256].lower()) if not combining(sign))
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:63].strip("-")
