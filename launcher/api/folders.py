"""The name of a VM in, its state folder out; and what state folders say of their VMs. Imports nothing heavy."""

from __future__ import annotations

from launcher.vms.folder_state import JOURNAL, LOG, PLAN, REPORT, STATE
from launcher.vms.looking import all_names, has_ended, is_lost, is_one, is_up, read_file, read_json, state_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from launcher.errors import NoSuchVm
    from launcher.plan.outcome import End
    from launcher.vms.journal import Entry

STATED = {"phase": str, "keeper": int, "started": str, "ended": str, "vcpus": int, "memory": int}


def folder_named(name: str) -> Path | None:
    """Of a VM of this user, whether there is one or not. None: this user can have no VMs."""
    from pathlib import Path

    root = state_root()
    return Path(root, name) if root else None


def folder_of(name: str) -> Path:
    """Of a VM that is up, or has ended and left something."""
    path = folder_named(name)
    if path is None or not path.is_dir():
        raise no_such_vm(name)
    return path


def is_in_use(name: str) -> bool:
    """A VM of the name is up, or its keeper died: whatever else is in its folder is past."""
    root = state_root()
    return root is not None and (is_up(f"{root}/{name}") or is_lost(f"{root}/{name}"))


def no_such_vm(name: str) -> NoSuchVm:
    from difflib import get_close_matches

    from launcher.errors import Diagnostic, NoSuchVm

    root = state_root()
    near = get_close_matches(name, all_names(root), 1) if root else []
    help_ = (*(f"did you mean `{one}`?" for one in near), "`vmlaunch ps -a` lists those there are")
    return NoSuchVm(Diagnostic("E520", f"there is no VM of the name {name}", help=help_))


def names_of_vms(*, ended: bool = False) -> Iterator[str]:
    """In order; of those that `ended`, if they are asked for."""
    root = state_root()
    return (name for name in (all_names(root) if root else ()) if _is_meant(f"{root}/{name}", ended=ended))


def _is_meant(path: str, *, ended: bool) -> bool:
    """What is there may be no VM's."""
    return is_up(path) or (is_one(path) and (ended or not has_ended(path)))


def all_vms(*, ended: bool = False) -> Iterator[dict[str, Any]]:
    """What their keepers have written of themselves, by name; of those that `ended`, if they are asked for, how.

    Each has `name` and `phase` (starting, running, stopping, ended, lost or unknown), and what is known of `keeper` (a
    pid), `started`, `ended` (ISO times), `vcpus` and `memory` (bytes), else None. An ended one has `end`, as a report
    has it.
    """
    root = state_root()
    return (_vm(f"{root}/{name}", name) for name in names_of_vms(ended=ended))


def _vm(path: str, name: str) -> dict[str, Any]:
    state = {"name": name} | _fitting(read_json(f"{path}/{STATE}"), STATED)
    state["phase"] = state["phase"] or "unknown"
    if not is_up(path):  # its keeper has said its last word, or died without one: then `down` puts the host back
        state["phase"] = "ended" if has_ended(path) else "lost"
    if state["phase"] == "ended":
        state |= _fitting(read_json(f"{path}/{REPORT}"), {"end": dict})
    return state


def end_in(path: Path) -> End | None:
    """How the VM ended that was the last to have this folder; None: it has not, or its keeper has not written it."""
    from launcher.codec import DecodeError, decode
    from launcher.plan.outcome import End

    report = read_json(path / REPORT)
    try:
        return decode(End, report["end"]) if isinstance(report, dict) and report.get("end") else None
    except DecodeError:
        return None  # of another version of vmlaunch


def _fitting(state: Any, kinds: dict[str, type]) -> dict[str, Any]:
    """Each of these keys; None for what is not of its kind: it may be of another version, or damaged."""
    found = state if isinstance(state, dict) else {}
    return {key: found[key] if isinstance(found.get(key), kind) else None for key, kind in kinds.items()}


def keeper_of(name: str) -> int | None:
    """The process that keeps the VM, as it has written down."""
    path = folder_named(name)
    state = read_json(path / STATE) if path else None
    return state.get("keeper") if isinstance(state, dict) else None


def saved_in(path: Path) -> Any:
    """The plan of the VM, as JSON; None when there is none to read."""
    return read_json(path / PLAN)


def said_by(path: Path) -> bytes | None:
    """What the guest has said on its serial console. None: it never came as far."""
    try:
        return read_file(path / LOG)
    except FileNotFoundError:
        return None
    except OSError as error:
        from launcher.errors import Diagnostic, Refused

        fact = f"failed to read the log of {path.name}: {error.strerror}"
        raise Refused(Diagnostic("E543", fact, help=(f"it is {path / LOG}",))) from None


def left_to_undo(path: Path) -> list[Entry]:
    """Changes of the host that are still to be put back."""
    from launcher.executor.keeper.changing import left_of

    return left_of(path / JOURNAL)


def died_and_left_nothing(path: Path) -> bool:
    """Its keeper went without a word, and the host is as it was."""
    return is_lost(path) and not left_to_undo(path)
