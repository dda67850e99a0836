"""(Tree, KvmFacts) -> HostFacts: what is known of this machine, read without side effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.host.facts import FORMAT_VERSION, HostFacts, KvmFacts
from launcher.host.iommu import read_groups, read_iommu
from launcher.host.lists import str_of
from launcher.host.pci import read_pci
from launcher.host.process import read_process
from launcher.host.processors import read_cpus, read_memory, read_nodes

if TYPE_CHECKING:
    from launcher.host.tree import Tree
    from launcher.values import Missing


def survey(tree: Tree, kvm: KvmFacts | Missing, runtime_folder: str | None = None) -> HostFacts:
    """`kvm` is what kernel.probe answered; `runtime_folder` is $XDG_RUNTIME_DIR."""
    return HostFacts(
        format_version=FORMAT_VERSION,
        name=str_of(tree.read_text("/proc/sys/kernel/hostname")),
        kernel=str_of(tree.read_text("/proc/sys/kernel/osrelease")),
        architecture=_architecture(tree),
        kvm=kvm,
        cpus=read_cpus(tree),
        nodes=read_nodes(tree),
        memory=read_memory(tree),
        process=read_process(tree, runtime_folder),
        iommu=read_iommu(tree),
        groups=read_groups(tree),
        pci=read_pci(tree),
    )


def _architecture(tree: Tree) -> str:
    """`arch` is there from 6.1 on; the CPUs' modalias (`cpu:type:x86,ven0002...`) is older."""
    named = str_of(tree.read_text("/proc/sys/kernel/arch"))
    if named:
        return named
    alias = str_of(tree.read_text("/sys/devices/system/cpu/modalias"))
    return "x86_64" if alias.startswith("cpu:type:x86,") else "unknown"
