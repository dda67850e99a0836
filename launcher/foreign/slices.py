"""Offers of hosts in, Kubernetes' ResourceSlices out, for a driver of dynamic resource allocation to publish. Pure."""

from __future__ import annotations

import re

from launcher.errors import Diagnostic, Refused, WrongUsage
from launcher.foreign.pod_devices import MDEV_UUID
from launcher.foreign.yaml_blocks import documents
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.foreign.units import Offer, Unit
    from launcher.values import HostDevice

MOST = 128  # devices of one slice (ResourceSliceMaxDevices)
DOMAIN = "vmlaunch.example.com"  # until somebody says his own


# RFC 1123, and what of it Kubernetes takes: a node's name is the value of a label, too, and a driver's is shorter.
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME = rf"{_LABEL}(\.{_LABEL})*"
_MOST_OF_A_NODE, _MOST_OF_A_DRIVER = 63, 53
_WORDS = "a name of small letters, digits and `-`, in parts between which a `.` is, of at most {} characters"


def check_node(name: str) -> None:
    if not re.fullmatch(_NAME, name) or len(name) > _MOST_OF_A_NODE:
        help_ = (f"record the host again, by {_WORDS.format(_MOST_OF_A_NODE)}",)
        raise Refused(Diagnostic("E580", f"{name!r} is no name of a node of Kubernetes'", help=help_))


def check_domain(name: str) -> None:
    if not re.fullmatch(_NAME, name) or len(name) > _MOST_OF_A_DRIVER:
        help_ = (f"write a domain of yours, such as pci.example.com: {_WORDS.format(_MOST_OF_A_DRIVER)}",)
        raise WrongUsage(Diagnostic("E581", f"--domain: {name!r} is no name of a driver", help=help_))


def resource_slices(offers: Sequence[Offer], domain: str = DOMAIN) -> str:
    """And a DeviceClass for each kind, by which a claim asks."""
    kinds = sorted({unit.kind for one in offers for unit in one.units})
    slices = [plain for one in offers for plain in _slices(one, domain)]
    what = "one device for each IOMMU group or mediated device that can be passed"
    head = f"# By `vmlaunch devices --format resourceslice`: {what}.\n"
    return head + documents([*(_class(one, domain) for one in kinds), *slices])


def _class(kind: str, domain: str) -> dict[str, Any]:
    expression = f'device.driver == "{domain}" && device.attributes["{domain}"].kind == "{kind}"'
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": class_name(kind, domain)},
        "spec": {"selectors": [{"cel": {"expression": expression}}]},
    }


def class_name(kind: str, domain: str) -> str:
    return f"{kind}.{domain}"


def _slices(offer: Offer, domain: str) -> Iterator[dict[str, Any]]:
    count = -(-len(offer.units) // MOST)
    for number in range(count):
        devices = [_device(unit) for unit in offer.units[number * MOST : (number + 1) * MOST]]
        yield {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": f"{offer.host}-pci" + (f"-{number}" if count > 1 else "")},
            "spec": {
                "driver": domain,
                "nodeName": offer.host,
                "pool": {"name": offer.host, "generation": 1, "resourceSliceCount": count},
                "devices": devices,
            },
        }


def _device(unit: Unit) -> dict[str, Any]:
    """Kubernetes' own attributes for address and node: claims match those of other drivers by them. It has none
    for a mediated device."""
    attributes: dict[str, Any] = {"kind": {"string": unit.kind}, "type": {"string": unit.type}}
    if isinstance(unit.address, PciAddress):
        attributes["iommuGroup"] = {"int": unit.group}
        attributes["resource.kubernetes.io/pciBusID"] = {"string": str(unit.address)}
    else:
        attributes[MDEV_UUID] = {"string": str(unit.address)}
    if unit.node is not None:
        attributes["resource.kubernetes.io/numaNode"] = {"int": unit.node}
    return {"name": f"{unit.kind}-{_label(unit.address)}", "attributes": attributes}


def _label(address: HostDevice) -> str:
    return str(address).replace(":", "-").replace(".", "-")
