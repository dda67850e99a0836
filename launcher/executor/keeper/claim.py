"""A Plan in; its state folder, IOMMU groups and images claimed for it, out, or why not. A refusal changes nothing."""

from __future__ import annotations

from collections.abc import Collection

from launcher.errors import Diagnostic, LauncherError, NotPermitted, Refused
from launcher.executor.keeper.changing import left_in
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, groups_opened
from launcher.plan.virtio import images_of, written_images
from launcher.plan.whole import check_whole
from launcher.refusals import way_out
from launcher.typed import TYPE_CHECKING
from launcher.vms.folder import NameTaken, StateFolder
from launcher.vms.groups import LOCKS, GroupTaken, claimant, lock_groups
from launcher.vms.notices import Begun, NameIsTaken, NotBegun
from launcher.vms.way import plain

if TYPE_CHECKING:
    from launcher.vms.way import StrPath


def claim(plan: Plan) -> tuple[StateFolder, Begun] | tuple[None, NameIsTaken | NotBegun]:
    """The folder, or None, and what is told to the `up` that wants it."""
    try:
        return _claim(plan), Begun()
    except NameTaken as error:
        return None, NameIsTaken(str(error.filename))
    except LauncherError as error:
        return None, NotBegun(error.diagnostics, error.exit_code)


def _claim(plan: Plan) -> StateFolder:
    check_whole(plan)
    folder = claim_folder(next(one.folder for one in plan.steps if isinstance(one, KeepState)))
    try:
        _check_journal(folder)
        folder.groups = claim_groups(groups_opened(plan.steps), folder)
        folder.images = _claim_images(plan, folder)
    except BaseException:
        folder.leave()
        raise
    return folder


def _check_journal(folder: StateFolder) -> None:
    if left_in(folder):
        name = folder.name
        help_ = (f"run `vmlaunch down {name}` first",)
        raise Refused(Diagnostic("E513", f"{name} ended without putting the host back", help=help_))


def check_unclaimed(plan: Plan) -> None:
    """Refused when another VM of ours has one of the plan's groups, which says more than that a device is in use."""
    own = next((plain(one.folder) for one in plan.steps if isinstance(one, KeepState)), None)
    numbers = groups_opened(plan.steps)
    if own is not None and numbers and (found := claimant(numbers, own)):
        raise group_taken(found[0], found)


def claim_groups(numbers: Collection[int], folder: StateFolder) -> tuple[int, ...]:
    """Descriptors that hold the locks of these groups. Refused, and none is held: another VM of ours has one."""
    try:
        return lock_groups(numbers, folder.root)
    except GroupTaken as error:
        raise group_taken(error.number, claimant((error.number,), folder.path)) from None
    except OSError as error:
        fact = f"failed to lock the IOMMU groups: {error.strerror}"
        raise Refused(Diagnostic("E508", fact, help=(f"the locks are in {folder.root}/{LOCKS}",))) from None


def _claim_images(plan: Plan, folder: StateFolder) -> tuple[int, ...]:
    """A descriptor that holds the locks of the images of its disks."""
    paths = {one.identity: one.path for one in images_of(plan.steps)}
    if not paths:
        return ()
    from launcher.vms.images import LOCKS as OF_IMAGES
    from launcher.vms.images import ImageTaken, lock_images

    try:
        return lock_images(written_images(plan.steps), folder.root)
    except ImageTaken as error:
        raise _image_taken(paths[error.identity], error.identity, folder) from None
    except OSError as error:
        fact = f"failed to lock the images: {error.strerror}"
        raise Refused(Diagnostic("E508", fact, help=(f"the locks are in {folder.root}/{OF_IMAGES}",))) from None


def _image_taken(path: str, identity: str, folder: StateFolder) -> Refused:
    from launcher.vms.others import other_vms

    others = [one for one in other_vms(folder.root) if one.name != folder.name]
    writer = next((one.name for one in others if identity in one.images), None)
    whose = f"the VM {writer}, which is up" if writer else "a VM that is only starting or ending, or reads it"
    ways = (f"stop it with `vmlaunch down {writer}`",) if writer else ("see `vmlaunch ps`",)
    several = "several VMs have one image with `readonly: true`, each"
    return Refused(Diagnostic("E617", f"{path} is taken by {whose}", help=(*ways, several)))


def group_taken(number: int, found: tuple[int, str] | None) -> Refused:
    whose, help_ = "a VM that is only starting or ending", "try again"
    if found is not None:
        whose, help_ = f"the VM {found[1]}, which is up", f"stop it with `vmlaunch down {found[1]}`"
    return Refused(Diagnostic("E529", f"IOMMU group {number} is taken by {whose}", help=(help_,)))


def claim_folder(path: StrPath) -> StateFolder:
    """NameTaken: a VM has this folder. Refused with a code: it cannot be made, or it is not safe."""
    try:
        return StateFolder.claim(path)
    except NameTaken:
        raise
    except OSError as error:
        kind = NotPermitted if isinstance(error, PermissionError) else Refused
        found = Diagnostic("E508", f"failed to make {path}: {error.strerror}", help=way_out(error))
        raise kind(found) from None
