"""What the compiled module offers; a test keeps it equal to dir(lib)."""

from typing import Any

class Lib:
    def kernel_ioctl(self, fd: int, request: int, argument: Any) -> int: ...
    def kernel_ioctl_value(self, fd: int, request: int, argument: int) -> int: ...
    def machine_console(self, machine: Any, output: Any, output_event: int, input: Any, room_event: int) -> None: ...
    def machine_count(self, machine: Any, which: int) -> int: ...
    def machine_create(self, vm: int, serial_gsi: int, power_gsi: int) -> Any: ...
    def machine_destroy(self, machine: Any) -> None: ...
    def machine_input(self, machine: Any) -> None: ...
    def machine_press_power(self, machine: Any) -> bool: ...
    def machine_set_ports(self, machine: Any, traps: Any, count: int) -> int: ...
    def memory_populate(self, memory: Any, size: int, chunk: int, cursor: Any, done: Any) -> int: ...
    def memory_release(self, memory: Any, size: int) -> None: ...
    def memory_take(self, size: int, page_size: int, node: int, ret: Any) -> int: ...
    def ring_format(self, memory: Any, length: int) -> int: ...
    def ring_head(self, ring: Any) -> int: ...
    def ring_read(self, ring: Any, position: Any, buffer: Any, length: int, lost: Any) -> int: ...
    def ring_stuck(self, ring: Any) -> bool: ...
    def ring_wait(self, ring: Any, position: int) -> bool: ...
    def ring_write(self, ring: Any, event: int, bytes: Any, length: int) -> int: ...
    def vcpu_create(self, machine: Any, fd: int, run_size: int, ret: Any) -> int: ...
    def vcpu_data(self, vcpu: Any, word: int) -> int: ...
    def vcpu_destroy(self, vcpu: Any) -> None: ...
    def vcpu_exits(self, vcpu: Any) -> int: ...
    def vcpu_kick(self, vcpu: Any) -> None: ...
    def vcpu_run(self, vcpu: Any) -> int: ...
    EVENT_ERROR: int
    EVENT_FAIL_ENTRY: int
    EVENT_INTERNAL: int
    EVENT_KICKED: int
    EVENT_POWER_OFF: int
    EVENT_RESET: int
    EVENT_SHUTDOWN: int
    EVENT_UNKNOWN: int
    KVM_CAP_DEVICE_CTRL: int
    KVM_CAP_EXT_CPUID: int
    KVM_CAP_IMMEDIATE_EXIT: int
    KVM_CAP_IOEVENTFD: int
    KVM_CAP_IRQCHIP: int
    KVM_CAP_IRQFD: int
    KVM_CAP_IRQFD_RESAMPLE: int
    KVM_CAP_IRQ_ROUTING: int
    KVM_CAP_MAX_VCPUS: int
    KVM_CAP_NR_MEMSLOTS: int
    KVM_CAP_NR_VCPUS: int
    KVM_CAP_PIT2: int
    KVM_CAP_READONLY_MEM: int
    KVM_CAP_SET_IDENTITY_MAP_ADDR: int
    KVM_CAP_SET_TSS_ADDR: int
    KVM_CAP_TSC_DEADLINE_TIMER: int
    KVM_CAP_USER_MEMORY: int
    KVM_CHECK_EXTENSION: int
    KVM_CREATE_IRQCHIP: int
    KVM_CREATE_PIT2: int
    KVM_CREATE_VCPU: int
    KVM_CREATE_VM: int
    KVM_GET_API_VERSION: int
    KVM_GET_LAPIC: int
    KVM_GET_REGS: int
    KVM_GET_SREGS: int
    KVM_GET_SUPPORTED_CPUID: int
    KVM_GET_VCPU_MMAP_SIZE: int
    KVM_PIT_SPEAKER_DUMMY: int
    KVM_SET_CPUID2: int
    KVM_SET_IDENTITY_MAP_ADDR: int
    KVM_SET_LAPIC: int
    KVM_SET_MSRS: int
    KVM_SET_REGS: int
    KVM_SET_SREGS: int
    KVM_SET_TSS_ADDR: int
    KVM_SET_USER_MEMORY_REGION: int
    TRAP_KEYBOARD: int
    TRAP_POWER: int
    TRAP_RESET: int
    TRAP_SERIAL: int

ffi: Any
lib: Lib
