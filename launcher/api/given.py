"""The variables of a job or a container in; the functions that its scheduler gave it, whole IOMMU groups, out."""

from __future__ import annotations

import os

from launcher.errors import Diagnostic, Refused, Where
from launcher.foreign.gres import given_devices, record_of
from launcher.foreign.pod_devices import by_claim, by_plugins
from launcher.foreign.units import type_of, type_of_mdev
from launcher.patterns import re
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launcher.host.facts import HostFacts
    from launcher.values import HostDevice

CLAIMS = "/var/run/kubernetes.io/dra-device-attributes"
_METADATA = "-metadata.json"
_CONF = ("/run/slurm/conf", "/var/spool/slurmd/conf-cache", "/etc/slurm", "/etc/slurm-llnl")
_PATIENCE = 30  # seconds for slurmctld to answer
_MOST = 1 << 20  # bytes of a file


def from_environment(variables: Mapping[str, str], host: HostFacts, claims: str = CLAIMS) -> tuple[HostDevice, ...]:
    """A scheduler gives a group by one of its functions. What two of them say has to agree."""
    job, pod = _of_job(variables, host), _of_pod(variables, claims)
    if job is None and pod is None:
        help_ = (
            "it belongs into a job of Slurm's, or into a container that a device plugin or a claim gave devices",
            "`--only ADDRESS,...` names them",
        )
        raise Refused(Diagnostic("E583", "--only env: no scheduler has given this process a thing", help=help_))
    if job is not None and pod is not None and (strange := sorted(set(job) - set(pod), key=str)):
        fact = f"Slurm has given the job {strange[0]}, which Kubernetes has not given the container that it runs in"
        raise Refused(Diagnostic("E585", fact, help=("make both lists anew, of the facts of this host",)))
    return _whole_groups(job if job is not None else pod or (), host)


def _whole_groups(given: tuple[HostDevice, ...], host: HostFacts) -> tuple[HostDevice, ...]:
    groups: dict[HostDevice, tuple[HostDevice, ...]] = {
        member: group.devices for group in host.groups for member in group.devices
    }
    return tuple(sorted({one for address in given for one in (address, *groups.get(address, ()))}, key=str))


# ---- Slurm ----


def _of_job(variables: Mapping[str, str], host: HostFacts) -> tuple[HostDevice, ...] | None:
    number, node = variables.get("SLURM_JOB_ID"), variables.get("SLURMD_NODENAME", host.name)
    if number is None:
        return None
    if not number.isdecimal():
        raise Refused(Diagnostic("E584", f"SLURM_JOB_ID is {number!r}, which is no number of a job"))
    conf = _conf_of(variables)
    said = record_of(number, _scontrol(number))
    devices = given_devices(said, _read(conf), node, conf)
    for address, type_ in devices:
        _check(address, type_, host, conf)
    return tuple(address for address, _ in devices)


def _check(address: HostDevice, type_: str, host: HostFacts, conf: str) -> None:
    """A type that vendor and device are is held against the host: slots may have been renumbered since. So is one that
    mediated devices of this host have, or could: another may have been made with that UUID. Any other is the site's own
    word."""
    made: dict[HostDevice, str] = {one.address: type_of_mdev(one.type) for one in host.mediated}
    could = {type_of_mdev(kind.name) for parent in host.mediated_parents for kind in parent.types}
    types: dict[HostDevice, str] = {}
    if re.fullmatch("[0-9a-f]{4}-[0-9a-f]{4}", type_):
        types |= {one.address: type_of(one.id) for one in host.pci}
    if type_ in could.union(made.values()):
        types |= made
    is_ = types.get(address, type_)
    if is_ != type_:
        fact = f"gres.conf says that {address} is a {type_}, and on this host it is a {is_}"
        help_ = ("record this host again, make gres.conf anew, `scontrol reconfigure` with no job on the node",)
        raise Refused(Diagnostic("E585", fact, Where(conf), help=help_))


def _conf_of(variables: Mapping[str, str]) -> str:
    """Where slurmd has its own, or keeps what it was sent."""
    mine = os.path.dirname(variables.get("SLURM_CONF", ""))
    places = [os.path.join(one, "gres.conf") for one in (mine, *_CONF) if one.startswith("/")]
    found = next((one for one in places if os.path.exists(one)), None)
    if found is None:
        help_ = (f"looked for: {', '.join(places)}",)
        raise Refused(Diagnostic("E584", "this node has no gres.conf, by which Slurm counts devices", help=help_))
    return found


def _scontrol(number: str) -> str:
    import subprocess

    command = ["scontrol", "show", "job", "-d", number]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise Refused(Diagnostic("E584", f"failed to run `{' '.join(command)}`: {error.strerror}")) from None
    except subprocess.TimeoutExpired:
        raise Refused(Diagnostic("E584", f"`{' '.join(command)}` has not answered in {_PATIENCE} s")) from None
    if done.returncode:
        evidence = tuple(done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:])
        raise Refused(Diagnostic("E584", f"`{' '.join(command)}` failed", evidence=evidence))
    return done.stdout.decode("utf-8", "replace")


# ---- Kubernetes ----


def _of_pod(variables: Mapping[str, str], claims: str) -> tuple[HostDevice, ...] | None:
    """What plugins and claims give together; nothing is given twice."""
    sources = by_plugins(variables) | {file: by_claim(_read(file), file) for file in _metadata(claims)}
    takers: dict[HostDevice, str] = {}
    for source, addresses in sources.items():
        for address in addresses:
            if address in takers:
                fact = f"{address} is given twice: by {takers[address]} and by {source}"
                help_ = ("let one plugin or driver of the node offer it",)
                raise Refused(Diagnostic("E585", fact, help=help_))
            takers[address] = source
    return tuple(takers) if sources else None


def _metadata(folder: str) -> Iterator[str]:
    for above, below, names in os.walk(folder):
        below.sort()
        yield from (os.path.join(above, one) for one in sorted(names) if one.endswith(_METADATA))


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read(_MOST + 1)
    except OSError as error:
        raise Refused(Diagnostic("E584", f"failed to read {path}: {error.strerror}")) from None
    if len(raw) > _MOST:
        raise Refused(Diagnostic("E584", f"{path} is larger than 1 MiB"))
    return raw.decode("utf-8", "replace")
