"""A disk, a NIC, a share or a device as another tool writes it in, the same as it is written here out, or None. Pure.

QEMU, Proxmox and cloud-hypervisor have options with commas, libvirt mappings in mappings, Compose a path, a colon and
where it goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from launcher.patterns import re
from launcher.spec import devices_of_others
from launcher.spec.fields import SECTIONS, as_yaml, keys_of, stands
from launcher.spec.scalars import suggested_name
from launcher.spec.words import field_of, plain_word

_FIRST = {"disks": "root", "nics": "lan", "shares": "work"}
_TRUE, _FALSE = ("on", "yes", "true", "1", "unmap", "ro"), ("off", "no", "false", "0", "ignore", "rw")
_SWITCHES = ("readonly", "discard")
_NAMELESS = ("address", "name", "value", "#text")  # of libvirt: what is around them says what they are
_MAC = r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}"
_VOLUME = r"(?P<path>[^:]+):(?P<inside>/[^:]*)(:(?P<how>[a-zA-Z,]+))?"  # of Compose
_NAME = r"[\w-]+(\.[\w-]+)*"  # of a volume that is no folder, or of another host
_NO_PATH = r"[A-Za-z][A-Za-z0-9_.-]*:|[0-9]+ ?[kKmMgGtT](i?[bB])?$"  # a storage of Proxmox, an address, a size
CDS = ("cdrom", "cd", "dvd", "iso")
_DRIVES = ("/dev/sr", "/dev/cdrom", "/dev/dvd")
_MOST = 16  # entries that are shown


def entry(kind: str, given: object) -> str | None:
    """One of them, without its name."""
    if kind == "devices":
        return devices_of_others.device(given)
    meant = _meant(kind, given)
    if meant is None:
        return None
    if set(meant) == {"path"}:
        return as_yaml(meant["path"], inside=True)
    return "user" if meant == {"user": True} else as_yaml(meant, inside=True)


def is_entry(kind: str, given: object) -> bool:
    """A mapping that is one, where a mapping of them belongs: its keys are no aliases."""
    if not isinstance(given, Mapping):
        return False
    return devices_of_others.is_device(given) if kind == "devices" else entry(kind, given) is not None


def entries(kind: str, given: object) -> str | None:
    """All of a section: `{root: ./debian.qcow2}`. None of it, where two would have one name."""
    found = [*_named(kind, given)]
    whole = ", ".join(f"{name}: {one}" for name, one in found)
    is_whole = found and all(one for _, one in found) and len(dict(found)) == len(found)
    return f"{{{whole}}}" if is_whole else None


def _named(kind: str, given: object) -> Iterator[tuple[str, str | None]]:
    if isinstance(given, list) and all(_is_named(kind, one) for one in given):
        for one in given[:_MOST]:
            yield from ((suggested_name(str(key)), entry(kind, value)) for key, value in one.items())
    elif isinstance(given, list):
        numbered = (f"{kind[:-1]}-{number}" for number in range(_MOST))
        for number, one in zip(numbered, given, strict=False):
            yield _inside(kind, one) or (number if len(given) > 1 else _first(kind, one)), entry(kind, one)
    elif (one_ := entry(kind, given)) is not None or not isinstance(given, Mapping):
        yield _inside(kind, given) or _first(kind, given), one_
    else:
        yield from ((suggested_name(str(key)), entry(kind, one)) for key, one in [*given.items()][:_MOST])


def _is_named(kind: str, given: object) -> bool:
    """`- root: ./a.qcow2`: an alias, and what is behind it, as an item of a list."""
    keys = [str(key) for key in given] if isinstance(given, Mapping) else []
    return len(keys) == 1 and not _key(kind, keys[0]) and (kind != "devices" or keys[0] not in keys_of("devices.match"))


def _first(kind: str, given: object) -> str:
    return devices_of_others.alias(given) if kind == "devices" else _FIRST[kind]


def _inside(kind: str, given: object) -> str:
    """A volume of Compose is called by where it goes."""
    found = re.fullmatch(_VOLUME, given) if kind == "shares" and isinstance(given, str) else None
    return suggested_name(found["inside"].rpartition("/")[2]) if found else ""


def _meant(kind: str, given: object) -> dict[str, Any] | None:
    options: dict[str, Any] = {}
    for key, value in _options(kind, given):
        if key not in options and stands(f"{kind}.{key}", value):
            options[key] = value
    try:
        SECTIONS[kind].model_validate(options)
    except ValidationError:
        return None
    return options


def _options(kind: str, given: object) -> Iterator[tuple[str, Any]]:
    found = _pairs(kind, given) if isinstance(given, str) else _flat(given) if isinstance(given, Mapping) else ()
    pairs = [*found]
    cd = kind == "disks" and any(_is_of_a_cd(word, value) for word, value in pairs)
    for word, value in pairs:
        key = _key(kind, word)
        if key and not (cd and key == "readonly"):
            yield key, _value(key, value)
        if kind == "nics" and isinstance(value, str) and re.fullmatch(_MAC, value):
            yield "mac", value
    if cd:
        yield "readonly", True


def _is_of_a_cd(word: str, value: object) -> bool:
    """A medium, a device or a path that nobody writes to."""
    text = str(value).lower()
    return text in CDS if word in ("media", "device", "type") else text.endswith(".iso") or text.startswith(_DRIVES)


def as_cd(given: object) -> object:
    """What stands behind `cdrom:`, which is only read."""
    if isinstance(given, str) and "=" not in given and "," not in given:
        return {"path": given, "readonly": True}
    return {**given, "readonly": True} if isinstance(given, Mapping) and "path" in given else given


def _key(kind: str, word: str) -> str:
    return word if word in keys_of(kind) else field_of(kind).get(plain_word(word), "").removeprefix(f"{kind}.")


def _pairs(kind: str, given: str) -> Iterator[tuple[str, object]]:
    if kind == "shares" and (volume := re.fullmatch(_VOLUME, given)):
        if not re.fullmatch(_NAME, volume["path"]):
            yield "path", volume["path"]
        if "ro" in (volume["how"] or "").split(","):
            yield "readonly", True
        return
    for number, part in enumerate(given.split(",")):
        word, equals, value = part.strip().partition("=")
        if equals:
            yield word, value
        elif kind == "nics" and word == "user":
            yield "user", True
        elif kind != "nics" and number == 0 and word and not re.match(_NO_PATH, word):
            yield "path", word


def _flat(given: Mapping[str, object], around: str = "") -> Iterator[tuple[str, object]]:
    for word, value in given.items():
        name = around if around and str(word) in _NAMELESS else str(word)
        if isinstance(value, Mapping) and value and not around:
            yield from _flat(value, name)
        else:
            yield name, value


def _value(key: str, value: object) -> object:
    if key in _SWITCHES and (value in (None, {}) or str(value).lower() in (*_TRUE, *_FALSE)):
        return value in (None, {}) or str(value).lower() in _TRUE  # libvirt's <readonly/> has nothing in it
    return int(value) if isinstance(value, str) and key in ("queues", "mtu") and value.isdecimal() else value
