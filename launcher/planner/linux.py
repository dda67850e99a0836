"""The host's kernel in; its release, whose VM it is, the parameters of /proc/cmdline as it reads them, out. Pure."""

from __future__ import annotations

from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, Linux

# Drivers of Xen's that keep a device for its VMs; only its dom0, or a driver domain, has them.
OF_XEN = ("pciback", "xen-pciback")
_DIGITS = "0123456789"
_XEN = "Xen"  # the maker of a machine that Xen emulates


def release(kernel: str) -> tuple[int, int]:
    """`6.12.9-amd64` -> (6, 12). The executor tries a call and falls back; a planner, which cannot try, compares."""
    major, _, rest = kernel.partition(".")
    minor = rest[: len(rest) - len(rest.lstrip(_DIGITS))]
    return (int(major), int(minor)) if minor and major and not major.strip(_DIGITS) else (0, 0)


def values_of(linux: Linux, name: str) -> tuple[str, ...]:
    """All values that a parameter was given, in order; empty text without a `=`. Dash and underscore are one letter."""
    words = () if isinstance(linux.cmdline, Missing) else linux.cmdline.split()
    kernels = words[: words.index("--")] if "--" in words else words
    pairs = (word.strip('"').partition("=") for word in kernels)
    return tuple(value.strip('"') for key, _, value in pairs if key.replace("-", "_") == name.replace("-", "_"))


def settings_of(linux: Linux, name: str) -> tuple[str, ...]:
    """As values_of, with `a,b` as two."""
    return tuple(one for value in values_of(linux, name) for one in value.split(","))


def last_of(linux: Linux, name: str, among: tuple[str, ...]) -> str | None:
    """Of settings that exclude each other the last one counts."""
    return next((one for one in reversed(settings_of(linux, name)) if one in among), None)


def given(linux: Linux, word: str) -> bool:
    """`pci=realloc` is on the command line already, also as `pci=nocrs,realloc=on`."""
    name, _, value = word.partition("=")
    return any(one in (value, f"{value}=on") for one in settings_of(linux, name))


def is_dom0(host: HostFacts) -> bool:
    """Linux in Xen's first VM, which has the devices, and the machine's own names. A VM that Xen emulates has Xen's."""
    drivers = {*(host.linux.drivers or ()), *(one.driver for one in host.pci)}
    on_xen = host.firmware.hypervisor == "xen" or not drivers.isdisjoint(OF_XEN)
    return on_xen and host.firmware.vendor != _XEN
