"""A spec and a host in, a Plan out; the files that a spec names are read here, where the plan is made."""

from __future__ import annotations

import os

from launcher.api.files import beside, read_bytes
from launcher.errors import Diagnostic, Refused, Where
from launcher.record import replace
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from launcher.host.facts import HostFacts
    from launcher.images.boot_files import BootFiles
    from launcher.plan.plan import Plan
    from launcher.spec.load import Loaded
    from launcher.spec.parts import VmSpec
    from launcher.values import HostDevice


def read_spec(path: str, sets: Sequence[str] = ()) -> Loaded:
    """The spec in a YAML file; `sets` as in `--set`. Refused with all that is wrong."""
    return load(read_bytes(path), path, sets)


def load(raw: bytes, path: str, sets: Sequence[str] = ()) -> Loaded:
    """`raw` is what the file at `path` holds; a VM is named by its file, and one from stdin by its spec only."""
    from launcher.spec.load import load_spec

    if is_saved_plan(raw):
        _refuse_facts(raw, path)
        help_ = (f"`vmlaunch plan {path}` shows it", f"`vmlaunch up {path}` runs it")
        raise Refused(Diagnostic("E021", "this is a saved plan, and a spec belongs here", Where(path), help=help_))
    return load_spec(raw, path, sets=sets, name=None if path == "-" else _stem(path))


def _stem(path: str) -> str:
    """The name of the file without what stands behind its last dot."""
    name = os.path.basename(path.rstrip("/"))
    stem, _, ending = name.rpartition(".")
    return stem if stem and ending else name


def make_plan(loaded: Loaded, host: HostFacts, only: Iterable[HostDevice | str] | None = None) -> Plan:
    """Changes nothing. The plan says itself whether it can run: `summary.can_run`, `diagnostics`.

    `only`: the functions that it may touch, companions included, as `--only` names them; None: any.
    """
    from launcher.api.hosts import asked_now
    from launcher.api.only import terms_of
    from launcher.machine.boards import board_of
    from launcher.plan.plan import SpecIdentity
    from launcher.planner.make import plan_of
    from launcher.spec.parts import VM_SPEC

    spec = loaded.spec
    identity = SpecIdentity(loaded.file, loaded.sha256, VM_SPEC.plain(spec))
    leave_memory(spec, host)
    files, board = named_files(spec, loaded.file), board_of(host.architecture)
    terms = asked_now(terms_of(loaded.places.where, only), host)
    return plan_of(spec, identity, host, files, terms, board)


def leave_memory(spec: VmSpec, host: HostFacts) -> None:
    """To be said before a file is read: copies are there while the guest's memory is populated, and nothing takes them
    back when the host has too little."""
    from launcher.copies import Here
    from launcher.planner.needs import spare_memory

    Here.copies.spare = spare_memory(spec, host)


def named_files(spec: VmSpec, file: str) -> BootFiles:
    """Absolute paths, so that a saved plan means the same file from any working directory."""
    from launcher.images.reading import read_boot_files

    folder = os.getcwd() if file == "-" else os.path.dirname(os.path.abspath(file))
    initrd, devices = spec.boot.initrd, spec.devices.items()
    roms = {alias: beside(folder, device.rom) for alias, device in devices if isinstance(device.rom, str)}
    kernel = None if spec.boot.kernel is None else beside(folder, spec.boot.kernel)
    found = read_boot_files(kernel, None if initrd is None else beside(folder, initrd), roms)
    if spec.boot.firmware is not None:
        found = _with_firmware(found, spec, folder)
    if not (spec.disks or spec.nics or spec.shares or spec.cloud_init):
        return found
    from launcher.api.served_files import named_in, with_served

    paths = () if file == "-" else (os.path.abspath(file), os.path.realpath(file))
    return with_served(replace(found, spec=paths), named_in(spec, folder), boots=spec.boot.firmware is not None)


def _with_firmware(files: BootFiles, spec: VmSpec, folder: str) -> BootFiles:
    from launcher.images.reading import with_firmware
    from launcher.planner.firmware import own_file

    firmware, variables = own_file(spec), spec.boot.variables
    paths = (None if one is None else beside(folder, one) for one in (firmware, variables))
    return with_firmware(files, *paths)


