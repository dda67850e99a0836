"""A Tree in; the running kernel, as far as VFIO and KVM care, out."""

from __future__ import annotations

import zlib

from launcher.host.facts import Linux
from launcher.host.lists import bracketed, entries, str_of
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.tree import Tree

# Those whose presence a rule or a message can turn on; the rest would only make facts files large and different.
MODULES = (
    *("vfio", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio_virqfd", "iommufd"),
    *("kvm", "kvm_amd", "kvm_intel", "pci_stub", "nvidia_drm", "vendor_reset"),
    *("hisi_acc_vfio_pci", "mlx5_vfio_pci", "nvgrace_gpu_vfio_pci", "pds_vfio_pci"),
    *("qat_vfio_pci", "virtio_vfio_pci", "xe_vfio_pci"),
)
CONFIG = (
    *("INTEL_IOMMU", "INTEL_IOMMU_DEFAULT_ON", "INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF", "AMD_IOMMU", "VIRTIO_IOMMU"),
    *("IRQ_REMAP", "IOMMU_DEFAULT_PASSTHROUGH", "PCI_IOV", "KVM", "KVM_AMD", "KVM_INTEL"),
    *("VFIO", "VFIO_PCI", "VFIO_PCI_VGA", "VFIO_IOMMU_TYPE1", "VFIO_GROUP", "VFIO_CONTAINER", "VFIO_NOIOMMU"),
    *("VFIO_DEVICE_CDEV", "VFIO_PCI_DMABUF", "IOMMUFD", "IOMMUFD_VFIO_CONTAINER"),
)
PARAMETERS = {
    "vfio": ("enable_unsafe_noiommu_mode",),
    "iommufd": ("allow_unsafe_interrupts",),
    "vfio_iommu_type1": ("allow_unsafe_interrupts", "disable_hugepages", "dma_entry_limit"),
    "vfio_pci": ("disable_denylist", "disable_idle_d3", "disable_vga", "enable_sriov", "nointxmask"),
    "nvidia_drm": ("fbdev", "modeset"),
    "kvm": ("tdp_mmu",),
    "kvm_amd": ("avic", "nested", "npt"),
    "kvm_intel": ("enable_apicv", "ept", "nested", "unrestricted_guest"),
}
# Those whose devices other modules use: drivers that wait for them (planner/waiting.py).
HELD = ("nvidia", "nvidia_modeset")
_MODULES = "/sys/module"
_GUNZIP = 31  # zlib: a gzip header, the largest window


def read_linux(tree: Tree, release: str) -> Linux:
    interrupts = tree.read_text("/proc/interrupts")
    loaded = _loaded(tree)
    return Linux(
        cmdline=tree.read_text("/proc/cmdline"),
        config=_config(tree, release),
        modules=loaded,
        loadable=_loadable(tree, release),
        parameters=dict(_parameters(tree, loaded)),
        drivers=entries(tree.list_folder("/sys/bus/pci/drivers")),
        remapping=_remapping(str_of(interrupts)),
        vectors=sum(line.partition(":")[0].strip().isdecimal() for line in str_of(interrupts).splitlines()),
        lockdown=bracketed(tree.read_text("/sys/kernel/security/lockdown")),
        holders=dict(_holders(tree)),
        framebuffers=tuple(line.partition(" ")[2] for line in str_of(tree.read_text("/proc/fb")).splitlines()),
    )


def _loaded(tree: Tree) -> tuple[str, ...]:
    return tuple(sorted(frozenset(MODULES) & frozenset(entries(tree.list_folder(_MODULES)))))


def _holders(tree: Tree) -> Iterator[tuple[str, tuple[str, ...]]]:
    for module in HELD:
        found = tree.list_folder(f"{_MODULES}/{module}/holders")
        if not isinstance(found, Missing):
            yield module, tuple(sorted(found))


def _loadable(tree: Tree, release: str) -> tuple[str, ...] | Missing:
    """Files of modules are named with dashes or underscores, as their authors liked."""
    folder = f"/lib/modules/{release}"
    found = tree.read_bytes(f"{folder}/modules.dep")
    if isinstance(found, Missing):
        return found
    built_in = tree.read_bytes(f"{folder}/modules.builtin")
    text = found if isinstance(built_in, Missing) else found + built_in
    return tuple(sorted(name for name in MODULES if _has(text, name) or _has(text, name.replace("_", "-"))))


def _has(text: bytes, name: str) -> bool:
    return f"/{name}.ko".encode() in text


def _config(tree: Tree, release: str) -> dict[str, str] | Missing:
    text = _config_text(tree, release)
    return text if isinstance(text, Missing) else dict(_settings(b"\n" + text))


def _config_text(tree: Tree, release: str) -> bytes | Missing:
    """The running kernel's own word first."""
    packed = tree.read_bytes("/proc/config.gz")
    if not isinstance(packed, Missing):
        return _unpacked(packed)
    inside, beside = tree.read_bytes(f"/lib/modules/{release}/config"), tree.read_bytes(f"/boot/config-{release}")
    return inside if isinstance(beside, Missing) and not isinstance(inside, Missing) else beside


def _unpacked(packed: bytes) -> bytes | Missing:
    try:
        return zlib.decompress(packed, _GUNZIP)
    except zlib.error:
        return Missing("unreadable", "/proc/config.gz")


def _settings(text: bytes) -> Iterator[tuple[str, str]]:
    for name in sorted(CONFIG):
        place = text.find(f"\nCONFIG_{name}=".encode())
        if place >= 0:
            start = place + len(name) + 9
            yield name, text[start : start + 1].decode(errors="replace")


def _parameters(tree: Tree, loaded: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for module in loaded:
        for name in PARAMETERS.get(module, ()):
            value = tree.read_text(f"{_MODULES}/{module}/parameters/{name}")
            if isinstance(value, str):
                yield f"{module}.{name}", value


def _remapping(interrupts: str) -> bool | None:
    """The chips of remapped interrupts are called IR-IO-APIC, IR-PCI-MSI, IR-PCI-MSIX-0000:00:03.0.

    The kernel's log claims remapping where there is none.
    """
    if " IR-" in interrupts:
        return True
    return False if "IO-APIC" in interrupts or " PCI-MSI" in interrupts else None
