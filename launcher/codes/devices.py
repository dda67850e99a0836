"""Explanations of the device codes: choosing, binding and isolating PCI functions, and recorded hosts."""

from __future__ import annotations

from launcher.codes.page import Explanation
from launcher.codes.quirks import told

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E201",
        "no such PCI device",
        "Nothing is at this address. Slots are renumbered when cards are added or the firmware is updated. Or it was "
        "there and has gone: pulled out, fallen off its bus, or removed by hand, while the host was looked at.",
        "devices: {gpu: 0000:ff:00.0}",
        "`vmlaunch devices` lists what there is; `match` finds a device wherever it sits.",
    ),
    Explanation(
        "E202",
        "another device than expected",
        "`expect` names a vendor:device, and the function at the address is a different one.",
        "devices:\n  gpu: {pci: 0000:02:00.0, expect: 10de:2684}",
        "Look for the device's new address, or correct `expect`.",
    ),
    Explanation(
        "E203",
        "the IOMMU group is not usable",
        "The IOMMU can only isolate a whole group. A member that a host driver holds would let the guest reach what "
        "the host does with it, so the kernel refuses the group. No driver, vfio-pci and its variants, pci-stub and "
        "pcieport are fine; so is any driver of a bridge before Linux 5.19.",
        "devices:\n  gpu: 0000:c1:00.0        # its audio function is on snd_hda_intel",
        "`companions: attach` gives the rest of card and group to the guest too; `companions: detach` takes it from "
        "the host and gives it to nobody. A bridge is only taken from its driver.",
    ),
    Explanation(
        "E204",
        "nothing matches",
        "No PCI function of this host has all the properties that `match` asks for.",
        'devices:\n  scratch: {match: {class: nvme, serial: "no such"}}',
        "`vmlaunch devices` shows the properties; take out the key that does not hold.",
    ),
    Explanation(
        "E205",
        "several devices match",
        "`match` never means the first one: which one is first depends on the host's slots.",
        "devices:\n  worker: {match: {id: 10de:2684}}",
        "Add a key that only one has (`id`, `slot`, `serial`, `node`: the message says which do). Where none has, name "
        "one by `pci`. Or write `pick: free`.",
    ),
    Explanation(
        "E206",
        "none that matches is free",
        "`pick: free` takes a function that no host driver holds, that no other alias names and whose IOMMU group no "
        "VM has open. None of those that match is so.",
        "devices:\n  worker: {match: {class: gpu}, pick: free}",
        "Bind one to vfio-pci, or stop the VM that has it.",
    ),
    Explanation(
        "E207",
        "no such virtual function",
        "vmlaunch takes virtual functions that exist and creates none, because creating them resets the network "
        "card's other virtual functions.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 12}",
        "Create them where the host sets up its network: `echo 16 > /sys/bus/pci/devices/0000:3b:00.0/sriov_numvfs`.",
    ),
    Explanation(
        "E208",
        "the device is behind no IOMMU",
        "Other devices of this host have an IOMMU group and this one has none: the firmware's tables leave it out, "
        "or `intel_iommu=igfx_off` is set.",
        "devices: {gpu: 0000:00:02.0}",
        "Take `igfx_off` out, update the firmware, or put the device into another slot.",
    ),
    Explanation(
        "E209",
        "no IOMMU",
        "Without an IOMMU a device could read and write all of the host's memory.",
        "devices: {gpu: 0000:c1:00.0}        # on a host without VT-d or AMD-Vi",
        "Switch on VT-d or AMD-Vi in the firmware. On Intel also boot with `intel_iommu=on iommu=pt`. Then "
        "/sys/class/iommu is not empty.",
    ),
    Explanation(
        "E210",
        "given twice",
        "Two aliases mean the same function: one by its address, the other by a property.",
        "devices:\n  a: 0000:02:00.0\n  b: {match: {serial: S649NX0T412088}}",
        "Take one out, or make `match` narrower.",
    ),
    Explanation(
        "E211",
        "no guest address left",
        "The guest has 16 slots for passed devices, 00:10 to 00:1f, of eight functions each: 128. Each card has a slot "
        "of its own as long as there are any; what comes then becomes further functions of the slots, wherever there "
        "is a function 0. A slot to which `guest` has given other functions only takes no more.",
        "devices: {}        # with 129 virtual functions",
        "Pass fewer devices to one VM.",
    ),
    Explanation(
        "E212",
        "a bridge",
        "A bridge is part of the host's way to the devices behind it and cannot be given away.",
        "devices: {gpu: 0000:00:01.1}",
        "Name the device behind the bridge.",
    ),
    Explanation(
        "E213",
        "guest addresses collide, or a slot has no function 0",
        "Two functions would have one guest address; or a slot has functions and no function 0, and then no guest "
        "looks at the rest. Functions of one host slot that are passed together share a guest slot.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, companions: attach, guest: 00:18.0}\n"
        "  nic: {pci: 0000:3b:00.0, guest: 00:18.1}",
        "Give one of them another `guest` slot, or leave `guest` out.",
    ),
    Explanation(
        "E214",
        "not ready for VFIO, and never to be bound",
        "`bind: never` expects that a driver has registered the device with VFIO already: vfio-pci, or a vendor's own "
        "(mlx5_vfio_pci, NVIDIA's for a vGPU). None has.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, bind: never}",
        "Bind it, or write `bind: auto`: the old driver comes back on down.",
    ),
    Explanation(
        "E215",
        "the firmware keeps memory for the device",
        "A `direct` line in reserved_regions means that the firmware goes on using the device (RMRR on Intel, unity "
        "maps on AMD). The kernel does not let a guest have it.",
        "devices: {raid: 0000:05:00.0}",
        "Switch off what uses it in the firmware: USB legacy support, RAID monitoring, on HPE servers the shared "
        "memory features of the slot: `conrep -l -x conrep_rmrds.xml -f exclude.dat`, where exclude.dat is `<Conrep>"
        '<Section name="RMRDS_Slot1" helptext=".">Endpoints_Excluded</Section></Conrep>`, and boot. A firmware update '
        "or another slot may help. Graphics and USB controllers are let go all the same: since Linux 5.3 their lines "
        "say `direct-relaxable`.",
        known=told("E215"),
    ),
    Explanation(
        "E216",
        "the device cannot be reset",
        "Without a reset the guest finds the device as the host left it, and the host as the guest left it. An "
        "attached companion counts as a device does. Either the kernel knows no way (no reset_method in sysfs), or an "
        "administrator switched all ways off (it is empty). If all functions on its bus are this VM's, the bus is "
        "reset instead, which the plan shows as `hot`. The words of the plan's column `reset`: `flr` (function level "
        "reset) and `af_flr` (the same of conventional PCI, by its Advanced Features) reset this function alone; "
        "`device_specific` is the kernel's own way for this model, `acpi` the firmware's; `pm` switches it to D3hot "
        "and back, which is weak; `bus` resets all of its bus from the bridge above; `hot` is that, asked for by VFIO "
        "for all functions of the bus at once. `+1`: one more function is reset with it.",
        "devices: {card: 0000:06:00.0}        # no reset_method in sysfs",
        "Switched off: `echo default > /sys/bus/pci/devices/0000:06:00.0/reset_method`. Otherwise pass what else is on "
        "its bus too, or accept it: `card: {pci: 0000:06:00.0, allow: [no-reset]}`. `companions: detach` keeps a "
        "companion out of the guest.",
    ),
    Explanation(
        "E247",
        "a device that is not given",
        "`--only` names the functions that the plan may touch: what a scheduler gave this VM. The spec means another "
        "one, or a part of its IOMMU group is not named. Who has one function of a group has all of it, so a group is "
        "given whole: bridges need not be named. A mediated device is given by its UUID, or with the PCI device that "
        "it is part of.",
        "vmlaunch up vm.yaml --only 0000:c1:00.0     # and its sound, 0000:c1:00.1, is in the same group",
        "Give the whole group, or let the spec ask for what is given: `match` with `pick: free` chooses inside it, "
        "and so does `mdev: {type: TYPE}`.",
    ),
    Explanation(
        "E248",
        "what is given is not there",
        "`--only` names an address at which this host has nothing. Slots are renumbered when cards are added, so "
        "whoever gave it may know the host as it was, and its other addresses may mean other devices.",
        "vmlaunch up vm.yaml --only 0000:ff:00.0",
        "Record the host again (`vmlaunch devices --json`) and make the scheduler's list anew.",
    ),
    Explanation(
        "E290",
        "the facts file is not JSON",
        "`--host` takes what `vmlaunch devices --json` writes.",
        "vmlaunch plan vm.yaml --host host.txt",
        "Record the host again: `vmlaunch devices --json > host.json`.",
    ),
    Explanation(
        "E291",
        "a facts file of another version",
        "The file says which format it has, and this vmlaunch does not read that one.",
        "vmlaunch plan vm.yaml --host from-2031.json",
        "Record the host again with this version.",
    ),
    Explanation(
        "E292",
        "a fact does not fit",
        "A field of the facts file is unknown, missing, negative or of the wrong kind. Facts are never guessed.",
        "vmlaunch plan vm.yaml --host edited.json",
        "Record the host again, or correct the field that the message names.",
    ),
    Explanation(
        "E293",
        "the facts file cannot be read",
        "The operating system refused it.",
        "vmlaunch plan vm.yaml --host nowhere.json",
        "Check its path and its permissions.",
    ),
    Explanation(
        "E294",
        "-o and --svg do not mean stdout",
        "`-o` saves the plan and `--svg` its picture to a file, whole or not at all.",
        "vmlaunch plan vm.yaml -o -",
        "`vmlaunch plan vm.yaml --json` prints it.",
    ),
    Explanation(
        "E295",
        "the plan or its picture cannot be saved",
        "The operating system refused to write it.",
        "vmlaunch plan vm.yaml -o /proc/vm.plan",
        "Check the folder of the file and its permissions.",
    ),
    Explanation(
        "E296",
        "--diff makes no plan to save or draw",
        "`plan --diff` shows what differs from the VM of that name that is up, as text or with `--json`. There is "
        "nothing to save or to draw.",
        "vmlaunch plan vm.yaml --diff -o vm.plan",
        "Run `vmlaunch plan` twice: with --diff, and with -o or --svg.",
    ),
    Explanation(
        "E297",
        "options of `devices` that do not fit",
        "`--class` takes a word of `match.class` or hex digits and is for the list, `--raw` is for the facts file, "
        "and a recorded host cannot be read again.",
        "vmlaunch devices --class printers",
        "`vmlaunch devices --help` says what each option is for.",
    ),
    Explanation(
        "E298",
        "the file to save to holds something else",
        "`-o` replaces only a saved plan and `--svg` only an SVG picture. The file that is named is there already and "
        "holds something else, or both options name one file. It was not touched.",
        "vmlaunch plan vm.yaml -o vm.yaml",
        "Name another file, or remove that one first.",
    ),
    Explanation(
        "E299",
        "nothing for cloud-init to show",
        "`plan --format cloud-init` shows the files that cloud-init will find in the guest, as they are on its disk. "
        "This spec has none.",
        "vmlaunch plan vm.yaml --format cloud-init",
        "Add `cloud-init: {user-data: ./user-data}`, or leave `--format` out.",
    ),
    Explanation(
        "W214",
        "the device is on another node than the memory",
        "Everything the device reads and writes crosses the link between the sockets: half the bandwidth, more jitter. "
        "If only the vCPUs are pinned elsewhere, its interrupts and what the guest writes to it do.",
        "memory: [{size: 8GiB, node: 1}]\ndevices: {disk: 0000:02:00.0}        # on node 0",
        "Put the memory and the vCPUs on the device's node, or the card into a slot of theirs.",
    ),
    Explanation(
        "W216",
        "a fact could not be read",
        "This process may not read it, or reading would wake a sleeping device. The plan does not guess, and says that "
        "the VM may be able to run. What is unknown and cannot stop it is not said.",
        "vmlaunch plan vm.yaml        # not as root",
        "Plan as the user who will run it; `vmlaunch devices --deep` wakes devices. `up` settles it before its first "
        "change.",
    ),
)