def is_saved_plan(raw: bytes) -> bool:
    """By its format_version, which is one of its first keys; a spec has no such key."""
    return raw.lstrip()[:1] == b"{" and b'"format_version"' in raw[:4096]


def _refuse_facts(raw: bytes, path: str) -> None:
    """They have a format_version as a plan has. A plan's next key is the version that made it."""
    if b'"architecture"' in raw[:4096] and b'"vmlaunch"' not in raw[:4096]:
        help_ = (f"`vmlaunch plan SPEC --host {path}` plans for the host that it records",)
        raise Refused(Diagnostic("E021", "this is a facts file, and a spec belongs here", Where(path), help=help_))


def decode_plan(raw: bytes, path: str) -> Plan:
    """A saved plan, without pydantic. The --set that its diagnostics may point into is gone, and so is the place."""
    from launcher.codec import DecodeError, number
    from launcher.json_text import loads
    from launcher.plan.codec import plan_from_json
    from launcher.shell import quote

    _refuse_facts(raw, path)
    try:
        plan = plan_from_json(loads(raw, parse_int=number))
    except (ValueError, RecursionError) as error:
        where = _place(error, path)
        no_json = "it is no JSON from here on" if where.line else "it is no JSON"
        detail = f"{error.path}: {error.problem}" if isinstance(error, DecodeError) else no_json
        fact, help_ = f"{path} is not a plan: {detail}", (f"plan again: `vmlaunch plan SPEC -o {quote(path)}`",)
        raise Refused(Diagnostic("E515", fact, where, help=help_)) from None
    placed = (one.at(None) if one.where and one.where.is_set else one for one in plan.diagnostics)
    return replace(plan, diagnostics=tuple(placed))


def _place(error: Exception, path: str) -> Where:
    """Where it is no JSON any more, which json's own error knows."""
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return Where(path) if line is None or column is None else Where(path, line, column, column + 1)


def read_plan(path: str) -> Plan:
    """One that `plan -o` or `write_plan` saved. Refused when it is none; whether it fits this host, `bring_up` asks."""
    return decode_plan(read_bytes(path), path)


def write_plan(plan: Plan, path: str) -> None:
    """For `vmlaunch up` and `read_plan`. Whole or not at all; it replaces nothing but a saved plan."""
    from launcher.api.saving import PLAN, check_target, write_whole

    check_target(path, PLAN)
    write_whole(path, plan_text(plan), PLAN)


def plan_text(plan: Plan) -> str:
    """As it is saved."""
    from launcher.plan.codec import plan_to_json
    from launcher.report.escapes import as_json

    return as_json(plan_to_json(plan), indent=2) + "\n"


def _firmware_of(plan: Plan, files: BootFiles, booted: object) -> BootFiles:
    """The files of a saved plan that firmware is, or has. One that is the host's is a fact of the host."""
    from launcher.images.reading import with_firmware
    from launcher.plan.firmware import LoadFirmware, OpenVariables
    from launcher.plan.steps import LoadKernel
    from launcher.planner.firmware import KINDS

    loaded = next((step.path for step in plan.steps if isinstance(step, (LoadFirmware, LoadKernel))), "")
    variables = next((step.path for step in plan.steps if isinstance(step, OpenVariables)), None)
    return with_firmware(files, None if booted in KINDS else loaded, variables)


def files_of(plan: Plan) -> BootFiles:
    """The files a saved plan names, as they are now."""
    from launcher.images.reading import read_boot_files
    from launcher.plan.steps import LoadInitrd, LoadKernel
    from launcher.plan.virtio import AddVirtio

    paths = {type(step): step.path for step in plan.steps if isinstance(step, (LoadKernel, LoadInitrd))}
    if paths.get(LoadInitrd) == paths.get(LoadKernel):  # both are in a unified kernel image
        paths.pop(LoadInitrd, None)
    roms = {one.alias: one.rom for one in plan.devices if isinstance(one.rom, str)}
    boot = plan.spec.resolved.get("boot")
    booted = boot.get("firmware") if isinstance(boot, dict) else None
    found = read_boot_files(None if booted else paths.get(LoadKernel, ""), paths.get(LoadInitrd), roms)
    if booted:
        found = _firmware_of(plan, found, booted)
    if not any(isinstance(step, AddVirtio) for step in plan.steps):
        return found
    from launcher.api.served_files import named_by, with_served

    return with_served(found, named_by(plan), boots=booted is not None)
