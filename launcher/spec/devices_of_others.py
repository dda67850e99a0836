"""A device without an alias, or as another tool writes it, in; the same as it is written here out, or None. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from launcher.spec.addresses_of_others import identity, in_mapping, meant, mediated
from launcher.spec.fields import SECTIONS, as_yaml, keys_of, stands
from launcher.spec.kinds import meant_by


def device(given: object) -> str | None:
    """An address, an id, a UUID or a class alone; or a mapping."""
    if isinstance(given, Mapping):
        return _of_mapping(given)
    if not isinstance(given, str):
        return None
    if stands("devices.pci", given):
        return as_yaml(given, inside=True)
    if address := meant(given).fix:
        return address
    if uuid := mediated(given):
        return f"{{mdev: {uuid}}}"
    return _wanted(given)


def _wanted(given: str) -> str | None:
    """What is found by its id, or by what it is."""
    if id_ := identity(given):
        return f"{{match: {{id: {id_}}}}}"
    return f"{{match: {{class: {kind}}}}}" if (kind := meant_by(given)) else None


def alias(given: object) -> str:
    return (meant_by(given) if isinstance(given, str) else None) or "device"


def _of_mapping(given: Mapping[str, object]) -> str | None:
    """In our words, if not in ours alone; what `match` has in it; and the addresses of libvirt."""
    keys = {str(key) for key in given}
    if keys & {*keys_of("devices")}:
        return as_yaml(given, inside=True)
    if keys and keys <= {*keys_of("devices.match")}:
        return as_yaml({"match": given}, inside=True)
    return in_mapping(given)


def is_device(given: Mapping[str, object]) -> bool:
    """One alone, in our words, where a mapping of them belongs: its keys are no aliases."""
    keys, match = set(given), given.get("match")
    if isinstance(match, Mapping):
        return keys <= {*keys_of("devices")} and bool(match) and set(match) <= {*keys_of("devices.match")}
    return keys <= {*keys_of("devices.match")} or (keys <= {*keys_of("devices")} and _is_one(given))


def _is_one(given: Mapping[str, object]) -> bool:
    try:
        SECTIONS["devices"].model_validate(given)
    except ValidationError:
        return False
    return True
