"""A Tree in; the PCI functions whose screens, consoles, keyboards and mice the host uses out."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.host.addresses import last, owner
from launcher.host.facts import Use
from launcher.host.lists import entries, str_of
from launcher.patterns import re
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.tree import Tree
    from launcher.values import PciAddress

_DRM = "/sys/class/drm"
_CONSOLES = "/sys/class/vtconsole"
_FRAMEBUFFERS = "/sys/class/graphics"
_FRAMEBUFFER = r"fb[0-9]+"
_FIELD = r"(?m)^(N: Name|S: Sysfs|H: Handlers)=(.*)$"
_HANDLER = r"kbd|sysrq|mouse[0-9]+"
_USB = r"[0-9]+-[0-9.]+"


def display_uses(tree: Tree) -> Iterator[tuple[PciAddress, Use]]:
    """Connectors with a screen: the driver's last word, for asking the screen itself would be an effect."""
    for name in entries(tree.list_folder(_DRM)):
        if "-" in name and tree.read_text(f"{_DRM}/{name}/status") == "connected":
            address = owner(tree.read_link(f"{_DRM}/{name}"))
            if address:
                yield address, Use("display", f"{name} is connected", name)


def console_uses(tree: Tree) -> Iterator[tuple[PciAddress | None, Use]]:
    """None: of the display that the machine booted with, which alone shows VGA text and the firmware's framebuffer."""
    for name in entries(tree.list_folder(_CONSOLES)):
        title = str_of(tree.read_text(f"{_CONSOLES}/{name}/name"))
        if "dummy" not in title and tree.read_text(f"{_CONSOLES}/{name}/bind") == "1":
            use = Use("console", f"{name} is the host's console: {title}", name)
            yield from ((address, use) for address in _shown_on(tree, title))
    for line in str_of(tree.read_text("/proc/consoles")).splitlines():
        terminal = line.partition(" ")[0]
        address = owner(tree.read_link(f"/sys/class/tty/{terminal}"))
        if address:
            yield address, Use("console", f"{terminal} is a console of the kernel", terminal)


def _shown_on(tree: Tree, title: str) -> set[PciAddress | None]:
    if "frame buffer" not in title:
        return {None}
    names = [name for name in entries(tree.list_folder(_FRAMEBUFFERS)) if re.fullmatch(_FRAMEBUFFER, name)]
    return {owner(tree.read_link(f"{_FRAMEBUFFERS}/{name}")) for name in names} or {None}


def input_uses(tree: Tree) -> Iterator[tuple[PciAddress, Use]]:
    """Keyboards and mice: with their controller they are gone."""
    for text in str_of(tree.read_text("/proc/bus/input/devices")).split("\n\n"):
        found = {match[1]: match[2] for match in re.finditer(_FIELD, text)}
        path, handlers = found.get("S: Sysfs", ""), found.get("H: Handlers", "").split()
        address = owner(path)
        if address and any(re.fullmatch(_HANDLER, handler) for handler in handlers):
            name = next((part for part in reversed(path.split("/")) if re.fullmatch(_USB, part)), last(path))
            title = found.get("N: Name", "").strip('"')
            yield address, Use("input", f"{name} is a keyboard or mouse: {title}", name)
