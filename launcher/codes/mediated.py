"""Explanations of the codes of mediated devices."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E260",
        "no such mediated device",
        "A mediated device is made by a driver of the host out of one of its own devices, when somebody asks for it, "
        "and is gone after the next boot. A UUID names one that is there; a type without a parent means the "
        "first of those that are there and that no VM has, and with `--only` of those that are given.",
        "devices:\n  gpu: {mdev: 00000000-0000-0000-0000-000000000000}",
        "`ls /sys/bus/mdev/devices` lists them, /sys/class/mdev_bus what they can be made of; mdevctl(8) makes them at "
        "each boot, and `mdev: {parent: PARENT, type: TYPE}` at each start of the VM.",
    ),
    Explanation(
        "E261",
        "a mediated device that no PCI guest can have",
        "VFIO has mediated devices of several kinds; a guest here finds PCI functions, which are those whose type says "
        "`vfio-pci` in device_api. Channels and adjunct processors of a mainframe (vfio-ccw, vfio-ap) are others. One "
        "without a driver on the bus mdev is nothing to VFIO.",
        "devices:\n  disk: {mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}        # of vfio_ccw",
        "Name another device, or remove it and have its driver make it again.",
    ),
    Explanation(
        "E262",
        "nothing of this name makes mediated devices",
        "A device whose driver makes mediated ones is in /sys/class/mdev_bus while that driver has it, a PCI device by "
        "its address. Another driver, or another release of the same, may make none: NVIDIA's vGPUs are virtual "
        "functions since release 17.",
        "devices:\n  gpu: {mdev: {parent: 0000:41:00.0, type: nvidia-63}}",
        "`ls /sys/class/mdev_bus` lists them. Load the driver that makes them, or name another parent.",
    ),
    Explanation(
        "E263",
        "no such type of mediated device",
        "Each driver has its own types, by names of its own. What a type is stands in its description.",
        "devices:\n  card: {mdev: {parent: mtty, type: mtty-3}}        # there are mtty-1 and mtty-2",
        "Write one that is listed: `ls /sys/class/mdev_bus/PARENT/mdev_supported_types`, or `vmlaunch devices`.",
    ),
    Explanation(
        "E264",
        "no more mediated devices of this type",
        "What a device can be parted into is limited, and its types share it: when one is made, there may be fewer of "
        "others, or none (available_instances).",
        "devices:\n  one: {mdev: {parent: mtty, type: mtty-2}}\n  two: {mdev: {parent: mtty, type: mtty-2}}",
        "End a VM that has one, remove one that nobody has, or take another type or parent.",
    ),
    Explanation(
        "E265",
        "the UUID of what is to be made is taken",
        "A mediated device of this UUID is there and is none of the type and parent that the spec wants. One that is "
        "would be taken as it is, and left when the VM ends.",
        "devices:\n  card: {mdev: {uuid: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001, parent: mtty, type: mtty-1}}",
        "Remove it, write another UUID, or none: then it is one of the VM's own.",
    ),
    Explanation(
        "E266",
        "a device is taken that mediated devices are made of",
        "A mediated device is a part of its parent, and is there for as long as the driver that has made it has the "
        "parent. To give the parent to a guest it is taken from that driver: what was made of it is gone, after "
        "whoever has it has let go of it, and nothing brings it back.",
        "devices:\n  card: 0000:41:00.0\n  gpu: {mdev: {parent: 0000:41:00.0, type: nvidia-63}}",
        "Give the guest the device or what is made of it. Remove the mediated devices that nobody needs.",
    ),
    Explanation(
        "W269",
        "a mediated device may want to lock more than it may",
        "For a PCI device all of the guest's memory is locked before the guest starts. The driver of a mediated device "
        "locks the pages that it uses when it uses them, as a vGPU does; how many that will be nobody knows. Past the "
        "limit it is refused, and the guest's driver fails.",
        "devices:\n  gpu: {mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}        # as a user whose `ulimit -l` is 8 MiB",
        "Raise the limit to the size of the guest's memory; where a driver locks little, nothing need be done.",
    ),
)
