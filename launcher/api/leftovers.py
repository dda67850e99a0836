"""State folders and this host's facts in; what VMs left behind that ended in another way than by themselves, out."""

from __future__ import annotations

from pathlib import Path

from launcher.errors import Diagnostic, LauncherError
from launcher.executor.keeper.changing import address_of, describe, left_of
from launcher.planner.functions import on_vfio
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing
from launcher.vms.folder_state import JOURNAL
from launcher.vms.groups import claims
from launcher.vms.holders import holders, homeless, is_orphaned
from launcher.vms.looking import all_folders, has_ended, is_one, is_up, state_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.values import HostDevice
    from launcher.vms.journal import Entry


def leftovers_here(host: HostFacts) -> Iterator[Diagnostic]:
    """`host` is this one: of all VMs of this user, the only ones that it can put down."""
    root = state_root()
    return leftovers(host, Path(root) if root else None)


def leftovers(host: HostFacts, root: Path | None) -> Iterator[Diagnostic]:
    """`root`: of the state folders."""
    known: set[HostDevice | None] = set()
    taken: set[int] = set()
    try:
        folders = list(all_folders(root)) if root else []
        taken = {number for number, _ in claims(root)} if root else taken
    except LauncherError as refused:  # the way there is not safe
        yield from refused.diagnostics
        folders = []
    for folder in folders:
        try:
            entries = left_of(folder / JOURNAL)
            known.update(map(address_of, entries))
            yield from _of_a_vm(folder, entries)
        except LauncherError as refused:
            yield from refused.diagnostics
    yield from (one for _, one in (homeless_in(root) if root else ()))
    yield from _overrides(host, taken | _open_groups(host), known)


def _of_a_vm(folder: Path, entries: list[Entry]) -> Iterator[Diagnostic]:
    name = folder.name
    if is_orphaned(folder):
        who = ", ".join(map(str, holders(folder))) or "a process"
        yield _remedy(
            "W540", f"the keeper of {name} died, and its runner lives on: {who}", f"vmlaunch down --kill {name}"
        )
    elif is_one(folder) and not is_up(folder):
        ended = has_ended(folder)
        undo = f"still to be put back: {'; '.join(map(describe, entries))}" if entries else "nothing is left to undo"
        if entries or not ended:
            yield _remedy("W502", f"{name} {'ended' if ended else 'lost its keeper'}; {undo}", f"vmlaunch down {name}")


def _overrides(host: HostFacts, taken: set[int], known: set[HostDevice | None]) -> Iterator[Diagnostic]:
    """Of functions that no VM of ours has, that no dead one took, and whose group nobody has open."""
    for one in host.pci:
        kept = on_vfio(one) and one.driver_override == one.driver
        if kept and one.address not in known and one.group not in taken:
            yield _override(one)


def _open_groups(host: HostFacts) -> set[int]:
    nodes = {node.path for node in host.device_nodes or () if isinstance(node.holders, Missing) or node.holders}
    own = {one.group for one in host.pci if one.group is not None and f"/dev/vfio/devices/{one.vfio}" in nodes}
    return own | {group.number for group in host.groups if f"/dev/vfio/{group.number}" in nodes}


def _override(one: PciFunction) -> Diagnostic:
    place = f"/sys/bus/pci/devices/{one.address}"
    back = (
        f"echo > {place}/driver_override; echo {one.address} > {place}/driver/unbind; "
        f"echo {one.address} > /sys/bus/pci/drivers_probe"
    )
    fact = f"{one.address} is on {one.driver} by its driver_override, and no VM that is up has it"
    return Diagnostic(
        "W541", fact, help=(f"leave it if it is kept there for VMs; to give it back: `{back}`",), fix=back
    )


def homeless_in(root: Path) -> Iterator[tuple[str, Diagnostic]]:
    """Names of VMs that are up and whose folder under `root` was deleted, with what to do about each."""
    for name, keeper in homeless(root):
        fact = f"{name} is up, and its state folder was deleted: no command reaches it; its keeper is process {keeper}"
        help_ = f"`kill -TERM {keeper}` presses its power button, and the keeper puts the host back"
        yield name, Diagnostic("W542", fact, help=(help_,), fix=f"kill -TERM {keeper}")


def _remedy(code: str, fact: str, command: str) -> Diagnostic:
    return Diagnostic(code, fact, help=(f"`{command}`",), fix=command)
