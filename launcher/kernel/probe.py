"""Ask /dev/kvm what it can do; open it, ask, close it. Nothing else tells the truth about a host."""

from __future__ import annotations

import errno
import os

from launcher.kernel.dev_kvm import Kvm
from launcher.kernel.handed import KVM, handed

EXTENSIONS = (
    "user_memory", "irqchip", "set_tss_addr", "set_identity_map_addr", "pit2", "irqfd", "irqfd_resample",
    "irq_routing", "immediate_exit", "nr_vcpus", "max_vcpus", "nr_memslots", "ext_cpuid", "readonly_mem",
    "tsc_deadline_timer", "device_ctrl",
)  # fmt: skip
WHY = {errno.ENOENT: "absent", errno.EACCES: "denied", errno.EPERM: "denied"}
ADDRESS_SIZES = 0x80000008  # CPUID leaf: EAX[7:0] physical address bits
DEFAULT_PHYSICAL_BITS = 36


class Answers(dict[str, int]):
    """`api_version`, `physical_bits`, and every name of EXTENSIONS."""


def probe() -> Answers | str:
    """What KVM says, or why it cannot be asked: absent, denied, unreadable."""
    given = handed().get(KVM)
    try:
        kvm = Kvm(os.dup(given[0]) if given else os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return WHY.get(error.errno or 0, "unreadable")
    try:
        return _ask(kvm)
    except OSError:  # a device, but not KVM
        return "unreadable"
    finally:
        kvm.close()


def _ask(kvm: Kvm) -> Answers:
    sizes = [leaf[3] & 0xFF for leaf in kvm.supported_cpuid() if leaf[0] == ADDRESS_SIZES]
    answers = Answers({name: kvm.check_extension(name) for name in EXTENSIONS})
    answers["api_version"] = kvm.api_version()
    answers["physical_bits"] = sizes[0] if sizes else DEFAULT_PHYSICAL_BITS
    return answers
