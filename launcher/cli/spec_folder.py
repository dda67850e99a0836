"""A path in; the specs that are meant by it out, and what is beside them and is none. Where one is wanted, which."""

from __future__ import annotations

import os

from launcher.errors import Diagnostic, Refused, Where
from launcher.names import is_name
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS = (".yaml", ".yml")
JSON = ".json"
MOST_SHOWN = 3
_BESIDE = ("examples", "vms")  # where specs are kept, seen from where people stand


class Found(NamedTuple):
    """`passed_over`: files that could be taken for specs, and were not read."""

    specs: list[str]
    passed_over: list[str]


def specs_in(path: str) -> Found:
    """Those of a folder, without hidden ones: YAML, and JSON with a `boot`. Anything else as it was given."""
    if path == "-" or not os.path.isdir(path):  # Path.is_dir() raises where we may not look
        return Found([path], [])
    files = sorted(_files(path))
    specs = [file for file in files if _is_one(file)]
    return Found(specs, [file for file in files if file not in set(specs)])


def _files(folder: str) -> Iterator[str]:
    for above, below, names in os.walk(folder):
        below[:] = (name for name in below if not name.startswith("."))
        yield from (os.path.normpath(os.path.join(above, name)) for name in names if _may_be_one(name))


def none_in(path: str) -> Refused:
    help_ = ("name a file, or a folder with specs in it: *.yaml, *.yml, or *.json with a `boot`",)
    return Refused(Diagnostic("E015", "there is no spec in this folder", Where(path), help=help_))


def _may_be_one(name: str) -> bool:
    """vm.yaml.tmpl, too: somebody has meant a spec by it."""
    _, *endings = name.lower().split(".")
    return not name.startswith(".") and bool({*ENDINGS, JSON} & {f".{one}" for one in endings})


def _is_one(file: str) -> bool:
    """None but a regular file is opened: a FIFO waits for its writer. What is gone is refused with the reason."""
    ending = os.path.splitext(file)[1].lower()
    if os.path.exists(file) and not os.path.isfile(file):
        return False
    return ending in ENDINGS or (ending == JSON and _says_boot(file))


def _says_boot(file: str) -> bool:
    """Saved plans, facts files and whatever else is JSON do not: they begin in another way."""
    from launcher.api.plans import is_saved_plan

    try:
        with open(file, "rb") as opened:
            raw = opened.read(1 << 16)
    except OSError:
        return True  # to be refused with the reason
    return raw.lstrip()[:1] == b"{" and b'"boot"' in raw and not is_saved_plan(raw)


def read_one(path: str, verb: str) -> bytes:
    """For a `verb` that takes one spec or plan. For a folder, a VM or a misspelled name it is said what to write."""
    from launcher.api.files import read_bytes
    from launcher.record import replace

    try:
        return read_bytes(path)
    except Refused as error:
        (found,) = error.diagnostics
        help_ = (tuple(_meant(path, verb)) if found.code == "E015" else ()) or found.help
        raise Refused(replace(found, help=help_)) from None


def _meant(path: str, verb: str) -> Iterator[str]:
    if os.path.isdir(path):
        yield from _one_of(path, verb)
    elif _is_pci_address(path):
        yield f"that is a PCI address, which a spec names, as in `devices: {{disk: {path}}}`"
        yield "`vmlaunch devices` says what can be passed, `vmlaunch init NAME` writes a spec with it"
    elif not os.path.lexists(path):
        yield from _named(path, verb)


def _named(path: str, verb: str) -> Iterator[str]:
    """No file has this name. A VM may, or may have had it; its spec lies somewhere, where there is one."""
    spec = _spec_of(path)
    if spec and os.path.exists(spec):
        yield f"{path} is a VM, and its spec is meant here: `vmlaunch {verb} {spec}`"
    elif spec:
        yield f"{path} is a VM, and its spec, {spec}, is not there any more"
    elsewhere = [f"{folder}/{path}.yaml" for folder in _BESIDE if is_name(path)]
    yield from (f"did you mean `{one}`?" for one in _near(path) or filter(os.path.isfile, elsewhere))
    if is_name(path) and not spec:
        plan = " or of a saved plan" if verb in ("up", "plan") else ""
        yield f"`{verb}` takes the path of a spec{plan}, and no VM called {path} is up or has left its plan"


def _is_pci_address(text: str) -> bool:
    from launcher.values import PciAddress

    try:
        PciAddress.parse(text)
    except ValueError:
        return False
    return True


def _one_of(folder: str, verb: str) -> Iterator[str]:
    specs = specs_in(folder).specs
    if not specs:
        yield "there is no spec in this folder: name a file"
    for spec in specs[:MOST_SHOWN]:
        yield f"one spec is meant here: `vmlaunch {verb} {spec}`"
    if len(specs) > MOST_SHOWN:
        yield f"and {len(specs) - MOST_SHOWN} more; `vmlaunch validate {folder}` takes them all"


def _spec_of(name: str) -> str | None:
    """Of a VM that is up or has left its plan."""
    from launcher.api.folders import folder_named, saved_in

    folder = folder_named(name) if is_name(name) else None
    plan = saved_in(folder) if folder else None
    spec = plan.get("spec") if isinstance(plan, dict) else None
    path = spec.get("path") if isinstance(spec, dict) else None
    return path if isinstance(path, str) and path not in ("", "-") else None


def _near(path: str) -> list[str]:
    """A file beside it whose name is like it: without its ending, or misspelled."""
    from difflib import get_close_matches

    folder, name = os.path.split(path)
    if not name:
        return []
    try:
        beside = [one for one in os.listdir(folder or ".") if one.lower().endswith((*ENDINGS, JSON, ".plan"))]
    except OSError:
        return []
    stems = {os.path.splitext(one)[0]: os.path.join(folder, one) for one in beside}
    return [stems[one] for one in get_close_matches(os.path.splitext(name)[0], stems, 1)]
