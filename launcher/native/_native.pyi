"""What the compiled module offers; a test keeps it equal to dir(lib)."""

from typing import Any

class Lib:
    def confine_calls(self, virtio: bool) -> int: ...
    def confine_capabilities(self, kept: int, bound: int) -> int: ...
    def confine_disk_engine(self) -> int: ...
    def confine_share_engine(self, readonly: bool) -> int: ...
    def confine_files(self, folder: int, files: Any, count: int) -> int: ...
    def confine_keeper(self, only: int, pidfds: Any, count: int) -> int: ...
    def confine_landlock(self) -> int: ...
    def confine_places(self, places: Any, count: int) -> int: ...
    def confine_seccomp(self) -> int: ...
    def confine_standby(self) -> int: ...
    def confine_user(self, real: int, effective: int, files: bool) -> int: ...
    def confine_vcpu(self, devices: bool, virtio: bool) -> int: ...
    def fw_cfg_create(self, fw_cfg: Any, memory: Any, count: int) -> int: ...
    def fw_cfg_put(self, fw_cfg: Any, key: int, bytes: Any, size: int, asks: bool) -> int: ...
    def fw_cfg_read(self, fw_cfg: Any, offset: int, size: int) -> int: ...
    def fw_cfg_write(self, fw_cfg: Any, offset: int, size: int, value: int, all: bool) -> bool: ...
    def host_cpuid(self, leaf: int, ret: Any) -> bool: ...
    def kernel_ioctl(self, fd: int, request: int, argument: Any) -> int: ...
    def kernel_ioctl_value(self, fd: int, request: int, argument: int) -> int: ...
    def kernel_prctl(self, option: int, value: int) -> int: ...
    def kernel_readonly_mount(self, folder: int) -> int: ...
    def kernel_try_name_spaces(self, flags: int) -> int: ...
    def kernel_unshare(self, flags: int) -> int: ...
    def machine_change_function(self, machine: Any, function: int, offset: int, bytes: Any, size: int) -> int: ...
    def machine_console(self, machine: Any, output: Any, output_event: int, input: Any, room_event: int) -> None: ...
    def machine_count(self, machine: Any, which: int) -> int: ...
    def machine_create(self, vm: int, serial_gsi: int, power_gsi: int) -> Any: ...
    def machine_unanswered(self, machine: Any, which: int, ret: Any) -> bool: ...
    def machine_destroy(self, machine: Any) -> None: ...
    def machine_input(self, machine: Any) -> None: ...
    def machine_press_power(self, machine: Any) -> bool: ...
    def machine_set_flash(
        self, machine: Any, vm: int, slot: int, guest: int, array: Any, size: int, file: int
    ) -> int: ...
    def machine_set_function(self, machine: Any, function: int, image: Any, asks_read: Any, asks_write: Any) -> int: ...
    def machine_set_fw_cfg(self, machine: Any, fw_cfg: Any) -> None: ...
    def machine_set_memory(self, machine: Any, traps: Any, count: int) -> int: ...
    def machine_set_msix(self, machine: Any, function: int, msix: Any) -> None: ...
    def machine_set_ports(self, machine: Any, traps: Any, count: int) -> int: ...
    def machine_set_virtio(self, machine: Any, function: int, virtio: Any) -> None: ...
    def memory_map_file(self, fd: int, offset: int, size: int, alignment: int, ret: Any) -> int: ...
    def memory_populate(self, memory: Any, size: int, chunk: int, cursor: Any, done: Any) -> int: ...
    def memory_populate_shared(self, memory: Any, size: int, chunk: int, cursor: Any, done: Any) -> int: ...
    def memory_rest(self, waits: Any, count: int, milliseconds: int) -> int: ...
    def memory_release(self, memory: Any, size: int) -> None: ...
    def memory_take(self, size: int, page_size: int, node: int, ret: Any) -> int: ...
    def memory_take_shared(self, size: int, page_size: int, node: int, late: bool, ret_file: Any, ret: Any) -> int: ...
    def msix_create(self, msix: Any, bytes: Any, vectors: int) -> int: ...
    def msix_read(self, msix: Any, offset: int, size: int) -> int: ...
    def msix_write(self, msix: Any, offset: int, size: int, value: int, all: bool) -> bool: ...
    def ring_broken(self, ring: Any) -> bool: ...
    def ring_create(self, ring: Any, memory: Any, length: int) -> int: ...
    def ring_head(self, ring: Any) -> int: ...
    def ring_read(self, ring: Any, position: Any, buffer: Any, length: int, lost: Any) -> int: ...
    def ring_stuck(self, ring: Any) -> bool: ...
    def ring_wait(self, ring: Any, position: int) -> bool: ...
    def ring_write(self, ring: Any, event: int, bytes: Any, length: int) -> int: ...
    def take_user(self, own: int) -> int: ...
    def vcpu_asleep(self, vcpu: Any, milliseconds: int) -> bool: ...
    def vcpu_create(self, machine: Any, fd: int, run_size: int, ret: Any) -> int: ...
    def vcpu_data(self, vcpu: Any, word: int) -> int: ...
    def vcpu_destroy(self, vcpu: Any) -> None: ...
    def vcpu_exits(self, vcpu: Any) -> int: ...
    def vcpu_kick(self, vcpu: Any) -> None: ...
    def vcpu_look_over(self, vcpu: Any) -> None: ...
    def vcpu_reply(self, vcpu: Any, value: int) -> None: ...
    def vcpu_run(self, vcpu: Any) -> int: ...
    def vcpu_still_asleep(self, vcpu: Any) -> bool: ...
    def virtio_create(self, virtio: Any, offered: int, queues: int, config: Any, size: int) -> int: ...
    def virtio_fail(self, virtio: Any) -> None: ...
    def virtio_queue(self, virtio: Any, number: int, ret: Any) -> int: ...
    def virtio_read(self, virtio: Any, offset: int, size: int) -> int: ...
    def virtio_reset(self, virtio: Any) -> None: ...
    def virtio_state(self, virtio: Any, ret: Any) -> None: ...
    def virtio_write(self, virtio: Any, offset: int, size: int, value: int, all: bool) -> int: ...
    CONFIG_SIZE: int
    EVENT_ERROR: int
    EVENT_FAIL_ENTRY: int
    EVENT_INTERNAL: int
    EVENT_KICKED: int
    EVENT_POWER_OFF: int
    EVENT_READ: int
    EVENT_RESET: int
    EVENT_SHUTDOWN: int
    EVENT_UNKNOWN: int
    EVENT_WRITE: int
    FW_CFG_ITEMS: int
    IOMMU_DESTROY: int
    IOMMU_IOAS_ALLOC: int
    IOMMU_IOAS_IOVA_RANGES: int
    IOMMU_IOAS_MAP: int
    IOMMU_IOAS_MAP_FILE: int
    IOMMU_IOAS_MAP_FIXED_IOVA: int
    IOMMU_IOAS_MAP_READABLE: int
    IOMMU_IOAS_MAP_WRITEABLE: int
    IOMMU_IOAS_UNMAP: int
    IOMMU_OPTION: int
    IOMMU_OPTION_OP_SET: int
    IOMMU_OPTION_RLIMIT_MODE: int
    KVM_CAP_DEVICE_CTRL: int
    KVM_CAP_EXT_CPUID: int
    KVM_CAP_IMMEDIATE_EXIT: int
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
    KVM_CREATE_DEVICE: int
    KVM_CREATE_IRQCHIP: int
    KVM_CREATE_PIT2: int
    KVM_CREATE_VCPU: int
    KVM_CREATE_VM: int
    KVM_DEV_TYPE_VFIO: int
    KVM_DEV_VFIO_GROUP: int
    KVM_DEV_VFIO_GROUP_ADD: int
    KVM_DEV_VFIO_GROUP_DEL: int
    KVM_GET_API_VERSION: int
    KVM_GET_LAPIC: int
    KVM_GET_PIT2: int
    KVM_GET_REGS: int
    KVM_GET_SREGS: int
    KVM_GET_SUPPORTED_CPUID: int
    KVM_GET_VCPU_MMAP_SIZE: int
    KVM_IOEVENTFD: int
    KVM_IOEVENTFD_FLAG_DEASSIGN: int
    KVM_IRQCHIP_IOAPIC: int
    KVM_IRQCHIP_PIC_MASTER: int
    KVM_IRQCHIP_PIC_SLAVE: int
    KVM_IRQFD: int
    KVM_IRQFD_FLAG_DEASSIGN: int
    KVM_IRQFD_FLAG_RESAMPLE: int
    KVM_IRQ_ROUTING_IRQCHIP: int
    KVM_IRQ_ROUTING_MSI: int
    KVM_MEM_READONLY: int
    KVM_PIT_SPEAKER_DUMMY: int
    KVM_REINJECT_CONTROL: int
    KVM_SET_CPUID2: int
    KVM_SET_DEVICE_ATTR: int
    KVM_SET_GSI_ROUTING: int
    KVM_SET_IDENTITY_MAP_ADDR: int
    KVM_SET_LAPIC: int
    KVM_SET_MSRS: int
    KVM_SET_REGS: int
    KVM_SET_SREGS: int
    KVM_SET_TSS_ADDR: int
    KVM_SET_USER_MEMORY_REGION: int
    PLACE_EXECUTED: int
    PLACE_READ: int
    PLACE_WRITTEN: int
    PR_SET_DUMPABLE: int
    PR_SET_NO_NEW_PRIVS: int
    PR_SET_PDEATHSIG: int
    SPACE_CONFIG: int
    SPACE_MEMORY: int
    SPACE_PORT: int
    TRAP_ASK: int
    TRAP_ECAM: int
    TRAP_FILE: int
    TRAP_FLASH: int
    TRAP_KEYBOARD: int
    TRAP_PCI: int
    TRAP_POWER: int
    TRAP_PULSE: int
    TRAP_SERIAL: int
    TRAP_TIMER: int
    TUNSETOFFLOAD: int
    TUN_F_CSUM: int
    TUN_F_TSO4: int
    TUN_F_TSO6: int
    TUN_F_TSO_ECN: int
    VFIO_CHECK_EXTENSION: int
    VFIO_DEVICE_ATTACH_IOMMUFD_PT: int
    VFIO_DEVICE_BIND_IOMMUFD: int
    VFIO_DEVICE_DETACH_IOMMUFD_PT: int
    VFIO_DEVICE_FEATURE: int
    VFIO_DEVICE_FEATURE_DMA_BUF: int
    VFIO_DEVICE_FEATURE_GET: int
    VFIO_DEVICE_FEATURE_PROBE: int
    VFIO_DEVICE_FLAGS_RESET: int
    VFIO_DEVICE_GET_INFO: int
    VFIO_DEVICE_GET_IRQ_INFO: int
    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: int
    VFIO_DEVICE_GET_REGION_INFO: int
    VFIO_DEVICE_PCI_HOT_RESET: int
    VFIO_DEVICE_RESET: int
    VFIO_DEVICE_SET_IRQS: int
    VFIO_DMA_CC_IOMMU: int
    VFIO_DMA_MAP_FLAG_READ: int
    VFIO_DMA_MAP_FLAG_WRITE: int
    VFIO_GET_API_VERSION: int
    VFIO_GROUP_FLAGS_CONTAINER_SET: int
    VFIO_GROUP_FLAGS_VIABLE: int
    VFIO_GROUP_GET_DEVICE_FD: int
    VFIO_GROUP_GET_STATUS: int
    VFIO_GROUP_SET_CONTAINER: int
    VFIO_GROUP_UNSET_CONTAINER: int
    VFIO_IOMMU_GET_INFO: int
    VFIO_IOMMU_INFO_CAPS: int
    VFIO_IOMMU_INFO_PGSIZES: int
    VFIO_IOMMU_MAP_DMA: int
    VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE: int
    VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL: int
    VFIO_IOMMU_UNMAP_DMA: int
    VFIO_IRQ_INFO_AUTOMASKED: int
    VFIO_IRQ_INFO_EVENTFD: int
    VFIO_IRQ_INFO_MASKABLE: int
    VFIO_IRQ_INFO_NORESIZE: int
    VFIO_IRQ_SET_ACTION_MASK: int
    VFIO_IRQ_SET_ACTION_TRIGGER: int
    VFIO_IRQ_SET_ACTION_UNMASK: int
    VFIO_IRQ_SET_DATA_EVENTFD: int
    VFIO_IRQ_SET_DATA_NONE: int
    VFIO_PCI_CONFIG_REGION_INDEX: int
    VFIO_PCI_ERR_IRQ_INDEX: int
    VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED: int
    VFIO_PCI_INTX_IRQ_INDEX: int
    VFIO_PCI_MSIX_IRQ_INDEX: int
    VFIO_PCI_MSI_IRQ_INDEX: int
    VFIO_PCI_REQ_IRQ_INDEX: int
    VFIO_PCI_ROM_REGION_INDEX: int
    VFIO_REGION_INFO_CAP_SPARSE_MMAP: int
    VFIO_REGION_INFO_FLAG_CAPS: int
    VFIO_REGION_INFO_FLAG_MMAP: int
    VFIO_REGION_INFO_FLAG_READ: int
    VFIO_REGION_INFO_FLAG_WRITE: int
    VFIO_SET_IOMMU: int
    VFIO_TYPE1_IOMMU: int
    VFIO_TYPE1v2_IOMMU: int
    VHOST_GET_FEATURES: int
    VHOST_NET_SET_BACKEND: int
    VHOST_SET_FEATURES: int
    VHOST_SET_MEM_TABLE: int
    VHOST_SET_OWNER: int
    VHOST_SET_VRING_ADDR: int
    VHOST_SET_VRING_BASE: int
    VHOST_SET_VRING_CALL: int
    VHOST_SET_VRING_KICK: int
    VHOST_SET_VRING_NUM: int
    VHOST_VSOCK_SET_GUEST_CID: int
    VHOST_VSOCK_SET_RUNNING: int
    MSIX_ENTRY: int
    MSIX_MOST_VECTORS: int
    TRAP_FW_CFG: int
    TRAP_MSIX: int
    TRAP_VIRTIO: int
    VIRTIO_COMMON: int
    VIRTIO_CONFIG: int
    VIRTIO_ISR: int
    VIRTIO_MOST_QUEUES: int
    VIRTIO_NOTIFIED: int
    VIRTIO_NOTIFY: int
    VIRTIO_NOTIFY_STEP: int
    VIRTIO_REWIRED: int
    VIRTIO_STARTS: int
    VIRTIO_STOPS: int

ffi: Any
lib: Lib
