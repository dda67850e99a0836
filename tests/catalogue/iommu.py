"""The rows whose rules are in planner/rules/{iommu,modules,access}.py, no_iommu.py and no_kvm.py, and their like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from launcher.host.facts import (
    Config,
    DeviceNode,
    Firmware,
    Holder,
    HostFacts,
    Iommu,
    IommuUnit,
)
from launcher.record import replace
from launcher.values import Missing
from tests.catalogue.row import Row, gpu07, lab, small, with_function, with_linux, with_process
from tests.planning import host

DISK = "0000:02:00.0"
BOUND = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices: {gpu: 0000:e1:00.0}\n"  # on vfio-pci, group 77
WILLING = BOUND.replace("0000:e1:00.0", "{pci: 0000:e1:00.0, allow: [unsafe-interrupts]}")
BY_IOMMUFD = f"{BOUND}vfio: iommufd\n"
NVME = small("disk: 0000:01:00.0")  # on most lab hosts
NO_DEVICES = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\n"

VFIO = ("vfio_pci", "vfio_iommu_type1")
BUILT = {"VFIO_PCI": "m", "VFIO_CONTAINER": "y", "VFIO_GROUP": "y"}
UNSAFE = {"vfio_iommu_type1.allow_unsafe_interrupts": "Y"}
NO_IOMMU_MODE = {"vfio.enable_unsafe_noiommu_mode": "Y"}

CONTROL = DeviceNode("/dev/vfio/vfio", 0o666, 0, 0, usable=True)
GROUP = DeviceNode("/dev/vfio/77", 0o600, 0, 0, usable=True)
VM = (Holder(4711, "qemu-system-x86"),)


# ---- hosts ----


def dark(**firmware: Any) -> Callable[[], HostFacts]:
    """The server with its IOMMU not in use: no unit, no group, and what the firmware says of it."""
    return lambda: _dark(**firmware)


def _dark(**firmware: Any) -> HostFacts:
    pci = tuple(replace(one, group=None) for one in host("gpu07").pci)
    return replace(host("gpu07"), iommu=None, groups=(), pci=pci, firmware=Firmware(**firmware))


def dark_with(table: str, **linux: Any) -> Callable[[], HostFacts]:
    return lambda: with_linux(_dark(tables=(table,)), **linux)


def linux(**fields: Any) -> Callable[[], HostFacts]:
    return lambda: with_linux(host("gpu07"), **fields)


def user(nodes: tuple[DeviceNode, ...] | None = None, **fields: Any) -> Callable[[], HostFacts]:
    """A user without a capability would run `up`; it may lock all the memory it wants."""
    who: dict[str, Any] = {"uid": 1000, "gid": 1000, "capabilities": (), "state_folder": "/run/user/1000/vmlaunch"}
    return lambda: replace(with_process(host("gpu07"), **who | fields), device_nodes=nodes)


def root(nodes: tuple[DeviceNode, ...], **fields: Any) -> Callable[[], HostFacts]:
    return lambda: replace(with_process(host("gpu07"), **fields), device_nodes=nodes)


def own_nodes(*, control: bool = True, cdev: bool = True) -> Callable[[], HostFacts]:
    """A user with what iommufd takes: may he open it?"""
    paths = {"/dev/iommu": control, "/dev/vfio/devices/vfio3": cdev}
    nodes = tuple(DeviceNode(path, 0o600, 1000 if mine else 0, 0, usable=mine) for path, mine in paths.items())
    return lambda: with_function(user(nodes)(), "0000:e1:00.0", vfio="vfio3")


def units(domains: int) -> Callable[[], HostFacts]:
    unit = IommuUnit("dmar0", 48, domains=domains, most_domains=65536)
    full = IommuUnit("dmar1", 48, domains=65536, most_domains=65536)
    behind = {"iommu": "dmar0"}
    return lambda: replace(with_function(host("gpu07"), DISK, **behind), iommu=Iommu("Intel VT-d", 48, (unit, full)))


def made_up_group(name: str | None) -> HostFacts:
    """One card is in a group that VFIO made up, or in a real one; the others have a real one."""
    facts = with_linux(host("gpu07"), parameters=NO_IOMMU_MODE)
    return replace(facts, groups=tuple(replace(one, name=name if one.number == 77 else None) for one in facts.groups))


def integrated(command_line: str, **fields: Any) -> HostFacts:
    """An Intel GPU on bus 0, in place of the disk."""
    gpu: dict[str, Any] = {"id": "8086:9a49", "class_code": "030000", "name": "Intel Iris Xe", "driver": "i915"}
    facts = with_linux(host("gpu07"), cmdline=command_line)
    bridge = {"id": "8086:9a14", "class_code": "060000"}
    others = (replace(one, **bridge) if str(one.address) == "0000:00:00.0" else one for one in facts.pci)
    facts = replace(facts, pci=tuple(others), iommu=Iommu("Intel VT-d", 39))
    return with_function(facts, "0000:00:01.1", **gpu | {"group": None, "reset": ("flr",)} | fields)


INTEGRATED = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices: {gpu: 0000:00:01.1}\n"


def without_kvm(why: Literal["absent", "denied"], **fields: Any) -> HostFacts:
    return replace(host("gpu07"), kvm=Missing(why, "/dev/kvm"), **fields)


def hidden_config(config: Config | Missing) -> HostFacts:
    return with_function(user((CONTROL, GROUP))(), "0000:e1:00.0", config=config)


# ---- rows ----

IOMMU = (
    Row("iommu-absent", "E209", dark(), gpu07(firmware=Firmware())),
    Row(
        "iommu-absent",
        "E209",
        dark_with("DMAR", cmdline="quiet intel_iommu=on"),
        dark_with("DMAR", cmdline="quiet -- intel_iommu=on"),
        variant="not-started",
    ),
    Row(
        "iommu-disabled-by-cmdline",
        "E221",
        lab("switched-off"),
        lab("no-iommu"),
        spec=NVME,
        captured="switched-off",
    ),
    Row(
        "iommu-disabled-by-cmdline",
        "E221",
        dark_with("IVRS", cmdline="quiet amd_iommu=off"),
        dark_with("IVRS", cmdline="quiet intel_iommu=off amd_iommu=fullflush"),
        variant="amd",
    ),
    Row(
        "iommu-disabled-by-cmdline",
        "E221",
        dark_with("DMAR", cmdline="intel_iommu=on intel_iommu=off,sm_on"),
        dark_with("DMAR", cmdline="intel_iommu=off intel_iommu=on,sm_on"),
        variant="intel",
    ),
    Row(
        "iommu-disabled-by-cmdline",
        "E221",
        dark_with("DMAR", config=BUILT | {"INTEL_IOMMU": "y"}),
        dark_with("DMAR", config=BUILT | {"INTEL_IOMMU": "y", "INTEL_IOMMU_DEFAULT_ON": "y"}),
        variant="by-default",
    ),
    Row(
        "kernel-without-iommu-driver",
        "E222",
        dark_with("IVRS", config=BUILT | {"INTEL_IOMMU": "y"}),
        dark_with("DMAR", config=BUILT | {"INTEL_IOMMU": "y"}),
    ),
    Row(
        "kernel-without-vfio",
        "E222",
        linux(modules=("kvm",), loadable=("kvm", "kvm_amd")),
        linux(modules=("kvm",), loadable=("kvm", "kvm_amd", *VFIO)),
        made_in="narrow",
    ),
    Row(
        "kernel-without-vfio",
        "E222",
        linux(config={"VFIO_PCI": "m", "IOMMUFD": "m"}),
        linux(config={"VFIO_PCI": "m", "VFIO_GROUP": "y", "IOMMUFD_VFIO_CONTAINER": "y"}),
        variant="groups",
    ),
    Row(
        "kernel-without-vfio",
        "E222",
        linux(config=BUILT),
        linux(config=BUILT | {"IOMMUFD": "m", "VFIO_DEVICE_CDEV": "y"}),
        spec=BY_IOMMUFD,
        variant="iommufd",
    ),
    Row(
        "intr-remap-missing",
        "E225",
        linux(remapping=False, parameters=UNSAFE | {"iommufd.allow_unsafe_interrupts": "N"}),
        linux(remapping=False, parameters={"iommufd.allow_unsafe_interrupts": "Y"}),
        spec=WILLING + "vfio: iommufd\n",
        variant="iommufd",
    ),
    Row(
        "group-node-permission",
        "E228",
        own_nodes(cdev=False),
        own_nodes(),
        spec=BY_IOMMUFD,
        variant="cdev",
    ),
    Row(
        "group-node-permission",
        "E228",
        own_nodes(control=False),
        own_nodes(),
        spec=BY_IOMMUFD,
        variant="iommufd",
    ),
    Row(
        "device-not-behind-iommu",
        "E208",
        lab("uncovered"),
        lab("uncovered"),
        spec=small("usb: {pci: 0000:00:03.0, allow: [no-reset]}"),
        near_spec=small("nic: 0000:00:02.0"),
        captured="uncovered",
    ),
    Row(
        "device-not-behind-iommu",
        "E208",
        lambda: integrated("intel_iommu=on,igfx_off"),
        lambda: integrated("intel_iommu=on,igfx_off", group=1),
        spec=INTEGRATED,
        variant="igfx-off",
    ),
    Row("intr-remap-missing", "E225", lab("no-remapping"), lab("narrow"), NVME, captured="no-remapping"),
    Row(
        "intr-remap-missing",
        "E225",
        linux(remapping=False, cmdline="intremap=off"),
        linux(remapping=None),
        variant="intremap-off",
    ),
    Row(
        "intr-remap-missing",
        "E225",
        linux(remapping=False, parameters={"vfio_iommu_type1.allow_unsafe_interrupts": "N"}),
        linux(remapping=False, parameters=UNSAFE),
        spec=WILLING,
        variant="willing",
    ),
    Row(
        "intr-remap-missing",
        "E226",
        linux(remapping=False, parameters=UNSAFE),
        linux(remapping=True, parameters=UNSAFE),
        variant="unsafe",
    ),
    Row(
        "intr-remap-missing",
        "E226",
        linux(remapping=False, parameters=UNSAFE),
        linux(remapping=False, parameters=UNSAFE),
        spec=BOUND,
        near_spec=WILLING,
        variant="allowed",
    ),
    Row("nested-no-viommu", "E223", lab("no-iommu"), lab("zoo"), NVME, captured="no-iommu"),
    Row(
        "nested-no-viommu",
        "E223",
        dark(virtual=True, vendor="QEMU"),
        dark(virtual=True, tables=("DMAR",)),
        variant="tables",
    ),
    Row(
        "nested-no-viommu",
        "E223",
        dark(virtual=True, vendor="LENOVO", hypervisor="xen"),
        dark(vendor="LENOVO"),
        variant="dom0",
    ),
    Row("noiommu-mode", "E220", lab("noiommu-mode"), linux(parameters=NO_IOMMU_MODE), NVME, BOUND, "noiommu-mode"),
    Row(
        "noiommu-mode",
        "E220",
        lambda: made_up_group("vfio-noiommu"),
        lambda: made_up_group(None),
        spec=BOUND,
        variant="one-device",
    ),
    Row("iommu-domain-ids-exhausted", "E227", units(65536), units(65535)),
    Row(
        "host-suspend",
        "W222",
        gpu07(firmware=Firmware(portable=True, sleeps=("freeze", "mem", "disk"))),
        gpu07(firmware=Firmware(sleeps=("freeze", "mem", "disk"))),
    ),
)

MODULES = (
    Row(
        "vfio-modules-not-loaded",
        "E224",
        lambda: with_linux(user()(), modules=("kvm",), loadable=VFIO),
        linux(modules=("kvm",), loadable=VFIO),
        spec=BOUND,
        made_in="narrow",
    ),
    Row(
        "vfio-type1-missing",
        "E224",
        lambda: with_linux(user()(), modules=("vfio", "vfio_pci"), loadable=VFIO),
        lambda: with_linux(user()(), modules=("vfio", *VFIO), loadable=VFIO),
        spec=BOUND,
        made_in="narrow",
    ),
)

ACCESS = (
    Row("group-node-permission", "E228", user((CONTROL,)), user((CONTROL,), capabilities=("cap_dac_override",))),
    Row(
        "group-node-permission",
        "E228",
        user((CONTROL, replace(GROUP, usable=False))),
        user((CONTROL, replace(GROUP, mode=0o660, gid=104), DeviceNode("/dev/vfio/14", 0o600, 0, 0, usable=False))),
        spec=BOUND,
        variant="node",
        made_in="narrow",
    ),
    Row(
        "device-cgroup-denied",
        "W220",
        root((CONTROL, GROUP), container=True),
        root((CONTROL, GROUP)),
        spec=BOUND,
    ),
    Row(
        "device-cgroup-denied",
        "E228",
        root((CONTROL,), container=True),
        root((CONTROL, GROUP), container=True),
        spec=BOUND,
        variant="not-passed-on",
    ),
    Row(
        "group-already-open",
        "E229",
        root((CONTROL, replace(GROUP, holders=VM))),
        root((replace(CONTROL, holders=VM), GROUP, replace(GROUP, path="/dev/vfio/7", holders=VM))),
        spec=BOUND,
        made_in="narrow",
    ),
    Row(
        "group-already-open",
        "W216",
        user((CONTROL, GROUP), sees_all=False),
        user((CONTROL, GROUP)),
        spec=BOUND,
        variant="unseen",
    ),
    Row(
        "lsm-denied",
        "W221",
        root((CONTROL, GROUP), profile="docker-default (enforce)"),
        root((CONTROL, GROUP), profile="unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"),
        spec=BOUND,
    ),
    Row(
        "unprivileged-snapshot-incomplete",
        "W216",
        lambda: hidden_config(Missing("denied", "/sys/bus/pci/devices/0000:e1:00.0/config")),
        lambda: hidden_config(Config(pin=1)),
        spec=BOUND,
        made_in="narrow",
    ),
)

KVM = (
    Row(
        "kvm-missing",
        "E401",
        lambda: with_linux(without_kvm("absent"), modules=(), loadable=("kvm", "kvm_amd", "kvm_intel")),
        gpu07(firmware=Firmware(virtualization=False)),
        spec=NO_DEVICES,
        made_in="narrow",
    ),
    Row(
        "kvm-missing",
        "E401",
        lambda: without_kvm("absent", firmware=Firmware(virtualization=False)),
        lambda: without_kvm("denied", firmware=Firmware(virtualization=False)),
        spec=NO_DEVICES,
        variant="firmware",
    ),
    Row(
        "kvm-missing",
        "E401",
        lambda: with_linux(without_kvm("absent"), modules=("kvm", "kvm_amd")),
        lambda: with_linux(host("gpu07"), modules=("kvm",)),
        spec=NO_DEVICES,
        variant="container",
    ),
    Row(
        "kvm-missing",
        "E401",
        lambda: without_kvm("absent", firmware=Firmware(virtual=True, virtualization=False, hypervisor="xen")),
        gpu07(firmware=Firmware(virtual=True, hypervisor="xen")),
        spec=NO_DEVICES,
        variant="dom0",
    ),
    Row(
        "kvm-missing",
        "E402",
        lambda: without_kvm("denied", device_nodes=(DeviceNode("/dev/kvm", 0o660, 0, 104, usable=False),)),
        lambda: without_kvm("absent", device_nodes=()),
        spec=NO_DEVICES,
        variant="denied",
    ),
    Row(
        "kvm-missing",
        "E402",
        lambda: without_kvm("denied", device_nodes=(DeviceNode("/dev/kvm", 0o666, 0, 104, usable=True),)),
        gpu07(device_nodes=(DeviceNode("/dev/kvm", 0o666, 0, 104, usable=True),)),
        spec=NO_DEVICES,
        variant="cgroup",
    ),
)

ROWS: tuple[Row, ...] = (*IOMMU, *MODULES, *ACCESS, *KVM)

# id -> why a plan cannot see it, or where else it is dealt with.
WITHOUT_RULE: dict[str, str] = {
    "iommu-identity-domain-myth": "nothing fails: a group's default domain (`iommu=pt` makes it identity) is used "
    "while the host's driver has the device, and VFIO attaches a domain of its own",
    "lockdown": "nothing of ours is refused: config space, BARs, resets and interrupts go through VFIO, which "
    "lockdown leaves alone; sysfs config and resource files, which it guards, are never written",
    "kernel-regression": "which release breaks what cannot be read from a host; a plan names the kernel it was made "
    "for, so that two plans tell an update from a change of the spec",
}
