"""Explanations of what the host does with a device: in use, on which driver, split into virtual functions."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E230",
        "the device holds data that the host uses",
        "A file system on it is mounted, the host swaps to it, or it belongs to LVM, RAID or ZFS. The host would lose "
        "that data under its feet, so vmlaunch never takes such a device, as a companion neither; `allow: [in-use]` "
        "does not lift this. An NVMe namespace counts for each controller that it is attached to, so for a virtual "
        "function only if it is attached there; a path of dm-multipath (E231) only where no other is left.",
        "devices: {disk: 0000:02:00.0}        # nvme0n1p2 is mounted on /data",
        "Unmount it, swap elsewhere, or take it out of its pool; or name another device. Of a virtual function: "
        "`echo 0 > /sys/bus/pci/devices/PF/sriov_drivers_autoprobe` before it is made keeps the host's driver off "
        "it.",
    ),
    Explanation(
        "E231",
        "the host uses the device",
        "A network interface is up or has the default route, a display shows the host's console, a process has the "
        "device open, a disk has one of its paths there (dm-multipath). No data is lost if the device goes, and "
        "whoever works with it notices. A console does not come back on down: it stays dark until the host boots "
        "again.",
        "devices: {nic: 0000:3b:00.0}        # eth0 is up",
        "End the use: the message names the command. Or accept it by its name: `nic: {pci: 0000:3b:00.0, allow: "
        "[in-use=eth0]}`. `allow: [in-use]` accepts every use, also those that are added later; W241 lists them.",
    ),
    Explanation(
        "E232",
        "processes have the device open, and its driver waits for them",
        "NVIDIA's driver lets go of a GPU only when nobody has it open, and a driver of a sound card when all of its "
        "files are closed (snd_card_free). The unbind waits in the kernel until then and cannot be interrupted; "
        "NVIDIA's does not go on when the processes are killed afterwards. `up` gives up after 20 seconds, and the "
        "device belongs to nobody until the wait ends or the host boots again. Nothing lifts this.",
        "devices: {gpu: 0000:c1:00.0}        # nvidia-persistenced has /dev/nvidia0 open",
        "Stop the processes first: `systemctl stop nvidia-persistenced`.",
    ),
    Explanation(
        "E233",
        "a physical function that has virtual functions",
        "While virtual functions are there, vfio-pci does not take the function they belong to (EBUSY).",
        "devices: {nic: 0000:3b:00.0}        # its sriov_numvfs is 4",
        "Remove them, when neither the host nor another VM uses them (the message names who does): `echo 0 > "
        "/sys/bus/pci/devices/0000:3b:00.0/sriov_numvfs`; or take one of them: `nic: {pci: 0000:3b:00.0, vf: 0}`.",
    ),
    Explanation(
        "E234",
        "a physical function together with its own virtual function",
        "Virtual functions live on their physical function: when it leaves its driver, they go or stop working.",
        "devices:\n  card: 0000:3b:00.0\n  nic: {pci: 0000:3b:00.0, vf: 3}",
        "Pass the physical function or its virtual functions.",
    ),
    Explanation(
        "E235",
        "no such virtual function, and none can be created",
        "The device has no SR-IOV, or fewer virtual functions than that, or no driver that could create them: the "
        "physical function has to be on its own driver, not on vfio-pci.",
        "devices:\n  disk: {pci: 0000:02:00.0, vf: 0}        # no SR-IOV",
        "Use a number that exists, or give the physical function to its driver first.",
    ),
    Explanation(
        "E236",
        "the virtual function needs a token",
        "Its physical function is on vfio-pci, so another program decides who may open the virtual ones, by a secret "
        "token that vmlaunch does not have (EACCES).",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 0}        # 0000:3b:00.0 is on vfio-pci",
        "Let the physical function's own driver have it, and create the virtual functions there.",
    ),
    Explanation(
        "E237",
        "vfio-pci does not take this kind of device",
        "The kernel has a denylist of Intel accelerators (QAT, DSA, IAX) whose errata reach beyond the guest.",
        "devices: {qat: 0000:b1:01.0}        # 8086:37c9",
        "Take another device. If you trust every guest, load vfio-pci with `disable_denylist=1`.",
    ),
    Explanation(
        "E238",
        "nobody can set `network` of this device",
        "MAC, VLAN, trust and the check against spoofing of a virtual function are set on its physical function's "
        "network interface (rtnetlink, IFLA_VFINFO_LIST), before the guest has it. The device is no virtual function, "
        "or that interface is not here: its driver has let go, it is in another network namespace, or its driver "
        "leaves these settings to a tool of the card's.",
        "devices:\n  nic: {pci: 0000:3b:00.0, network: {mac: 52:54:00:12:34:56}}        # no `vf`",
        "Name the virtual function: `{pci: 0000:3b:00.0, vf: 3, network: ...}`, and give its physical function to its "
        "driver. A card that is passed whole is set by the guest: leave `network` out.",
    ),
    Explanation(
        "E239",
        "a setting of a virtual function that could not be put back",
        "What a VM changes on the host is put back on down. The driver of the physical function does not say what "
        "the setting is now (-1 in rtnetlink: it does not know trust, or the check against spoofing); or the virtual "
        "function has no MAC, and the driver takes no address of zeros, so that one which is given stays.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3, network: {trust: true}}        # `ip link show eth0` has no trust",
        "Leave that key out, or set it by hand before `up`, for good: the message has the command where there is one.",
    ),
    Explanation(
        "E240",
        "a module of the kernel has the device, and its driver waits for it",
        "nvidia_drm takes every NVIDIA GPU while it sets modes (`modeset`) or has a framebuffer console (`fbdev`): no "
        "process has the GPU open, and it is in use. The unbind of NVIDIA's driver waits in the kernel until that has "
        "ended and cannot be interrupted; newer ones ask nvidia_modeset to let go first, and may get away with it. "
        "Nothing lifts this.",
        "devices: {gpu: 0000:c1:00.0}        # on nvidia, on a host booted with nvidia_drm.modeset=1",
        "Take the consoles off and the modules out, with the command the message shows: `modprobe -r nvidia_drm "
        "nvidia_modeset`. For good: `options nvidia-drm modeset=0` in a file of /etc/modprobe.d.",
    ),
    Explanation(
        "W241",
        "what the host loses",
        "The spec accepts that the device, or its companions, are in use (`allow`), and the plan takes them: routes, "
        "keyboards, disks behind a controller, displays. The bare word `in-use` accepts whatever the host does with "
        "them on the day of the run; `in-use=eth0` accepts that use, and any other one blocks.",
        "devices: {nic: {pci: 0000:3b:00.0, companions: detach, allow: [in-use]}}",
        "Nothing, if that is meant; or name what you accept: `allow: [in-use=eth0]`.",
    ),
    Explanation(
        "W242",
        "a module of the kernel may have the device",
        "A screen is connected to an NVIDIA GPU, and the facts do not say whether nvidia_drm sets modes on it. If it "
        "does, the unbind of NVIDIA's driver waits for it and cannot be interrupted (E240).",
        "devices: {gpu: 0000:c1:00.0}        # a facts file of before, in which a connector of the GPU is connected",
        "Record the facts anew; or take the modules out first: `modprobe -r nvidia_drm nvidia_modeset`.",
    ),
    Explanation(
        "E245",
        "a vGPU that has no type yet",
        "A virtual function of an NVIDIA GPU is on NVIDIA's own driver, which registers it with VFIO when it has been "
        "given a vGPU type (vGPU 17 and newer). vfio-pci is refused there (EINVAL), so vmlaunch does not try. With "
        "older releases vGPUs are mediated devices, which a spec names by `mdev`.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, vf: 0}        # its current_vgpu_type is 0",
        "Write a number out of `/sys/bus/pci/devices/0000:c1:00.4/nvidia/creatable_vgpu_types` to `current_vgpu_type` "
        "beside it; then the plan says `nvidia, stays`.",
    ),
    Explanation(
        "E246",
        "who runs `up` may not set what a virtual function gets",
        "It takes CAP_NET_ADMIN in the network namespace of the physical function's interface. Root has it; a user "
        "whose devices are on vfio-pci already needs no root otherwise.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3, network: {mac: 52:54:00:12:34:56}}        # as uid 1000",
        "Have root set it once: `ip link set eth0 vf 3 mac 52:54:00:12:34:56`. It stays until the virtual functions "
        "are removed, and a plan that finds it as wanted changes nothing.",
    ),
    Explanation(
        "W230",
        "the host loses a part of its board for a while",
        "The ISA bridge, the SMBus controller or AMD's security processor (PSP, driver ccp) are in the device's IOMMU "
        "group and are taken from their drivers with it. Sensors, the watchdog and GPIO pins behind them do not work "
        "meanwhile; without the PSP neither do SEV guests of kvm_amd and the firmware's TPM.",
        "devices:\n  sata: {pci: 0000:00:1f.2, companions: detach}",
        "Take a device of another group, if the host needs them.",
    ),
    Explanation(
        "W231",
        "IOMMU groups may not be what they seem",
        "`pcie_acs_override=` is an option of a patch. It splits groups although the hardware between the devices does "
        "not isolate them, so a guest may reach what another guest or the host has.",
        "devices: {gpu: 0000:c1:00.0}        # on a host booted with pcie_acs_override=downstream",
        "Boot without it; pass whole groups, or put the card into a slot that isolates.",
    ),
    Explanation(
        "W232",
        "driver_override names a driver that is not there",
        "Only the driver of that name may have the device. vmlaunch replaces the override while the VM runs and puts "
        "it back on down; then nothing takes the device. The driver for VFIO is called vfio-pci, with a dash.",
        "devices: {disk: 0000:02:00.0}        # its driver_override is vfio_pci",
        "Clear it: `echo > /sys/bus/pci/devices/0000:02:00.0/driver_override`.",
    ),
    Explanation(
        "W233",
        "a driver_override was left behind",
        "It keeps the host's own driver away, and no driver has the device: something ended without cleaning up. "
        "vmlaunch puts back what was there, so the device has no driver after down either.",
        "devices: {disk: 0000:02:00.0}        # driver_override is vfio-pci, no driver",
        "Clear it: `echo > /sys/bus/pci/devices/0000:02:00.0/driver_override`.",
    ),
    Explanation(
        "W234",
        "others share the device's IOMMU group",
        "Nothing between these devices keeps one from reaching the other (no ACS on a port above them, or a bus of "
        "conventional PCI), so they are one group, which belongs to one VM. The rest lies idle while the VM runs.",
        "devices: {disk: 0000:02:00.0}        # with other slots in its group",
        "Switch on ACS in the firmware, use a slot of the CPU's own, or pass the whole group.",
    ),
    Explanation(
        "W235",
        "vfio-pci.ids= takes more than this VM's devices",
        "It matches by vendor and device, so every device of the kind is taken from the host when it boots.",
        "devices: {gpu: 0000:c1:00.0}        # vfio-pci.ids=10de:2684, and there are two of them",
        "Take the id out of the kernel's command line: `bind: auto` binds one address and needs no ids.",
    ),
    Explanation(
        "W236",
        "a host driver has the virtual function",
        "With sriov_drivers_autoprobe at 1 the host's drivers take every virtual function when it is created: it shows "
        "up as a network card or a disk of the host's, and has to be taken away for each run.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3}",
        "Before the virtual functions are created: `echo 0 > "
        "/sys/bus/pci/devices/0000:3b:00.0/sriov_drivers_autoprobe`.",
    ),
    Explanation(
        "W237",
        "the virtual function's physical function is not up",
        "The guest gets the device, and it has no link and perhaps no MAC address: the physical function decides that, "
        "and it has no driver or its interface is down.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3}        # the interface of 0000:3b:00.0 is down",
        "Bring it up: `ip link set eth0 up`.",
    ),
    Explanation(
        "W243",
        "the virtual function has a random MAC address",
        "Its physical function gives it no address (all zeros in `ip link show`), so the driver that starts it makes "
        "one up: another one each time the guest starts. DHCP gives it another address, and a switch that admits known "
        "addresses only drops what it sends.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3}        # `ip link show eth0`: vf 3 link/ether 00:00:00:00:00:00",
        "Give it one while the VM runs: `network: {mac: 52:54:00:aa:00:03}` beside its address. Or for good, on the "
        "host: `ip link set eth0 vf 3 mac 52:54:00:aa:00:03`.",
    ),
    Explanation(
        "W244",
        "a consent that accepts nothing",
        "`allow` has `in-use=` with a name, and the host uses the device and what comes with it for nothing of that "
        "name: it is misspelt, or an interface has another one by now. What is in use under another name is refused.",
        "devices:\n  nic: {pci: 0000:3b:00.0, allow: [in-use=eth7]}        # which is eth0 here",
        "Correct the name, or take the word out.",
    ),
)
