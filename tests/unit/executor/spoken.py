"""A word of each kind that the runner of passing_plan may say."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.plan.outcome import BarReport, ContainerReport, Counts, DeviceReport, StepOutcome, VirtioReport
from launcher.vms import words


def a_word_of_each_kind() -> dict[str, words.Word]:
    bars = (BarReport(0, 16384, 0xC0000000, "split", "split"),)
    return {
        "outcome": StepOutcome(2, "done", 0.25, 5, 7, "a note"),
        "running": words.Running(),
        "reboot": words.Rebooted(),
        "failed": words.Failed((Diagnostic("E501", "failed", evidence=("a",), help=("b",)),)),
        "end": words.Ended("crash", "vCPU 0: triple fault", {"rip": 0x1234}),
        "counts": words.Counted(Counts(trapped=3), (7,)),
        "device": DeviceReport("drive", "0000:01:00.0", 1, "00:03.0", "MSI-X", 3, bars, "works"),
        "virtio": VirtioReport(
            "sockets", "vsock", "vhost-vsock", "00:01.0", 1 << 32, 3, 4, "its driver runs", starts=1, notified=0
        ),
        "containers": words.Containers((ContainerReport((1, 3), 2, 96 << 20, 7),)),
        "alarm": words.Alarm("drive", "request"),
        "confined": words.Confined({"seccomp": "on"}),
        "power": words.Power(True),
        "bug": words.Bug("Traceback ..."),
    }
