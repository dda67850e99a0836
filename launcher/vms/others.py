"""The folder of state folders in; what only one VM can have of those that are up, out: MACs, context ids, images, taps.

A plan in a folder may be of another version, so nothing of it but that is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from launcher.host.facts import OtherVm
from launcher.plan.firmware import OpenVariables
from launcher.plan.virtio import AddVirtio, MakeTap, OpenTap, StartDiskEngine
from launcher.typed import TYPE_CHECKING, Any
from launcher.vms.folder_state import PLAN
from launcher.vms.looking import all_folders, is_up, read_json

if TYPE_CHECKING:
    from launcher.vms.way import StrPath


def other_vms(root: StrPath) -> tuple[OtherVm, ...]:
    """Those that have any of it, by name."""
    read = ((folder, _taken(folder.name, read_json(folder / PLAN))) for folder in all_folders(root))
    return tuple(one for folder, one in read if one != OtherVm(one.name) and is_up(folder))


def _taken(name: str, plan: Any) -> OtherVm:
    functions = tuple(_records(plan, AddVirtio.op, "functions"))
    macs = tuple(one["mac"] for one in functions if isinstance(one.get("mac"), str))
    cid = next((one["cid"] for one in functions if type(one.get("cid")) is int), None)
    images = tuple(_images(_records(plan, StartDiskEngine.op, "disks")))
    written, read = (tuple(one for one, is_written in images if is_written is kind) for kind in (True, False))
    variables = next((one["path"] for one in _steps(plan, OpenVariables.op) if isinstance(one.get("path"), str)), "")
    return OtherVm(name, macs, cid, written, tuple(_taps(plan)), read, variables)


def _taps(plan: Any) -> Iterator[str]:
    for op in (OpenTap.op, MakeTap.op):
        yield from (one["tap"] for one in _steps(plan, op) if isinstance(one.get("tap"), str))


def _images(disks: Iterator[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Identities, and whether they are written: of a chain only the first may be."""
    for disk in disks:
        listed = disk.get("images")
        for number, image in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(image, dict) and isinstance(image.get("identity"), str):
                yield image["identity"], number == 0 and disk.get("readonly") is not True


def _records(plan: Any, op: str, key: str) -> Iterator[dict[str, Any]]:
    for args in _steps(plan, op):
        listed = args.get(key)
        yield from (one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict))


def _steps(plan: Any, op: str) -> Iterator[dict[str, Any]]:
    """What they are given."""
    steps = plan.get("steps") if isinstance(plan, dict) else None
    for step in steps if isinstance(steps, list) else ():
        args = step.get("args") if isinstance(step, dict) and step.get("op") == op else None
        yield from [args] if isinstance(args, dict) else []
