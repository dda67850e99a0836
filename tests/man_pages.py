"""Verbs' parsers, exit codes, README, the model's fields, codes in; vmlaunch(1), vm.yaml(5), vmlaunch-codes(7) out.

They are written with man(7)'s macros. What argparse would lay out is laid out here: it does so in another way in
each release of Python.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from launcher.cli.topics import EXIT_CODES
from launcher.codes import ROOMS, all_explanations
from launcher.codes.page import Explanation
from launcher.spec.fields import SECTIONS, FieldHelp, all_fields, as_yaml
from launcher.version import VERSION
from tests.parsers import parsers

ROOT = Path(__file__).parent.parent

SIGNS = {"\\": r"\e", "-": r"\-", "~": r"\(ti", "^": r"\(ha", "`": r"\(ga"}
QUOTES = {"'": r"\(aq", '"': r"\(dq"}  # where they are typed

ENVIRONMENT = {
    "XDG_RUNTIME_DIR": "where the state of a user's VMs is; root's is in `/run/vmlaunch`",
    "NO_COLOR": "not empty: nothing is coloured",
    "FORCE_COLOR": "not empty and not 0: colours also where the output is no terminal",
    "TERM": "dumb: neither colours nor lines that are drawn again",
    "FORCE_HYPERLINK": "1: the codes of diagnostics are links to their page, on any terminal; 0: on none",
    "TERM_PROGRAM": "with TERM, VTE_VERSION, KITTY_WINDOW_ID, KONSOLE_VERSION and WT_SESSION: whether the terminal is "
    "one that is known to have links",
    "GITHUB_ACTIONS": "true: diagnostics are annotations, too",
    "NOTIFY_SOCKET": "where a service manager is told that the VM is up, by `up`",
    "LISTEN_PID": "together with LISTEN_FDS and LISTEN_FDNAMES: `/dev/kvm` and nodes of `/dev/vfio` that a service "
    "manager has opened, by the names `kvm`, `vfio` and `vfio-GROUP`",
}
FILES = {
    "/run/vmlaunch/NAME": "what root's VM NAME has of plan, journal, report and console.log, until `down` or `up`",
    "$XDG_RUNTIME_DIR/vmlaunch/NAME": "the same of a user's VM",
    "/etc/vmlaunch/NAME.yaml": "the spec that the service `vmlaunch@NAME` runs",
}
MADE = '.\\" Made by `./dev generate` of what `--help`, `explain` and README.md are made of.'
NO_HYPHENS = ".nh"  # a path or a name that is torn apart cannot be copied
EXAMPLES = {
    "A guest that comes along, to see that KVM works": "vmlaunch up --hello",
    "A first spec for this host; what it would do; then to do it": "vmlaunch init trainer\n"
    "vmlaunch plan trainer.yaml\nvmlaunch up trainer.yaml",
    "Up as soon as the guest can be logged in to, and down again": "vmlaunch up -d trainer.yaml --wait 'login: '\n"
    "vmlaunch console trainer\nvmlaunch down trainer",
}
OF_SPECS = (
    "A spec is one virtual machine in a file of YAML 1.2, or JSON, of at most 1 MiB, with any name. Paths in it are "
    "relative to its folder. `--set KEY=VALUE` changes a field of it, `vmlaunch validate` checks it on any machine. "
    "`vmlaunch explain KEY` prints what is said below of one field, `vmlaunch schema` all of it as a JSON Schema."
)
OF_CODES = (
    "What vmlaunch refuses has a code that begins with E, what it warns of one that begins with W. A code is never "
    "used for something else. `vmlaunch explain CODE` prints what is said below of one, `vmlaunch explain WORD` lists "
    "those that speak of a word."
)
ROOM_TITLES = {
    "0": "YAML",
    "1": "The spec",
    "2": "Devices, groups and the IOMMU",
    "3": "Memory and addresses",
    "4": "KVM, CPU and boot files",
    "5": "Running",
    "6": "Disks, networks, shares and vsock",
}


def man_pages() -> dict[str, str]:
    """Path below the checkout -> what it has to contain."""
    pages = {
        "docs/man/vmlaunch.1": _of_the_command(),
        "docs/man/vm.yaml.5": _of_the_spec(),
        "docs/man/vmlaunch-codes.7": _of_the_codes(),
    }
    return {path: "\n".join([MADE, *lines, ""]) for path, lines in pages.items()}


# ---- vmlaunch(1) ----


def _of_the_command() -> Iterator[str]:
    about = _paragraph("A declarative launcher")
    yield f'.TH VMLAUNCH 1 "" "vmlaunch {VERSION}" "User Commands"'
    yield NO_HYPHENS
    yield from (".SH NAME", r"vmlaunch \- declarative launcher for virtual machines that own PCI devices")
    yield from (".SH SYNOPSIS", r"\fBvmlaunch\fR \fIVERB\fR ...")
    yield from (".SH DESCRIPTION", *_prose(about), ".PP", *_prose(_paragraph("Attached on a terminal")))
    yield ".SH VERBS"
    for verb, _, parser in parsers():
        yield from _verb(verb, parser)
    yield ".SS \\fBvmlaunch\\fR help [\\fIVERB\\fR], \\fBvmlaunch\\fR version"
    yield from _prose("What is on this page, and which version of vmlaunch it is.")
    yield from (".SH EXIT STATUS", *_listed({str(code): said for code, said in EXIT_CODES.items()}))
    yield from (".SH ENVIRONMENT", *_listed(ENVIRONMENT), ".SH FILES", *_listed(FILES), ".SH EXAMPLES")
    for number, (said, typed) in enumerate(EXAMPLES.items()):
        yield from ([".PP"] if number else [])
        yield from (*_prose(f"{said}:"), *_typed(typed))
    yield from (".SH SEE ALSO", r"\fBvm.yaml\fR(5), \fBvmlaunch\-codes\fR(7), \fBsystemd.service\fR(5), \fBlspci\fR(8)")


def _verb(verb: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    options = [one for one in parser._actions if one.option_strings and one.dest != "help"]
    operands = [one for one in parser._actions if not one.option_strings]
    head = [rf"\fBvmlaunch {verb}\fR", *(["[\\fIOPTION\\fR ...]"] if options else []), *map(_operand, operands)]
    yield f".SS {' '.join(head)}"
    yield from _prose((parser.description or "")[:1].upper() + (parser.description or "")[1:])
    for one in (*operands, *options):
        yield from (".TP", _flags(one) if one.option_strings else _value(one), *_prose(_about(one)))


def _operand(action: argparse.Action) -> str:
    shown = _value(action)
    return {"?": f"[{shown}]", "*": f"[{shown} ...]", "+": f"{shown} ..."}.get(str(action.nargs), shown)


def _flags(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_value(action)}"
    return ", ".join(rf"\fB{_signs(flag)}\fR" for flag in action.option_strings) + value


def _value(action: argparse.Action) -> str:
    shown = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
    return rf"\fI{_signs(str(shown))}\fR"


def _about(action: argparse.Action) -> str:
    """As argparse fills in `%(default)s`."""
    return (action.help or "") % vars(action)


# ---- vm.yaml(5) ----


def _of_the_spec() -> Iterator[str]:
    yield f'.TH VM.YAML 5 "" "vmlaunch {VERSION}" "File Formats"'
    yield NO_HYPHENS
    yield from (".SH NAME", r"vm.yaml \- the spec of a virtual machine for vmlaunch(1)", ".SH SYNOPSIS")
    yield from _typed(_example("hello", comments=False))
    yield from (".SH DESCRIPTION", *_prose(OF_SPECS), ".SH FIELDS")
    fields = all_fields().values()
    for name, model in SECTIONS.items():
        yield f".SS {_literal(name)}" if name else ".SS The file"
        yield from _prose(" ".join((model.__doc__ or "").split()))
        for one in fields:
            if one.key.rpartition(".")[0] == name:
                yield from _field(one)
    yield from (".SH EXAMPLES", *_prose("What most machines have, beside a device of the host:"))
    yield from _typed(_example("whole-machine"))
    yield from (".SH SEE ALSO", r"\fBvmlaunch\fR(1), \fBvmlaunch\-codes\fR(7)")


def _example(name: str, *, comments: bool = True) -> str:
    """Without the line that is for editors."""
    _, *lines = (ROOT / "examples" / f"{name}.yaml").read_text().splitlines()
    return "\n".join(line for line in lines if comments or not line.startswith("#"))


def _field(field: FieldHelp) -> Iterator[str]:
    absent = "required" if field.required else "" if field.default is None else f"default {as_yaml(field.default)}"
    facts = ", ".join(filter(None, [field.type, absent]))
    name = field.key.rpartition(".")[2]
    yield from (".TP", rf"{_literal(field.key)} ({_signs(facts)})", *_prose(field.description))
    yield from (".IP", *_typed("\n".join(f"{name}: {as_yaml(one)}" for one in field.examples)))


# ---- vmlaunch-codes(7) ----


def _of_the_codes() -> Iterator[str]:
    yield f'.TH VMLAUNCH\\-CODES 7 "" "vmlaunch {VERSION}" "Miscellaneous"'
    yield NO_HYPHENS
    yield from (".SH NAME", r"vmlaunch\-codes \- errors and warnings of vmlaunch(1)")
    yield from (".SH DESCRIPTION", *_prose(OF_CODES))
    for room in ROOMS:
        yield f".SH {ROOM_TITLES[room].upper()}"
        for one in all_explanations():
            yield from (_code(one) if one.code[1] == room else ())
    yield from (".SH SEE ALSO", r"\fBvmlaunch\fR(1), \fBvm.yaml\fR(5)")


def _code(one: Explanation) -> Iterator[str]:
    """The tag has the line for itself: what is searched, and copied, is CODE: TITLE."""
    yield from (".TP", rf"{_literal(one.code)}: {_words(one.title)}", *_prose(one.cause))
    yield from (".IP", *_typed(one.example), ".IP", *_prose(one.fix))
    if one.known:
        yield from (".IP", "Known of:")
    for device in one.known:
        yield from (".br", *_prose(device))


# ---- roff ----


def _paragraph(beginning: str) -> str:
    """Of README.md, without what is Markdown's."""
    found = next(one for one in (ROOT / "README.md").read_text().split("\n\n") if one.startswith(beginning))
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(found.split()))


def _listed(words: dict[str, str]) -> Iterator[str]:
    for word, said in words.items():
        yield from (".TP", _literal(word), *_prose(said))


def _prose(text: str) -> Iterator[str]:
    """Filled by who shows it; what is in backquotes is bold, over the end of a line too."""
    yield from map(_safe, wrap(_words(text), 78, break_long_words=False, break_on_hyphens=False))


def _words(text: str) -> str:
    spans = re.split(r"`([^`]*)`", text)
    return "".join(_literal(one) if n % 2 else _signs(one) for n, one in enumerate(spans))


def _typed(text: str) -> Iterator[str]:
    """As it stands, line by line."""
    yield ".EX"
    yield from (_safe(_signs(line, QUOTES)) for line in text.strip("\n").split("\n"))
    yield ".EE"


def _literal(text: str) -> str:
    return rf"\fB{_signs(text, QUOTES)}\fR"


def _signs(text: str, more: dict[str, str] | None = None) -> str:
    known = SIGNS | (more or {})
    return "".join(known.get(sign, sign if sign.isascii() else rf"\[u{ord(sign):04X}]") for sign in text)


def _safe(line: str) -> str:
    """A line that begins so would be a request."""
    return rf"\&{line}" if line[:1] in (".", "'") else line
