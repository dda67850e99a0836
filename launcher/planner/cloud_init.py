"""(spec, host, files, NICs) -> the step that makes cloud-init's disk. Pure; for a spec that has `cloud-init` only."""

from __future__ import annotations

from launcher.digests import sha256
from launcher.images.boot_files import SeedText
from launcher.plan.seed import NAMES, SeedFile, StartSeedEngine
from launcher.planner.engines import DISKS, mapped, program_of, unprivileged
from launcher.typed import TYPE_CHECKING
from launcher.values import guest_uuid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.host.facts import HostFacts
    from launcher.images.boot_files import BootFiles
    from launcher.plan.steps import RamRange
    from launcher.spec.parts import VmSpec

ALIAS = "cloud-init"


def named_in_spec(spec: VmSpec) -> dict[str, str]:
    """The paths of the files that the spec names, by what they are."""
    given = spec.cloud_init
    if given is None:
        return {}
    paths = zip(NAMES, (given.user_data, given.meta_data, given.network_config), strict=True)
    return {name: path for name, path in paths if path is not None}


def seed_step(
    spec: VmSpec, host: HostFacts, files: BootFiles, macs: Mapping[str, str], ranges: Sequence[RamRange]
) -> StartSeedEngine | None:
    """None where a file cannot be read, or nobody could serve it; rules say why. `macs`: of NICs, by alias."""
    program, found = program_of(DISKS, host), tuple(_files(spec, files, macs))
    if program is None or any(one is None for one in found):
        return None
    uid, gid = unprivileged(host.process)
    read = tuple(one for one in found if one is not None)
    return StartSeedEngine(ALIAS, program.path, uid, gid, read, mapped(ranges))


def _files(spec: VmSpec, files: BootFiles, macs: Mapping[str, str]) -> Iterator[SeedFile | None]:
    """In one order, whoever wrote them; None for one that is not to be had."""
    own = {"meta-data": meta_data(spec.name), **({"network-config": network_config(macs)} if macs else {})}
    given = named_in_spec(spec)
    for name in NAMES:
        if name in given:
            one = files.seed.get(name)
            yield SeedFile(name, one.path, one.sha256, "") if isinstance(one, SeedText) and one.kind == "file" else None
        elif name in own:
            yield SeedFile(name, "", sha256(own[name].encode()), own[name])


def meta_data(name: str) -> str:
    """The id stays as long as the VM is called the same: cloud-init does its first start once."""
    return f"instance-id: {guest_uuid(name)}\nlocal-hostname: {name}\n"


def network_config(macs: Mapping[str, str]) -> str:
    """Version 2, as netplan has it. An interface is found by its MAC, whatever the guest's kernel calls it."""
    lines = ["version: 2", "ethernets:"]
    for alias, mac in macs.items():
        lines += [f"  {alias}:", f'    match: {{macaddress: "{mac}"}}', "    dhcp4: true"]
    return "\n".join([*lines, ""])
