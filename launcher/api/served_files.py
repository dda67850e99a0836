"""The paths of disks, shares and sockets in, what is known of them and of what stands on them here, out."""

from __future__ import annotations

import os

from launcher.api.files import beside
from launcher.host.standing import file_system_of, function_of_block, uses_of_block, uses_of_file
from launcher.host.tree import Live
from launcher.images.disk_files import OF_THE_KERNEL, Disk, DiskFile, DiskUse
from launcher.images.disk_reading import read_disk, read_folder, read_socket
from launcher.images.rights import identity_of
from launcher.plan.seed import StartSeedEngine
from launcher.plan.virtio import ConnectEngine, StartDiskEngine, StartShareEngine
from launcher.planner.served_by import format_of, sockets_of
from launcher.record import field, record, replace
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from launcher.host.facts import Use
    from launcher.images.boot_files import BootFiles, SeedText
    from launcher.images.disk_files import Folder
    from launcher.plan.plan import Plan
    from launcher.spec.parts import VmSpec


@record
class Named:
    """What a spec names, by alias; sockets by the name of their entry, `disks.root`."""

    disks: Mapping[str, tuple[str, Literal["raw", "qcow2"]]]
    shares: Mapping[str, str]
    sockets: Mapping[str, str]
    seed: Mapping[str, str] = field(default_factory=dict)


def named_in(spec: VmSpec, folder: str) -> Named:
    """`folder`: that of the spec."""
    return Named(
        disks={
            alias: (beside(folder, one.path), format_of(one))
            for alias, one in spec.disks.items()
            if one.path is not None
        },
        shares={alias: beside(folder, one.path) for alias, one in spec.shares.items()},
        sockets={entry: beside(folder, path) for entry, path in sockets_of(spec).items()},
        seed={name: beside(folder, path) for name, path in _seed(spec).items()},
    )


def _seed(spec: VmSpec) -> dict[str, str]:
    if spec.cloud_init is None:
        return {}
    from launcher.planner.cloud_init import named_in_spec

    return named_in_spec(spec)


def named_by(plan: Plan) -> Named:
    """By its steps, which have whole paths."""
    served = [disk for step in plan.steps if isinstance(step, StartDiskEngine) for disk in step.disks]
    connected = [step for step in plan.steps if isinstance(step, ConnectEngine)]
    seeds = [one for step in plan.steps if isinstance(step, StartSeedEngine) for one in step.files if one.path]
    of_disks = plan.spec.resolved.get("disks") or {}
    return Named(
        disks={one.alias: (one.images[0].path, one.images[0].format) for one in served if one.images},
        shares={step.alias: step.path for step in plan.steps if isinstance(step, StartShareEngine)},
        sockets={f"{'disks' if one.alias in of_disks else 'nics'}.{one.alias}": one.socket for one in connected},
        seed={one.name: one.path for one in seeds},
    )


def with_served(files: BootFiles, named: Named, *, boots: bool = False) -> BootFiles:
    """Reads only. `boots`: firmware starts from what is there."""
    disks = {alias: _disk(read_disk(path, format_, boots=boots)) for alias, (path, format_) in named.disks.items()}
    shares = {alias: _folder(read_folder(path)) for alias, path in named.shares.items()}
    sockets = {entry: read_socket(path) for entry, path in named.sockets.items()}
    seed: dict[str, SeedText | Missing] = {}
    if named.seed:
        from launcher.images.cloud_init import read_seed

        seed = read_seed(named.seed)
    return replace(files, disks=disks, shares=shares, sockets=sockets, seed=seed)


def _disk(found: Disk | Missing) -> Disk | Missing:
    return found if isinstance(found, Missing) else replace(found, chain=tuple(map(_standing, found.chain)))


def _standing(one: DiskFile) -> DiskFile:
    tree = Live()
    if one.kind == "block" and one.number:
        uses = _words(uses_of_block(tree, one.number))
        return replace(one, uses=uses, function=function_of_block(tree, one.number))
    if one.kind == "file":
        uses = _words(uses_of_file(tree, one.identity, _identity))
        real = os.path.realpath(one.path)
        system = file_system_of(tree, real)
        kind: Literal["special", "file"] = "special" if system in OF_THE_KERNEL else "file"
        return replace(one, kind=kind, uses=uses, file_system=system, real=_unless(one.path, real))
    return one


def _words(uses: tuple[Use, ...]) -> tuple[DiskUse, ...]:
    return tuple(DiskUse(use.kind, use.what, use.name) for use in uses)


def _folder(found: Folder | Missing) -> Folder | Missing:
    if isinstance(found, Missing):
        return found
    real = os.path.realpath(found.path)
    system = file_system_of(Live(), real)
    kind = "other" if system in OF_THE_KERNEL else found.kind
    return replace(found, kind=kind, file_system=system, real=_unless(found.path, real))


def _unless(path: str, real: str) -> str | None:
    """Bases are named as `../base.qcow2`, which is no link."""
    return real if real != os.path.normpath(path) else None


def _identity(path: str) -> str:
    try:
        return identity_of(os.stat(path))
    except OSError:
        return ""
