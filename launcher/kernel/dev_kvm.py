"""/dev/kvm itself, which can be asked without importing what runs a VM (Documentation/virt/kvm/api.rst)."""

from __future__ import annotations

from launcher.kernel.call import ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.native import ffi, lib
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.kernel.api import CpuidLeaf
    from launcher.kernel.kvm import Vm

MOST_CPUID_LEAVES = 256
BRAND = (0x80000002, 0x80000003, 0x80000004)


class Kvm(Descriptor):
    """/dev/kvm."""

    def api_version(self) -> int:
        return ioctl(self.fd, "KVM_GET_API_VERSION")

    def check_extension(self, name: str) -> int:
        """`immediate_exit` asks for KVM_CAP_IMMEDIATE_EXIT; 0: not there."""
        return ioctl(self.fd, "KVM_CHECK_EXTENSION", getattr(lib, f"KVM_CAP_{name.upper()}"))

    def supported_cpuid(self) -> list[CpuidLeaf]:
        table = ffi.new("struct kvm_cpuid2 *", {"entries": MOST_CPUID_LEAVES})
        table.nent = MOST_CPUID_LEAVES
        ioctl(self.fd, "KVM_GET_SUPPORTED_CPUID", table)
        leaves = (table.entries[n] for n in range(table.nent))
        return [(e.function, e.index, e.flags, e.eax, e.ebx, e.ecx, e.edx) for e in leaves]

    def brand(self) -> tuple[CpuidLeaf, ...]:
        """The host's brand string as it says it itself: KVM's table has zeroes there. Empty where it has none."""
        words = ffi.new("uint32_t[4]")
        found = [(leaf, 0, 0, *words) for leaf in BRAND if lib.host_cpuid(leaf, words)]
        return tuple(found) if len(found) == len(BRAND) else ()

    def create_vm(self) -> Vm:
        from launcher.kernel.kvm import Vm

        run_size = ioctl(self.fd, "KVM_GET_VCPU_MMAP_SIZE")
        return Vm(ioctl(self.fd, "KVM_CREATE_VM", 0), run_size)
