"""(the facts of a host as JSON has them, groups that a VM takes) -> how much of worth nobody has then. Pure."""

from __future__ import annotations

from launcher.typed import Any

# Drives, network cards, graphics and accelerators: what one would rather not leave idle.
_WORTH = ("01", "02", "03", "12")


def spare_groups(plain: dict[str, Any], taken: set[int]) -> int:
    """IOMMU groups with such a function that nothing on the host uses, that no VM has open, and that are not `taken`.

    The facts fit. Virtual functions do not count: there are as many as somebody made.
    """
    pci = plain.get("pci", ())
    owned = {one["number"] for one in plain.get("groups", ()) if one["kind"] == "unmanaged"}
    used = {one["group"] for one in pci if one.get("uses")}
    worth = {one["group"] for one in pci if _is_of_worth(one)}
    return len(worth - owned - used - taken - {None})


def _is_of_worth(one: dict[str, Any]) -> bool:
    text: str = one["class_code"]
    return text.startswith(_WORTH) and one.get("physical_function") is None
