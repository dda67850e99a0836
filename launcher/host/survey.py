"""(Tree, KvmFacts) -> HostFacts: what is known of this machine, read without side effects."""

from __future__ import annotations

from launcher.host.device_nodes import read_device_nodes
from launcher.host.facts import FORMAT_VERSION, HostFacts, KvmFacts
from launcher.host.firmware import read_firmware
from launcher.host.identity import process_as
from launcher.host.iommu import read_groups, read_iommu
from launcher.host.linux import read_linux
from launcher.host.lists import entries, str_of
from launcher.host.opened import Opened, read_opened
from launcher.host.process import read_process
from launcher.host.processors import read_cpus, read_memory, read_nodes
from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from launcher.host.facts import MediatedDevice, MediatedParent
    from launcher.host.pci import Functions
    from launcher.host.tree import Tree
    from launcher.values import Missing

# `machine`: no functions, no groups, and nobody has anything open; `deep`: devices that sleep are woken.
Depth = Literal["machine", "devices", "deep"]


def survey(
    tree: Tree,
    kvm: KvmFacts | Missing,
    runtime_folder: str | None = None,
    *,
    raw: bool = False,
    identity: int | None = None,
    depth: Depth = "devices",
) -> HostFacts:
    """`kvm` is what kernel.probe answered; `runtime_folder` is $XDG_RUNTIME_DIR.

    `raw` keeps configuration space; `identity` is the uid that will run `up`, if that is another.
    """
    opened = read_opened(tree) if depth != "machine" else Opened()
    mine = read_process(tree, runtime_folder, opened.all_seen)
    process = mine if identity is None else process_as(tree, identity, mine)
    release = str_of(tree.read_text("/proc/sys/kernel/osrelease"))
    groups = read_groups(tree) if depth != "machine" else ()
    pci, gone = _functions(tree, opened, deep=depth == "deep", raw=raw) if depth != "machine" else ((), ())
    return HostFacts(
        format_version=FORMAT_VERSION,
        name=str_of(tree.read_text("/proc/sys/kernel/hostname")),
        kernel=release,
        architecture=_architecture(tree),
        kvm=kvm,
        cpus=read_cpus(tree),
        nodes=read_nodes(tree),
        memory=read_memory(tree),
        process=process,
        iommu=read_iommu(tree),
        groups=groups,
        pci=pci,
        gone=gone,
        mediated=_mediated(tree) if depth != "machine" else (),
        mediated_parents=_mediated_parents(tree) if depth != "machine" else (),
        linux=read_linux(tree, release),
        firmware=read_firmware(tree),
        device_nodes=read_device_nodes(tree, process, opened),
        boot_id=read_boot_id(tree),
    )


def read_boot_id(tree: Tree) -> str | None:
    """Of the kernel that runs now."""
    return str_of(tree.read_text("/proc/sys/kernel/random/boot_id")) or None


def _functions(tree: Tree, opened: Opened, *, deep: bool, raw: bool) -> Functions:
    """What reads them is imported for them: a VM without devices starts sooner."""
    from launcher.host.pci import read_pci
    from launcher.host.uses import read_used

    return read_pci(tree, read_used(tree, opened), deep=deep, raw=raw)


def _mediated(tree: Tree) -> tuple[MediatedDevice, ...]:
    """As above: few hosts have any."""
    if not entries(tree.list_folder("/sys/bus/mdev/devices")):
        return ()
    from launcher.host.mediated import read_mediated

    return read_mediated(tree)


def _mediated_parents(tree: Tree) -> tuple[MediatedParent, ...]:
    if not entries(tree.list_folder("/sys/class/mdev_bus")):
        return ()
    from launcher.host.mediated import read_parents

    return read_parents(tree)


def _architecture(tree: Tree) -> str:
    """`arch` is there from 6.1 on; the CPUs' modalias (`cpu:type:x86,ven0002...`) is older."""
    named = str_of(tree.read_text("/proc/sys/kernel/arch"))
    if named:
        return named
    alias = str_of(tree.read_text("/sys/devices/system/cpu/modalias"))
    return "x86_64" if alias.startswith("cpu:type:x86,") else "unknown"
