"""The path of a libvirt domain or a QEMU command line in, the text of a spec out, and what is still wrong with it."""

from __future__ import annotations

from pathlib import PurePath

from launcher.api.files import read_bytes
from launcher.errors import Diagnostic, Refused
from launcher.foreign.draft import Note
from launcher.record import record


@record
class Imported:
    """`notes`: what the file says and the spec does not. `diagnostics`: why the spec is not valid, if it is not."""

    source: str
    name: str
    text: str
    notes: tuple[Note, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


def import_machine(path: str, spec: str = "") -> Imported:
    """`spec` is where the text will be, which diagnostics name and a machine without a name is called by."""
    from launcher.foreign.telling import drafted
    from launcher.foreign.writing import spec_text
    from launcher.spec.load import load_spec
    from launcher.spec.scalars import suggested_name

    draft = drafted(read_bytes(path), path)
    stem = PurePath(spec or path).stem
    draft.name = draft.name or suggested_name(stem) or "vm"
    text = spec_text(draft, path)
    try:
        load_spec(text, spec or f"{draft.name}.yaml")
    except Refused as refusal:
        return Imported(draft.source, draft.name, text, tuple(draft.notes), refusal.diagnostics)
    return Imported(draft.source, draft.name, text, tuple(draft.notes))
