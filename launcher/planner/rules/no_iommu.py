"""A host (and one device of it) without an IOMMU in, the reason as a diagnostic out. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.host.facts import Firmware
from launcher.planner.functions import is_kind
from launcher.planner.linux import given, is_dom0, last_of, settings_of
from launcher.planner.places import in_spec
from launcher.planner.quirks import is_built_in
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, Linux, PciFunction
    from launcher.planner.decided import Choice

NO_IOMMU_GROUP = "vfio-noiommu"  # what VFIO names the groups that it makes up itself

# The ACPI table that announces an IOMMU -> its name, its driver in the kernel's configuration.
_KINDS = {
    "DMAR": ("VT-d", "INTEL_IOMMU"),
    "IVRS": ("AMD-Vi", "AMD_IOMMU"),
    "VIOT": ("virtio-iommu", "VIRTIO_IOMMU"),
}
_ON_INTEL = "intel_iommu=on iommu=pt"
_NONE_FROM_XEN = "Xen gives its VMs none: run this on the machine itself, without Xen"
_GIVE_ONE = "a virtual IOMMU: `vmlaunch explain E223` has QEMU's words"


# Debian's kernels have the second word and the symbol.
_BUILT_WITHOUT = "CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF"
_WITH_THE_GPU = {
    "igfx_off": "boot the host without `igfx_off` in `intel_iommu=`",
    "intgpu_off": "boot the host without `intgpu_off` in `intel_iommu=`",
    _BUILT_WITHOUT: "boot the host with `intel_iommu=on`",
}


def no_iommu(host: HostFacts) -> Diagnostic:
    """One answer for all devices, whatever they are and whether they are there."""
    found = _cause(host)
    if not _no_iommu_mode(host.linux):
        return found
    fact = "no-IOMMU mode of VFIO is on, which isolates nothing and translates no address: it cannot run VMs"
    evidence = ("enable_unsafe_noiommu_mode of the module vfio is Y", f"and {found.message}", *found.evidence)
    return Diagnostic("E220", fact, in_spec("devices"), evidence, found.help, found.fix)


def _no_iommu_mode(linux: Linux) -> bool:
    return linux.parameters.get("vfio.enable_unsafe_noiommu_mode") in ("Y", "1")


def _cause(host: HostFacts) -> Diagnostic:
    tables = () if isinstance(host.firmware.tables, Missing) else host.firmware.tables
    table = next((one for one in _KINDS if one in tables), None)
    if table is not None and not is_dom0(host):
        return _not_started(table, host)
    if is_dom0(host):
        return _kept_by_xen()
    return _not_in_the_vm(host) if host.firmware.virtual else _not_announced(host)


def _kept_by_xen() -> Diagnostic:
    fact = "this is dom0 of Xen, which has the IOMMU itself and shows Linux none, and devices need one"
    help_ = (
        "boot this machine without Xen: take the entry of the boot menu that starts Linux itself",
        "or pass the device with Xen's own tools: `xl pci-assignable-add` and `xl pci-attach`, Qubes `qvm-pci attach`, "
        "XCP-ng `xe vm-param-set other-config:pci=0/ADDRESS`",
    )
    return Diagnostic("E223", fact, in_spec("devices"), help=help_)


def _not_announced(host: HostFacts) -> Diagnostic:
    tables = host.firmware.tables
    looked = isinstance(tables, tuple)
    evidence = (f"ACPI has none of the tables that announce one: {', '.join(_KINDS)}",) if looked else ()
    help_ = (
        *((f"if it is a VM, as its virtio devices suggest, give it {_GIVE_ONE}",) if _may_be_a_vm(host) else ()),
        "switch on the host's IOMMU in the firmware setup: VT-d (Intel), or AMD-Vi, also called IOMMU (AMD)",
        *(() if given(host.linux, _ON_INTEL) else (f"on Intel also boot the host with `{_ON_INTEL}`",)),
        "`ls /sys/class/iommu` then shows dmar0 or ivhd0",
    )
    return Diagnostic(
        "E209", "this host has no IOMMU in use, and devices need one", in_spec("devices"), evidence, help_
    )


def _may_be_a_vm(host: HostFacts) -> bool:
    """Older facts files do not say what the machine is."""
    return host.firmware == Firmware() and any(one.id.startswith("1af4:") for one in host.pci)


def _not_in_the_vm(host: HostFacts) -> Diagnostic:
    firmware = host.firmware
    kind = " ".join(word for word in (firmware.vendor, firmware.product) if word)
    fact = f"this host is a VM itself{kind and f' ({kind})'} and was given no IOMMU, which devices need"
    by_xen = firmware.hypervisor == "xen"
    help_ = (_NONE_FROM_XEN,) if by_xen else (f"give this VM {_GIVE_ONE}", f"boot its kernel with `{_ON_INTEL}`")
    return Diagnostic("E223", fact, in_spec("devices"), help=help_)


def _not_started(table: str, host: HostFacts) -> Diagnostic:
    """The firmware announces one."""
    name, driver = _KINDS[table]
    linux, evidence = host.linux, (f"ACPI has the table {table}: the firmware has {name} on",)
    if isinstance(linux.config, dict) and driver not in linux.config:
        fact = f"Linux {host.kernel} is built without the driver of this host's IOMMU, and devices need one"
        full = ("install a full kernel, as `apt install linux-image-amd64` does, and boot it",)
        return Diagnostic("E222", fact, in_spec("devices"), (*evidence, f"CONFIG_{driver} is not set"), full)
    off = _switched_off(table, linux)
    if off or (table == "DMAR" and not _starts_intel(linux)):
        return _switched_off_by(off, name, table, evidence)
    fact = f"the kernel did not start the IOMMU of this host ({name}), and devices need one"
    help_ = ("the kernel's log says why: `dmesg | grep -i -e DMAR -e AMD-Vi -e IOMMU`",)
    return Diagnostic("E209", fact, in_spec("devices"), evidence, help_)


def _switched_off(table: str, linux: Linux) -> tuple[str, ...]:
    """Words of the command line. `iommu=off` and `amd_iommu=off` have no word that takes them back."""
    found = (
        ("iommu=off", "off" in settings_of(linux, "iommu")),
        ("amd_iommu=off", table == "IVRS" and "off" in settings_of(linux, "amd_iommu")),
        ("intel_iommu=off", table == "DMAR" and last_of(linux, "intel_iommu", ("on", "off")) == "off"),
    )
    return tuple(word for word, is_there in found if is_there)


def _starts_intel(linux: Linux) -> bool:
    """By the command line, or because it was built so (the second symbol is Debian's)."""
    config = linux.config if isinstance(linux.config, dict) else {}
    built_so = any(name in config for name in ("INTEL_IOMMU_DEFAULT_ON", "INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF"))
    return built_so or last_of(linux, "intel_iommu", ("on", "off")) == "on"


def _switched_off_by(off: tuple[str, ...], name: str, table: str, evidence: tuple[str, ...]) -> Diagnostic:
    """AMD-Vi needs no word to be on, and Linux knows none."""
    words, add = " and ".join(f"`{word}`" for word in off), _ON_INTEL if table == "DMAR" else ""
    cause = f"{words} is on the kernel's command line" if off else "this kernel starts it only with `intel_iommu=on`"
    ways = [f"without {words}" if off else "", f"with `{add}`" if add else ""]
    removing, adding = f"--remove-args='{' '.join(off)}' " if off else "", f"--args='{add}' " if add else ""
    help_ = (
        f"boot the host {' and '.join(filter(None, ways))}",
        "Debian, Ubuntu: edit GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then `update-grub`, and boot again",
        f"Fedora, RHEL: `grubby --update-kernel=ALL {(removing + adding).rstrip()}`, and boot again",
    )
    fact = f"the IOMMU of this host ({name}) is off, and devices need one; {cause}"
    return Diagnostic("E221", fact, in_spec("devices"), evidence, help_)


def no_group(choice: Choice, function: PciFunction, host: HostFacts) -> Diagnostic:
    """Others have an IOMMU, and this device has none."""
    fact = f"{choice.alias}: {function.address} is behind no IOMMU, so it cannot be isolated"
    where, word = in_spec(f"devices.{choice.alias}.pci"), _left_out(function, host.linux)
    if word:
        evidence = (f"the kernel leaves the IOMMU of the integrated GPU off: {word}",)
        return Diagnostic("E208", fact, where, evidence, (_WITH_THE_GPU[word],))
    update = "update the firmware: its tables leave the device out"
    help_ = (update,) if is_built_in(function, host) else ("put it into another slot", f"or {update}")
    return Diagnostic("E208", fact, where, help=help_)


def _left_out(function: PciFunction, linux: Linux) -> str | None:
    """Only the GPU that is a part of an Intel CPU can have a unit of its own, and words that leave it off."""
    if not (is_kind(function, "display") and function.id.startswith("8086:") and function.address.bus == 0):
        return None
    given = settings_of(linux, "intel_iommu")
    config = linux.config if isinstance(linux.config, dict) else {}
    if (word := next((one for one in ("igfx_off", "intgpu_off") if one in given), None)) is not None:
        return word
    return _BUILT_WITHOUT if _BUILT_WITHOUT.removeprefix("CONFIG_") in config and "on" not in given else None
