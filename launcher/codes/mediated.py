"""Explanations of the codes of mediated devices."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E260",
        "no such mediated device",
        "A mediated device is made by a driver of the host out of one of its own devices, when somebody asks for it, "
        "and is gone after the next boot. vmlaunch takes those that are there and makes none.",
        "devices:\n  gpu: {mdev: 00000000-0000-0000-0000-000000000000}",
        "`ls /sys/bus/mdev/devices` lists them, /sys/class/mdev_bus what they can be made of; mdevctl(8) makes them at "
        "each boot.",
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
        "W269",
        "a mediated device may want to lock more than it may",
        "For a PCI device all of the guest's memory is locked before the guest starts. The driver of a mediated device "
        "locks the pages that it uses when it uses them, as a vGPU does; how many that will be nobody knows. Past the "
        "limit it is refused, and the guest's driver fails.",
        "devices:\n  gpu: {mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}        # as a user whose `ulimit -l` is 8 MiB",
        "Raise the limit to the size of the guest's memory; where a driver locks little, nothing need be done.",
    ),
)
