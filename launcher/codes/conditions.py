"""Explanations of the codes of planner/rules/resets.py, quirks.py, interrupts.py, graphics.py and links.py."""

from __future__ import annotations

from launcher.codes.page import Explanation
from launcher.codes.quirks import told

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E250",
        "the device does not answer",
        "Its configuration space reads all ones: it fell off the bus, hangs in a reset, or does not come back from "
        "D3cold. No driver can start it.",
        "devices: {gpu: 0000:c1:00.0}        # lspci calls it `rev ff`",
        "Let the kernel look for it anew: `echo 1 > /sys/bus/pci/devices/0000:c1:00.0/remove; "
        "echo 1 > /sys/bus/pci/rescan`. If it stays dead, switch the host off and on; a reboot may not be enough.",
    ),
    Explanation(
        "W251",
        "the device is without power",
        "In D3cold a device has no power at all. The kernel gives it back when vfio-pci takes the device, and some "
        "devices and boards do not wake up then. D3hot, in which idle devices usually sleep, is no problem.",
        "devices: {gpu: 0000:01:00.0}        # power_state says D3cold",
        "Wake it now and see: `echo on > /sys/bus/pci/devices/0000:01:00.0/power/control`. To keep it from D3cold: "
        "`echo 0 > /sys/bus/pci/devices/0000:01:00.0/d3cold_allowed`.",
    ),
    Explanation(
        "W252",
        "the only reset resets nothing",
        "The method `pm` switches the function to D3hot and back. This one says (No_Soft_Reset in its power management "
        "registers) that it keeps its state when that is done.",
        "devices: {card: 0000:06:00.0}        # reset_method: pm",
        "Try what the guest finds after it was rebooted. `allow: [no-reset]` accepts it.",
    ),
    Explanation(
        "W253",
        "a reset hits devices that are not this VM's",
        "The function has no reset of its own. Its bus could be reset, with everything on it, and the kernel only does "
        "that when everything on it belongs to one VM. That sysfs lists `bus` for the first function of a bus does not "
        "mean that it will be done. E216 explains the words for resets.",
        "devices: {nic: 0000:04:01.0}        # 04:02.0 is on the same bus and stays with the host",
        "Name the others under `devices` too, or take a card that is alone on its bus, or accept with "
        "`allow: [no-reset]` that the guest finds the device as the host left it.",
    ),
    Explanation(
        "W254",
        "the device takes part in legacy VGA",
        "vfio-pci keeps a graphics card among those that share the legacy VGA addresses, for guests whose firmware "
        "wants them. A vmlaunch guest gets none. With several cards in that circle the host's graphics has to switch "
        "between them.",
        "devices: {gpu: 0000:c1:00.0}        # vfio_pci has disable_vga=N, and the host keeps a card of its own",
        "`echo options vfio-pci disable_vga=1 > /etc/modprobe.d/vfio-vga.conf`, then load vfio-pci anew.",
    ),
    Explanation(
        "W255",
        "the ROM is only a copy",
        "For the card with which the host booted, sysfs and VFIO show the copy of the option ROM that the firmware "
        "left at 0xc0000. It has been run, and often changed or cut.",
        "devices: {gpu: 0000:01:00.0}        # the boot VGA",
        "`rom: ./card.rom` gives the guest a whole one from a file, `rom: false` gives it none. A Linux driver needs "
        "none as a rule.",
    ),
    Explanation(
        "E256",
        "the device needs MSI, and the host forbids it",
        "The function has no INTx that works, and MSI and MSI-X are switched off for it: for all by `pci=nomsi`, or by "
        "msi_bus for it or for a bridge above it. The kernel will refuse them to the guest's driver too.",
        "devices: {nic: {pci: 0000:3b:00.0, vf: 0}}        # on a host that was booted with pci=nomsi",
        "Boot without `pci=nomsi`, or `echo 1 > /sys/bus/pci/devices/BRIDGE/msi_bus`.",
    ),
    Explanation(
        "W257",
        "the device has no interrupt",
        "It has neither MSI nor MSI-X, and no INTx that a guest could use: it has no pin, its line leads nowhere, or "
        "vfio-pci hides it because it is known to be broken.",
        "devices: {test: 0000:06:00.0}",
        "Nothing has to be done for a device whose driver polls.",
    ),
    Explanation(
        "W258",
        "the device shares its only interrupt with the host",
        "INTx lines are shared. VFIO shares one if the device can mask its own interrupt (PCI 2.3), which is only seen "
        "by trying, and otherwise wants the line for itself: the guest's driver then gets EBUSY.",
        "devices: {card: 0000:06:00.0}        # INTx only, on the IRQ of a USB controller",
        "Another slot usually means another line. Or take the other device from its driver.",
    ),
    Explanation(
        "W259",
        "more interrupt vectors than the host has",
        "An x86 CPU has about 200 interrupt vectors for devices, and KVM routes 4096 interrupts for one VM, 38 of "
        "them the pins of its own chips. The devices offer more. Vectors are taken when the guest unmasks them; the "
        "one too many is refused with ENOSPC, and the report says how many there are.",
        "devices: {nvme: 0000:02:00.0}        # 2048 vectors, on a host of 8 CPUs",
        "Let the guest's drivers use fewer queues, or pass fewer devices.",
    ),
    Explanation(
        "W260",
        "the limit of open files is lower than the number of interrupt vectors",
        "Each interrupt vector that the guest uses is an eventfd, and so an open file. `up` raises the soft limit to "
        "the hard one by itself, and the hard one is too low for all of them. The VM starts; a driver in the guest "
        "that asks for more vectors than there are files left fails, or runs with fewer queues.",
        "devices: {nvme: 0000:02:00.0}        # 2048 vectors, and `ulimit -Hn` says 1024",
        "`ulimit -n 65536` as root, or LimitNOFILE=65536 in the systemd service.",
    ),
    Explanation(
        "W261",
        "DMA is not coherent",
        "The IOMMU above this graphics card cannot make it look into the CPUs' caches (no snoop control). KVM is told, "
        "and lets the guest flush caches itself, which is slow.",
        "devices: {gpu: 0000:00:02.0}        # its IOMMU lacks snoop control",
        "Nothing has to be done. For a card, a slot below another IOMMU unit may be better.",
    ),
    Explanation(
        "W262",
        "an integrated GPU",
        "Intel's integrated graphics uses memory that the firmware set aside on the host, and tables of the firmware "
        "(OpRegion). The guest has neither, and its drivers look for the device at 00:02.0, where no guest has it.",
        "devices: {gpu: 0000:00:02.0}",
        "Pass a graphics card. If it is only to compute, try it.",
    ),
    Explanation(
        "W263",
        "the device had errors",
        "PCI Express counted fatal or nonfatal errors of this function since the host was started. They usually come "
        "from a bad seat, riser or power supply, and can end a VM at any time.",
        "devices: {gpu: 0000:c1:00.0}        # aer_dev_fatal: TOTAL_ERR_FATAL 17",
        "Check the hardware. The counters are zero again after the host was restarted.",
    ),
    Explanation(
        "W264",
        "the link is not what it could be",
        "Both ends of the PCI Express link can do more lanes or a higher speed than they agreed on. The speed of a "
        "graphics card's link is not looked at: it is low while the card is idle. Nor is a link in a tunnel, as of an "
        "external GPU, which reads x4 at 2.5 GT/s however fast it is; only what is narrower than that is said.",
        "devices: {gpu: 0000:c1:00.0}        # x4 of x16",
        "Check the card's seat and riser, and how the firmware splits the slot's lanes. Outside the case: cable and "
        "the slot there.",
        known=told("W264"),
    ),
    Explanation(
        "W265",
        "a reset that the device is known not to survive",
        "The kernel resets the device when a VM takes it and when it gives it back. Of this model it is known that it "
        "does not work afterwards, although the reset succeeds: the first VM runs, the next one does not. E216 has the "
        "words for resets.",
        "devices: {gpu: 0000:0d:00.0}        # an RX 5700, and reset_method says bus",
        "For AMD's cards in the list of the module vendor-reset: build and load it, `echo device_specific > "
        "/sys/bus/pci/devices/0000:0d:00.0/reset_method` (since Linux 5.15 it is not asked otherwise), and never let "
        "amdgpu have the card first. For drives: a kernel that has a reset of its own for them. Or accept it with "
        "`allow: [no-reset]`, and restart the host between two VMs.",
        known=told("W265"),
    ),
    Explanation(
        "W266",
        "the device has no ROM, and its driver wants one",
        "The video BIOS of graphics in a processor or in a laptop is a part of the host's firmware, which hands it to "
        "the host's driver by ACPI. A guest has neither, and its driver finds no tables of the board.",
        "devices: {gpu: 0000:c5:00.0}        # an AMD APU without a ROM BAR",
        "`rom: ./vbios.rom`, with what an update of the firmware has for this device, or the image in ACPI's VFCT "
        "(/sys/firmware/acpi/tables/VFCT). `rom: false` if the driver needs none.",
        known=told("W266"),
    ),
    Explanation(
        "W267",
        "the facts are old",
        "The host was recorded more than an hour ago, or by a clock that is more than an hour ahead of this one. "
        "Cards, drivers and what is in use may be others since. `up` reads the host anew, and refuses a saved plan "
        "that no longer fits (exit code 10). A file that has no `recorded_at`, as those that come with the "
        "checkout, stands for a kind of host, and does not grow old.",
        "vmlaunch plan vm.yaml --host yesterday.json",
        "Record the host again where it is: `vmlaunch devices --json`. A timer does so every half an hour.",
    ),
    Explanation(
        "W268",
        "the host has booted since it was recorded",
        "The facts are of another life of this host: its boot_id differs. Numbers of IOMMU groups, drivers and what is "
        "in use are made anew at each start, and cards may have been added or moved.",
        "vmlaunch plan vm.yaml --host before-the-reboot.json",
        "Record the host again: `vmlaunch devices --json`.",
    ),
)
