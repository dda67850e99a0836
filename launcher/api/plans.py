"""A spec and a host in, a Plan out; the files that a spec names are read here, where the plan is made."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING

from launcher.host.files import read_boot_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import BootFiles, HostFacts
    from launcher.plan.plan import Plan
    from launcher.spec.load import Loaded
    from launcher.spec.model import VmSpec


def read_spec(path: str, sets: Sequence[str] = ()) -> Loaded:
    """The spec in a YAML file; `sets` as in `--set`. Refused with all that is wrong, OSError when it cannot be read."""
    from launcher.spec.load import load_spec

    with open(path, "rb") as file:
        return load_spec(file.read(), path, sets=sets, name=PurePath(path).stem)


def make_plan(loaded: Loaded, host: HostFacts) -> Plan:
    """Changes nothing. The plan says itself whether it can run: `summary.can_run`, `diagnostics`."""
    from launcher.plan.plan import SpecIdentity
    from launcher.planner import make

    spec = loaded.spec
    identity = SpecIdentity(loaded.file, loaded.sha256, spec.model_dump(mode="json", by_alias=True))
    return make.make_plan(spec, identity, host, named_files(spec, loaded.file), loaded.places.where)


def named_files(spec: VmSpec, file: str) -> BootFiles:
    """Absolute paths, so that a saved plan means the same file from any working directory."""
    folder = PurePath(os.getcwd()) if file == "-" else PurePath(os.path.abspath(file)).parent
    initrd = spec.boot.initrd
    return read_boot_files(str(folder / spec.boot.kernel), None if initrd is None else str(folder / initrd))


def files_of(plan: Plan) -> BootFiles:
    """The files a saved plan loads, as they are now."""
    from launcher.plan.steps import LoadInitrd, LoadKernel

    paths = {type(step): step.path for step in plan.steps if isinstance(step, (LoadKernel, LoadInitrd))}
    return read_boot_files(paths.get(LoadKernel, ""), paths.get(LoadInitrd))
