"""A container's variables and DRA's metadata files in, the devices that Kubernetes gave it out. Pure."""

from __future__ import annotations

import json

from launcher.errors import Diagnostic, Refused, Where
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import HostDevice, host_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# KubeVirt's plugin for permittedHostDevices, PCI and mediated ones, and that for SR-IOV functions; each with addresses
# between commas, or UUIDs.
PREFIXES = ("PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "PCIDEVICE_")
_ALSO = "_INFO"  # PCIDEVICE_X_INFO has in JSON what PCIDEVICE_X has
METADATA = "metadata.resource.k8s.io/"
MDEV_UUID = "mdevUUID"  # ours, for there is none of Kubernetes'
ADDRESS = ("pciBusID", "pciAddress", MDEV_UUID)  # resource.kubernetes.io's; what drivers had before there was one


def by_plugins(variables: Mapping[str, str]) -> dict[str, tuple[HostDevice, ...]]:
    """By the variable that names them."""
    names = [one for one in sorted(variables) if one.startswith(PREFIXES) and not one.endswith(_ALSO)]
    return {name: tuple(_address(word, name) for word in variables[name].split(",")) for name in names}


def _address(word: str, where: str) -> HostDevice:
    try:
        return host_device(word.strip())
    except ValueError:
        fact = f"{where} names {word.strip()!r}, which is no PCI address"
        help_ = ("a plugin for devices names addresses, or UUIDs of mediated ones",)
        raise Refused(Diagnostic("E584", fact, help=help_)) from None


def by_claim(text: str, file: str) -> tuple[HostDevice, ...]:
    """Of one metadata file: DeviceMetadata, once for each version of it that the driver writes, each with the same."""
    for one in _stream(text, file):
        if isinstance(one, dict) and str(one.get("apiVersion", "")).startswith(METADATA):
            return tuple(_of_device(device, file) for device in _devices(one, file))
    raise _unread("it has no DeviceMetadata", file)


def _stream(text: str, file: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while (at := _after_blanks(text, at)) < len(text):
        try:
            one, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise _unread("it is not JSON", file) from None
        yield one


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _devices(plain: dict[str, Any], file: str) -> list[dict[str, Any]]:
    requests = plain.get("requests") or []
    if isinstance(requests, list) and all(isinstance(one, dict) for one in requests):
        lists = [one.get("devices") or [] for one in requests]
        devices = [device for each in lists if isinstance(each, list) for device in each]
        if all(isinstance(one, list) for one in lists) and all(isinstance(one, dict) for one in devices):
            return devices
    raise _unread("its requests have no devices", file)


def _of_device(device: dict[str, Any], file: str) -> HostDevice:
    attributes = device.get("attributes")
    found = attributes.items() if isinstance(attributes, dict) else ()
    said = [
        value.get("string") for name, value in found if name.rpartition("/")[2] in ADDRESS and isinstance(value, dict)
    ]
    if said and isinstance(said[0], str):
        return _address(said[0], file)
    raise _unread(f"device {device.get('name')!r} has no attribute resource.kubernetes.io/pciBusID", file)


def _unread(fact: str, file: str) -> Refused:
    help_ = ("`--only ADDRESS,...` says by hand what it should have said",)
    return Refused(
        Diagnostic("E584", f"what the driver wrote of the claim is not understood: {fact}", Where(file), help=help_)
    )
