"""A value whose shape is another tool's in, how it is written here out, as help. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from launcher.patterns import re
from launcher.spec import consent
from launcher.spec.fields import as_yaml, keys_of, stands
from launcher.spec.places import NAMED, is_alias
from launcher.spec.sizes import readings
from launcher.spec.synonyms import Meaning, choice, meaning
from launcher.spec.without_aliases import with_aliases
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.spec.problems import FieldPath

_TOPOLOGY = ("sockets", "cores", "threads")


_NAMES_OF_NICS = {"bridge": "br0", "tap": "tap0", "socket": "/run/nic.sock"}
_OFF = ("no", "off", "false", "none", "never", "0")
_CONVERTED = frozenset({"vmdk", "vdi", "vhd", "vhdx", "vpc", "qed", "parallels"})


def shape(path: FieldPath, given: object) -> tuple[str, ...]:
    """Nothing, where nobody else writes it so."""
    if path == ("memory",) and isinstance(given, Mapping):
        return _memory(given)
    if path[:1] == ("boot",) and isinstance(given, list):
        return _files(path, given)
    if len(path) == 1 and path[0] in NAMED:
        return with_aliases(path[0], given)
    if path[-1:] == ("path",) and is_alias(path[:-1]) and isinstance(given, bool | list | Mapping):
        return (f"write its path, as in `{path[1]}: {'./debian.qcow2' if path[0] == 'disks' else './src'}`",)
    if len(path) == 2 and path[0] == "cloud-init" and isinstance(given, Mapping | list):
        return (f"write it to a file of its own, and name that: `{path[-1]}: ./{path[-1]}`",)
    if path[:1] == ("nics",) and path[-1] in _NAMES_OF_NICS and isinstance(given, bool | list | Mapping):
        return (f"write which one, as in `{path[-1]}: {_NAMES_OF_NICS[path[-1]]}`",)
    if path[:1] == ("memory",) and len(path) == len(("memory", "0")) and (size_ := _size(given, {})):
        return (f"a bank is a mapping: write `{{size: {size_}}}`",)
    if path == ("cpus", "count"):
        return _cpus(given) if isinstance(given, str) else _listed(given) if isinstance(given, list) else ()
    if path == ("cpus", "pin") and isinstance(given, Mapping | list):
        return ("write the host CPUs in the order of the vCPUs, as in `pin: [4, 5]`",)
    return _chosen(path, given)


def _chosen(path: FieldPath, given: object) -> tuple[str, ...]:
    """Where one or several of our words belong."""
    if path[-1:] == ("allow",) and isinstance(given, str):
        return _consents(given)
    if path == ("confine",) and str(given).lower() in _OFF:
        return ("nothing takes it away: `auto` does without what this kernel lacks",)
    if path[:1] == ("disks",) and path[-1:] == ("format",) and str(given).lower() in _CONVERTED:
        return (f"convert it: `qemu-img convert -p -O qcow2 disk.{str(given).lower()} disk.qcow2`",)
    if path[-1:] == ("companions",) and isinstance(given, list):
        return ("`attach` gives all other functions of the card and the group", "or give each an alias of its own")
    return ()


def _files(path: FieldPath, given: list[object]) -> tuple[str, ...]:
    """One file, or several where the kernel would take them joined."""
    if len(given) == 1 and isinstance(given[0], str):
        written = as_yaml(given[0], inside=True)
        return (f"write `{'boot: {kernel: ' + written + '}' if path == ('boot',) else f'{path[-1]}: {written}'}`",)
    files = [one for one in given if isinstance(one, str)]
    if path[-1] == "initrd" and len(files) == len(given):
        return (
            f"the kernel takes them joined: `cat {' '.join(files)} > initrd.img`, and write `initrd: ./initrd.img`",
        )
    return ()


def _consents(given: str) -> tuple[str, ...]:
    """`all`, `yes`, `in_use`: each is given by its name."""
    words = re.split(r"[ ,]+", given.strip().lower())
    named = [(choice("allow", one) or Meaning((), fix=one)).fix or one for one in words]
    if all(one in consent.WORDS for one in named):
        return (f"write `allow: [{', '.join(named)}]`",)
    return (
        f"there is none for everything: write those that `plan` asks for, of {', '.join(consent.WORDS)}, in a list",
    )


def _listed(given: list[object]) -> tuple[str, ...]:
    """Host CPUs, where a number is asked for."""
    if not stands("cpus.pin", given):
        return ()
    return (
        f"write `cpus: {len(given)}`, or for these host CPUs `cpus: {as_yaml({'count': len(given), 'pin': given})}`",
    )


def _memory(given: Mapping[str, object]) -> tuple[str, ...]:
    """`{size: 4G}`, `{unit: MiB, value: 4096}`, and a bank that is not in a list."""
    sizes = [one for key, one in given.items() if _means(key, one) == "memory.size"]
    size_ = next((shown for one in sizes if (shown := _size(one, given))), None)
    known = {key: one for key, one in given.items() if key in keys_of("memory") and key != "size"}
    if size_ and known and all(stands(f"memory.{key}", one) for key, one in known.items()):
        return (f"a bank is in a list: write `memory: [{as_yaml({'size': size_, **known})}]`",)
    counted = tuple(readings(Decimal(one))) if (one := next(iter(sizes), None)) and type(one) is int else ()
    shown = size_ or "8GiB"
    first = counted if counted and not size_ else (f"write `memory: {shown}`",)
    return (*first, f"or a list of banks, as in `memory: [{{size: {shown}, pages: 2MiB}}]`")


def listed_banks(given: object) -> str | None:
    """Banks of which some are written as sizes, all of them as mappings."""
    banks = [_bank(one) for one in given] if isinstance(given, list) else []
    return f"[{', '.join(one for one in banks if one)}]" if banks and all(banks) else None


def _bank(given: object) -> str | None:
    if isinstance(given, Mapping):
        return as_yaml(given, inside=True) if all(stands(f"memory.{key}", one) for key, one in given.items()) else None
    size_ = _size(given, {})
    return f"{{size: {size_}}}" if size_ else None


def _means(key: str, value: object) -> str:
    if key in keys_of("memory"):
        return f"memory.{key}"
    found = meaning(("memory", "0", key), value, {})
    return found.field if found else ""


def _size(value: object, given: Mapping[str, object]) -> str | None:
    """As it is written here, where one size only is meant."""
    text = f"{value}{given.get('unit', '')}"
    if stands("memory.size", text):
        return text
    match = re.fullmatch(r"([0-9]{1,20}) ?([kKmMgGtT])(?:i?[bB]?)", text)
    return (
        f"{match[1]}{match[2].upper()}iB"
        if match and stands("memory.size", f"{match[1]}{match[2].upper()}iB")
        else None
    )


def _cpus(given: str) -> tuple[str, ...]:
    """QEMU's `4,sockets=1,cores=4` and `cpus=4`."""
    if match := re.fullmatch(r"([0-9]{1,4}) ?-([0-9]{1,4})", given.strip()):
        pinned = f"{{count: {int(match[2]) - int(match[1]) + 1}, pin: {given.strip()}}}"
        return (f"for a range of host CPUs, write `cpus: {pinned}`",) if int(match[1]) <= int(match[2]) else ()
    if match := re.fullmatch(r"([0-9]{1,3}) ?(?:v?cpus?|cores?)", given.strip().lower()):
        return (f"write `cpus: {match[1]}`",)
    if re.fullmatch(r"[0-9]+m", given.strip()):
        return ("Kubernetes means thousandths of a CPU by m, and vCPUs are whole: write a number such as `2`",)
    parts = dict(part.strip().partition("=")[::2] for part in given.split(","))
    first = given.split(",", maxsplit=1)[0].strip()
    count = first if first.isdecimal() else next((parts[key] for key in ("cpus", "boot") if key in parts), "")
    if not count.isdecimal() or not stands("cpus.count", int(count)):
        return ()
    told = {key: int(parts[key]) for key in _TOPOLOGY if parts.get(key, "").isdecimal()}
    more = (f"or `cpus: {{topology: {as_yaml(told)}}}`",) if told else ()
    return (f"write `cpus: {count}`", *more)
