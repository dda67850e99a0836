"""A host whose /dev/kvm does not answer in, the reason as a diagnostic out. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.linux import is_dom0
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.facts import DeviceNode, HostFacts
    from launcher.values import Missing

_MODULES = ("kvm_amd", "kvm_intel")
_FIRMWARE = "switch on SVM or VT-x in the firmware"
_NO_XEN = ("boot this machine without Xen: take the entry of the boot menu that starts Linux itself",)
_PASS_ON = "for docker and podman: `--device /dev/kvm`"


def no_kvm(host: HostFacts, kvm: Missing) -> Diagnostic:
    if kvm.missing == "absent":
        return _absent(host)
    if kvm.missing == "denied":
        return _denied(host)
    return Diagnostic("E403", "/dev/kvm cannot be asked", help=("see `dmesg | grep -i kvm`",))


def _absent(host: HostFacts) -> Diagnostic:
    fact, linux = "there is no /dev/kvm", host.linux
    loaded = [name for name in _MODULES if name in (linux.modules or ())]
    if is_dom0(host):
        return Diagnostic(
            "E401", f"{fact}: this is dom0 of Xen, which has the CPUs' virtualization itself", help=_NO_XEN
        )
    if not host.firmware.virtualization:
        return _no_virtualization(host)
    if loaded:
        evidence = (f"{' and '.join(loaded)} is loaded, and this container has no node for it",)
        return Diagnostic("E401", fact, evidence=evidence, help=(_PASS_ON,))
    if isinstance(linux.loadable, tuple) and not any(name in linux.loadable for name in _MODULES):
        evidence = (f"Linux {host.kernel} has neither {' nor '.join(_MODULES)}",)
        return Diagnostic("E401", fact, evidence=evidence, help=("install a full kernel with KVM, and boot it",))
    command = _loading(host)
    return Diagnostic("E401", fact, help=(f"load the module: {command}; if that fails, {_FIRMWARE}",))


def _loading(host: HostFacts) -> str:
    """By the maker of the IOMMU, where it is known."""
    makers = {"DMAR": "kvm_intel", "IVRS": "kvm_amd"}
    tables = host.firmware.tables if isinstance(host.firmware.tables, tuple) else ()
    known = next((makers[one] for one in tables if one in makers), None)
    return " or ".join(f"`modprobe {name}`" for name in ([known] if known else _MODULES))


def _no_virtualization(host: HostFacts) -> Diagnostic:
    fact = "there is no /dev/kvm: the CPUs show neither SVM nor VT-x"
    if host.firmware.virtual:
        help_ = "this host is a VM: nest VMs where it is started; for QEMU `-cpu host`, and nested=1 of its KVM module"
        return Diagnostic("E401", fact, help=(help_,))
    return Diagnostic("E401", fact, help=(_FIRMWARE,))


def _denied(host: HostFacts) -> Diagnostic:
    fact = "/dev/kvm may not be opened"
    node = next((one for one in host.device_nodes or () if one.path == "/dev/kvm"), None)
    evidence: tuple[str, ...] = (_owner(node),) if node else ()
    if node and node.usable:
        evidence += ("its mode lets us: a device cgroup or a security module says no",)
        help_ = (_PASS_ON, "for a systemd service: `DeviceAllow=/dev/kvm rw`")
        return Diagnostic("E402", fact, evidence=evidence, help=help_)
    return Diagnostic("E402", fact, evidence=evidence, help=_ways_in(host, node))


def _ways_in(host: HostFacts, node: DeviceNode | None) -> tuple[str, ...]:
    """Root without its capabilities is asked for what its mode says; nobody else can change that."""
    if host.process.uid == 0:
        return ("run it with CAP_DAC_OVERRIDE, or `chown root /dev/kvm; chmod 660 /dev/kvm` as root that has it",)
    join = "as root: `usermod -aG kvm USER`; the user then logs in again"
    if node and (node.gid == 0 or not node.mode & 0o060):
        return ("as root: `chgrp kvm /dev/kvm; chmod 660 /dev/kvm`, as udev does", join)
    return (join,)


def _owner(node: DeviceNode) -> str:
    return f"{node.path} has mode {node.mode:04o}, uid {node.uid}, gid {node.gid}"
