"""Rules about what the kernel has of VFIO, and which of its modules can be loaded. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.modules import lacking, may_load, unloadable, unloaded
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.backend import Backend
    from launcher.planner.decided import Situation


def _without_vfio(it: Situation) -> Iterator[Diagnostic]:
    """Where there is no IOMMU either, both are said at once."""
    absent = lacking(it.host, it.backend, pci=it.passes_pci)
    if not absent or not it.spec.devices:
        return
    evidence = tuple(f"{name} is not set" if name.startswith("CONFIG") else f"no module {name}" for name in absent)
    full = "install a full kernel, as `apt install linux-image-amd64` does, and boot it"
    extra = f"on Ubuntu: `apt install linux-modules-extra-{it.host.kernel}`"
    ways = (full, extra) if unloadable(it.host.linux, it.backend, pci=it.passes_pci) else (full,)
    fact = f"Linux {it.host.kernel} has no VFIO, or not all of it that devices need"
    other: Backend = "type1" if it.backend == "iommufd" else "iommufd"
    if it.spec.vfio != "auto":
        fact = f"Linux {it.host.kernel} has no {it.backend}, or not all of it that devices need"
        ways = ("take `vfio: auto`", *ways) if not lacking(it.host, other, pci=it.passes_pci) else ways
    yield Diagnostic("E222", fact, in_spec("devices"), evidence, ways)


def _may_not_load(it: Situation) -> Iterator[Diagnostic]:
    """Where it may, a step of the plan loads them."""
    names = unloaded(it.host.linux, it.backend, pci=it.passes_pci)
    if not names or not it.spec.devices or may_load(it.host) or lacking(it.host, it.backend, pci=it.passes_pci):
        return
    are = "is" if len(names) == 1 else "are"
    fact = f"{' and '.join(names)} {are} not loaded, and uid {it.host.process.uid} may not load modules"
    command = f"modprobe -a {' '.join(names)}"
    help_ = (
        f"as root: `{command}`",
        f"at every boot: `printf '%s\\n' {' '.join(names)} >> /etc/modules-load.d/vfio.conf`",
    )
    yield Diagnostic("E224", fact, in_spec("devices"), help=help_, fix=command)


def _not_known(it: Situation) -> Iterator[Diagnostic]:
    loadable, names = it.host.linux.loadable, unloaded(it.host.linux, it.backend, pci=it.passes_pci)
    absent = lacking(it.host, it.backend, pci=it.passes_pci)
    if isinstance(loadable, Missing) and names and it.spec.devices and may_load(it.host) and not absent:
        fact = f"whether this kernel has {' and '.join(names)} could not be read ({loadable.missing}: {loadable.path})"
        command = f"modprobe -a {' '.join(names)}"
        yield Diagnostic("W216", fact, in_spec("devices"), help=(f"load what is not loaded: `{command}`",), fix=command)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _without_vfio),
    Rule("kernel", _may_not_load),
    Rule("kernel", _not_known),
)
