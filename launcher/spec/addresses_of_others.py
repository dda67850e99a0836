"""What is no PCI address here in, the address that another tool means by it out, and what becomes of the rest. Pure.

libvirt writes a mapping, or pci_0000_01_00_0; Proxmox and QEMU put options behind a comma; cloud-hypervisor and crosvm
name the folder in sysfs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.spec.kinds import meant_by
from launcher.values import UUID, PciAddress

_HEX2 = "[0-9a-fA-F]{2}"
# Any of the signs that stand between the parts of an address, and slots that none can have.
_LOOSE = rf"(?<![0-9a-zA-Z:.])(?:([0-9a-fA-F]{{4,8}})[:._])?({_HEX2})[:._]({_HEX2})[:._]([0-9a-fA-F])(?![0-9a-zA-Z])"
_NO_FUNCTION = rf"(?:([0-9a-fA-F]{{4,8}}):)?({_HEX2}):({_HEX2})"
_ID = r"(?i:(?:0x)?([0-9a-f]{4})[:. /-](?:0x)?([0-9a-f]{4}))"
_ONLY_LISTED = "`vmlaunch devices` lists the addresses of this host's devices"
WRITTEN = "addresses are written as lspci -D does: domain:bus:device.function, in hex, as in 0000:c1:00.0"

# What other tools write behind the address -> what is written here.
_NOTHING = frozenset(
    ("pcie", "x-vga", "xvga", "multifunction", "iommu", "legacy-igd", "display", "ramfb", "driver", "id", "bus", "port")
)
_NAMES = frozenset(["host", "path", "sysfsdev", "address", "pci", "addr-host"])


_MOST = 8  # options that are answered, each for itself
_ANY = ("all", "any", "auto", "*", "first", "free")
_IMAGES = (".qcow2", ".img", ".raw", ".iso", ".vmdk", ".vdi", ".vhd", ".vhdx")


class Meant(NamedTuple):
    help: tuple[str, ...]
    fix: str | None = None


def meant(given: str) -> Meant:
    """What to say about a text that is no address, and the address where nothing else is meant by it."""
    given = _of_xorg(given) or re.sub(r"^@?pci:", "", given.strip(), flags=re.IGNORECASE)
    if match := re.fullmatch(_ID, given):
        identity = f"{match[1]}:{match[2]}".lower()
        return Meant((f"{identity} is vendor:device: write `match: {{id: {identity}}}` in place of `pci`",))
    if uuid := mediated(given):
        return Meant((f"a mediated device has no address: write `{{mdev: {uuid}}}`",))
    found = _addresses(given)
    if not found:
        return _no_address(given) or _without_function(given) or Meant((WRITTEN, _ONLY_LISTED))
    if len(found) > 1:
        listed = " and ".join(f"`{one}`" for one in found[:_MOST])
        return Meant((f"each address has an alias of its own: {listed}", f"or `companions: attach` beside {found[0]}"))
    (address,) = found
    return _with_options(address, tuple(_options(given))) or Meant((f"write `{address}`",), address)


def mediated(given: str) -> str | None:
    """The UUID that is in a text or a path."""
    match = re.search(rf"(?<![0-9a-f]){UUID}(?![0-9a-f-])", given[:4096].lower())
    return match[0] if match else None


def _of_xorg(given: str) -> str | None:
    """`PCI:1:0:0` and `PCI:1@0:0:0` of xorg.conf, in decimal."""
    match = re.fullmatch(r"PCI:([0-9]{1,3})(?:@([0-9]{1,5}))?:([0-9]{1,2}):([0-7])", given.strip())
    return f"{int(match[2] or 0):04x}:{int(match[1]):02x}:{int(match[3]):02x}.{match[4]}" if match else None


def _no_address(given: str) -> Meant | None:
    word = given.strip().lower()
    if word in _ANY:
        return Meant(("one that is free is found by `{match: {class: gpu}, pick: free}`",))
    if word.endswith(_IMAGES):
        return Meant((f"an image is a disk, and no device: write `disks: {{root: {given.strip()}}}`", _ONLY_LISTED))
    if kind := meant_by(word):
        return Meant((f"the one of its kind is found by `{{match: {{class: {kind}}}}}`", _ONLY_LISTED))
    return None


def _addresses(given: str) -> tuple[str, ...]:
    """All that are in the text; the last folder of a path is the device, those before it are bridges."""
    found = (_address(*match.groups()) for match in re.finditer(_LOOSE, given[:4096]))
    known = tuple(dict.fromkeys(one for one in found if one))
    return known[-1:] if "/" in given else known


def _address(domain: str | None, bus: str, device: str, function: str) -> str | None:
    try:
        return str(PciAddress.parse(f"{domain or '0000'}:{bus}:{device}.{function}"))
    except ValueError:
        return None


def impossible(given: str) -> str | None:
    """Why an address that reads as one can be none."""
    match = re.fullmatch(_LOOSE, given.strip())
    if match is None or not re.fullmatch(r"[0-9a-fA-F:]+\.[0-9a-fA-F]", given.strip()):
        return None
    if int(match[3], 16) > 0x1F:
        return f"{match[3]} is no device number: they are 00 to 1f, in hex"
    return f"{match[4]} is no function: they are 0 to 7" if int(match[4], 16) > 7 else None


def _without_function(given: str) -> Meant | None:
    """Proxmox means all functions of the card by it."""
    match = re.fullmatch(_NO_FUNCTION, given.split(",", maxsplit=1)[0].rpartition("=")[2].strip())
    address = match and _address(match[1], match[2], match[3], "0")
    if not address:
        return None
    every = f"write `{{pci: {address}, companions: attach}}` for all functions of the card"
    return Meant((f"the function is missing: write `{address}` for the first", every, *_said(_options(given))))


def _options(given: str) -> Iterator[tuple[str, str]]:
    """`rombar=0` as ("rombar", "0"), without what names the device or its driver."""
    for part in given.split(",")[:_MOST]:
        key, sign, value = part.strip()[:80].partition("=")
        if sign and key.strip().lower() not in _NAMES:
            yield key.strip().lower(), value.strip()


def _with_options(address: str, options: tuple[tuple[str, str], ...]) -> Meant | None:
    if not options:
        return None
    whole = all(key in _NOTHING for key, _ in options)
    return Meant((f"write `{address}`", *_said(options)), address if whole else None)


def _said(options: Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    listed = tuple(options)
    none = " and ".join(f"`{key}={value}`" for key, value in listed if key in _NOTHING)
    ours = tuple(_said_of(key, value) for key, value in listed if key not in _NOTHING)
    return (*ours, *((f"nothing is to be written for {none}",) if none else ()))


def _said_of(key: str, value: str) -> str:
    if key == "romfile":
        return f"`romfile={value}` is `rom: {value}` here, with a path as in ./{value.rpartition('/')[2]}"
    if key == "rombar":
        return f"`rombar={value}` is `rom: {'false' if value in ('0', 'off') else 'true'}` here"
    if key == "mdev":
        return f"`mdev={value}` is a type: the device that is made of it is passed by its UUID, `mdev`"
    if key == "addr":
        return f"`addr={value}` is `guest`, 00:10.0 to 00:1f.7, and may be left out"
    return f"vmlaunch has no `{key}`: `vmlaunch explain devices` lists what it has"


# ---- libvirt's mappings ----


def written(given: object, form: str = "%s") -> tuple[str, ...]:
    """What to write for a mapping. Its numbers have forgotten whether 65 was 0x41, or 65 as lspci shows it."""
    first, second = in_mapping(given), in_mapping(given, _as_it_stands)
    told = (f"write `{form % first}`",) if first else ()
    other = second if first and second != first else None
    return (*told, *((f"or `{form % other}`, if it has hex numbers without 0x",) if other else ()))


def in_mapping(given: object, number: Callable[[object], int | None] | None = None) -> str | None:
    """The address of `{domain: 0, bus: 1, slot: 0, function: 0}`, whatever is around it."""
    read = number or _number
    for _ in range(4):
        if not isinstance(given, Mapping):
            return meant(given).fix if isinstance(given, str) else None
        numbers = [read(given.get(key, 0)) for key in ("domain", "bus", _slot(given), "function")]
        if "bus" in given and all(one is not None for one in numbers):
            domain, bus, device, function = (one or 0 for one in numbers)
            return _address(f"{domain:04x}", f"{bus:02x}", f"{device:02x}", f"{function:x}")
        given = next(
            (given[key] for key in ("hostdev", "source", "address", "host", "pci", "path") if key in given), None
        )
    return None


def _slot(given: Mapping[str, object]) -> str:
    return "slot" if "slot" in given else "device"


def _number(given: object) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    match = re.fullmatch(r"(0[xX])?([0-9a-fA-F]{1,8})", given.strip()) if isinstance(given, str) else None
    return int(match[2], 16) if match else None


def _as_it_stands(given: object) -> int | None:
    return _number(str(given) if type(given) is int else given)


# ---- the place in the guest ----


def in_guest(given: object) -> str | None:
    """QEMU's and Proxmox's `addr=0x10`, `10.0`: the slot alone."""
    text = hex(given) if type(given) is int else str(given)
    match = re.fullmatch(r"(?:addr=)?(0x)?(1[0-9a-fA-F])(?:\.([0-7]))?", text.strip())
    if match is None:
        return _place(meant(text).fix)
    # 16 alone may be meant in decimal.
    told = match[1] or match[3] or not match[2].isdecimal() or text.startswith("addr=")
    return f"00:{match[2].lower()}.{match[3] or 0}" if told else None


def _place(address: str | None) -> str | None:
    """As a place in the guest, if it can be one."""
    found = PciAddress.parse(address) if address else None
    return found.guest if found and (found.domain, found.bus) == (0, 0) and found.device >= 0x10 else None


def place_in_mapping(given: object) -> str | None:
    return _place(in_mapping(given))


# ---- vendor:device ----


def identity(given: object) -> str | None:
    """`10de 2684`, `0x10de:0x2684`, and modalias, as vendor:device."""
    if not isinstance(given, str):
        return None
    match = re.fullmatch(_ID, given.strip()) or re.match(r"pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})", given.strip())
    return f"{match[1]}:{match[2]}".lower() if match else None


def of_halves(vendor: object, device: object) -> tuple[str, ...]:
    """Two readings of numbers, which have forgotten whether 4318 was 0x10de: with 0x first."""
    halves = (vendor, device)
    has_0x = any(isinstance(one, str) and one.strip().lower().startswith("0x") for one in halves)
    in_hex = _joined(hex(one) if type(one) is int else one for one in halves)
    as_it_stands = _joined(str(one).zfill(4) for one in halves)
    if has_0x or not all(type(one) is int for one in halves):
        return tuple(filter(None, [in_hex if has_0x else as_it_stands]))
    return tuple(filter(None, [in_hex, as_it_stands]))


def _joined(halves: Iterable[object]) -> str | None:
    found = [re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,4})", str(one).strip()) for one in halves]
    return ":".join(one[1].lower().zfill(4) for one in found if one) if all(found) else None
