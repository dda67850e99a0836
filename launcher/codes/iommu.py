"""Explanations of the codes of planner/rules/{iommu,modules,access}.py: the machine, its kernel, who runs `up`."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E220",
        "no-IOMMU mode",
        "The module parameter enable_unsafe_noiommu_mode makes VFIO give devices to programs that know physical "
        "addresses. A guest knows only its own, and nothing would translate them or keep its devices out of the "
        "host's memory.",
        "devices: {gpu: 0000:c1:00.0}        # with vfio.enable_unsafe_noiommu_mode=1 and no IOMMU",
        "Get the IOMMU to work: the message says what keeps it off. Where there is one, the mode does no harm.",
    ),
    Explanation(
        "E221",
        "the IOMMU is switched off",
        "The firmware announces an IOMMU (ACPI has the table DMAR or IVRS) and the kernel was told not to use it, by "
        "`iommu=off`, `intel_iommu=off` or `amd_iommu=off`; or it is an Intel one, and this kernel was built to use it "
        "only if told. `amd_iommu=on` is no option: AMD-Vi is on by itself. That dmesg has `IOMMU enabled` proves "
        "nothing.",
        "devices: {gpu: 0000:c1:00.0}        # on a host booted with amd_iommu=off",
        "Change the kernel's command line as the message says, and boot again: /sys/class/iommu is not empty then.",
    ),
    Explanation(
        "E222",
        "the kernel was built without it",
        "Passing devices needs the driver of the host's IOMMU (CONFIG_INTEL_IOMMU or CONFIG_AMD_IOMMU), vfio-pci, and "
        "one of two ways: VFIO's groups and containers (CONFIG_VFIO_GROUP, CONFIG_VFIO_CONTAINER), or iommufd with "
        "nodes of devices (CONFIG_IOMMUFD, CONFIG_VFIO_DEVICE_CDEV). Kernels for cloud VMs and containers often lack "
        "one of them. `vfio: type1` and `vfio: iommufd` in a spec want that one.",
        "devices: {gpu: 0000:c1:00.0}        # on Debian's cloud kernel, which has no CONFIG_AMD_IOMMU",
        "Install the full kernel: `apt install linux-image-amd64` on Debian, linux-modules-extra on Ubuntu.",
    ),
    Explanation(
        "E223",
        "a VM, or dom0 of Xen, without an IOMMU",
        "This host is itself a VM. A VM can only pass on a device if it was given an IOMMU, too. So is dom0, the Linux "
        "that Xen (XCP-ng, Qubes) starts first: the devices are there, the IOMMU and the CPUs' virtualization are "
        "Xen's.",
        "devices: {nic: 0000:00:04.0}        # in a cloud VM",
        "Give the VM a virtual IOMMU where it is started. QEMU has the devices intel-iommu, amd-iommu and "
        "virtio-iommu. For the first it is `-machine q35,kernel-irqchip=split "
        "-device intel-iommu,intremap=on,caching-mode=on,device-iotlb=on,aw-bits=48`: devices need `caching-mode=on`, "
        "and more than 512 GiB of addresses `aw-bits=48`. Boot its kernel with `intel_iommu=on iommu=pt`. On Xen: boot "
        "Linux without it, or pass the device with Xen's own tools.",
    ),
    Explanation(
        "E224",
        "VFIO is not loaded",
        "The modules are there and not loaded. The plan of a process that may load modules does it as its first step; "
        "this one has no CAP_SYS_MODULE.",
        "vmlaunch plan vm.yaml        # as a user, before anybody loaded vfio-pci",
        "`modprobe -a vfio_pci vfio_iommu_type1` as root; a file in /etc/modules-load.d does it at every boot.",
    ),
    Explanation(
        "E225",
        "interrupts are not remapped",
        "A device raises interrupts by writing to memory. Without interrupt remapping a guest could have its device "
        "raise any interrupt of the host, and so VFIO_SET_IOMMU, or VFIO_DEVICE_BIND_IOMMUFD, is refused (EPERM). "
        "/proc/interrupts shows it: the "
        "names of the chips start with IR- when remapping is on.",
        "devices: {gpu: 0000:c1:00.0}        # on a host booted with intremap=off",
        "Switch it on: in the firmware (interrupt remapping, x2APIC), or by booting without `intremap=off`. If you "
        "trust the guest as you trust the host, set the parameter allow_unsafe_interrupts of vfio_iommu_type1, or of "
        "iommufd where that is used, and write `allow: [unsafe-interrupts]`.",
    ),
    Explanation(
        "E226",
        "unsafe interrupts",
        "The administrator has set the parameter allow_unsafe_interrupts of vfio_iommu_type1 or, where devices are "
        "passed by it, of iommufd. The kernel would give "
        "the device away, and the guest could have it raise any interrupt of the host.",
        "devices: {gpu: 0000:c1:00.0}        # with interrupt remapping off and allow_unsafe_interrupts=Y",
        "Switch on interrupt remapping; or accept it: `gpu: {pci: 0000:c1:00.0, allow: [unsafe-interrupts]}`.",
    ),
    Explanation(
        "E227",
        "no domain id left",
        "A VT-d unit tells address spaces apart by an id, and has a fixed number of them. Each VM takes one of each "
        "unit its devices are behind.",
        "devices: {nic: {pci: 0000:3b:00.0, vf: 63}}        # on a host that runs hundreds of VMs",
        "Stop VMs with devices behind this unit, or take a device behind another one.",
    ),
    Explanation(
        "E228",
        "the device nodes or drivers are not ours to use",
        "Only root may take a device from its driver. Who is not root can use devices that are bound to vfio-pci "
        "already, if it may open their group's node /dev/vfio/N and /dev/vfio/vfio; or, by iommufd, their own nodes "
        "/dev/vfio/devices/vfioN and /dev/iommu.",
        "vmlaunch plan vm.yaml        # as a user outside root's groups",
        "Run it as root; or have root bind the device and give the node to the user. The udev rule "
        '`SUBSYSTEM=="vfio", GROUP="kvm", MODE="0660"` does the latter for good, with "vfio-dev" in place of "vfio" '
        "for own nodes. In a container the node has to be passed on: `--device /dev/vfio/N`.",
    ),
    Explanation(
        "E229",
        "the group is in use",
        "A group can be opened once, and another process has it open: another VM, or a program of DPDK or SPDK.",
        "devices: {gpu: 0000:e1:00.0}        # while another VM has it",
        "Stop that process; the message names it. `pick: free` takes a device that nobody has.",
    ),
    Explanation(
        "W220",
        "in a container",
        "A container has a list of the device nodes that may be opened in it, which can only be seen by trying. Nodes "
        "that are made after its start, such as that of a group when its device is bound, are not in its /dev.",
        "docker run --device /dev/kvm ... vmlaunch plan vm.yaml",
        "Bind devices before the container starts, and pass on /dev/vfio/vfio, /dev/vfio/N and /dev/kvm.",
    ),
    Explanation(
        "W221",
        "confined by a security module",
        "SELinux or AppArmor confines the process that would run `up`. It may refuse to open nodes or to write to "
        "sysfs although the modes of the files allow it.",
        "vmlaunch plan vm.yaml        # in a service with an AppArmor profile",
        "If `up` fails with `Permission denied`, look for what was refused: `ausearch -m avc -ts recent`, or "
        "`dmesg | grep apparmor`.",
    ),
    Explanation(
        "W222",
        "the host may go to sleep",
        "A portable computer sleeps when it is closed. The state of a passed device is known to the guest only, which "
        "is not told: afterwards the device is dead, and some hosts hang on the way.",
        "devices: {gpu: 0000:01:00.0}        # on a laptop",
        "`systemd-inhibit --what=sleep vmlaunch up vm.yaml` keeps it awake while the VM runs.",
    ),
)
