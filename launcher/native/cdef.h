/* What cffi alone is told, beside floor.h. Layouts and numbers come from the kernel's headers. */

struct ring { ...; };
struct virtio { ...; };
struct msix { ...; };
struct fw_cfg { ...; };

static const int PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_PDEATHSIG;

static const long KVM_GET_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_VCPU_MMAP_SIZE, KVM_GET_SUPPORTED_CPUID;
static const long KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR, KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_CREATE_VCPU;
static const long KVM_SET_USER_MEMORY_REGION;
static const long KVM_SET_CPUID2, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_SET_MSRS;
static const long KVM_GET_LAPIC, KVM_SET_LAPIC;
static const int KVM_CAP_USER_MEMORY, KVM_CAP_IRQCHIP, KVM_CAP_SET_TSS_ADDR, KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_PIT2;
static const int KVM_CAP_IRQFD, KVM_CAP_IRQFD_RESAMPLE, KVM_CAP_IRQ_ROUTING, KVM_CAP_IMMEDIATE_EXIT;
static const int KVM_CAP_NR_VCPUS, KVM_CAP_MAX_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_EXT_CPUID, KVM_CAP_READONLY_MEM;
static const int KVM_CAP_TSC_DEADLINE_TIMER, KVM_CAP_DEVICE_CTRL;
static const int KVM_PIT_SPEAKER_DUMMY, KVM_MEM_READONLY;

struct kvm_userspace_memory_region { uint32_t slot, flags; uint64_t guest_phys_addr, memory_size, userspace_addr; ...; };
struct kvm_pit_config { uint32_t flags; ...; };
struct kvm_cpuid_entry2 { uint32_t function, index, flags, eax, ebx, ecx, edx; ...; };
struct kvm_cpuid2 { uint32_t nent; struct kvm_cpuid_entry2 entries[]; ...; };
struct kvm_regs { uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags; ...; };
struct kvm_segment { uint64_t base; uint32_t limit; uint16_t selector; uint8_t type, present, dpl, db, s, l, g, avl, unusable; ...; };
struct kvm_dtable { uint64_t base; uint16_t limit; ...; };
struct kvm_sregs { struct kvm_segment cs, ds, es, fs, gs, ss, tr, ldt; struct kvm_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base; ...; };
struct kvm_msr_entry { uint32_t index; uint64_t data; ...; };
struct kvm_msrs { uint32_t nmsrs; struct kvm_msr_entry entries[]; ...; };
struct kvm_lapic_state { char regs[1024]; ...; };

static const long KVM_CREATE_DEVICE, KVM_SET_DEVICE_ATTR, KVM_IRQFD, KVM_SET_GSI_ROUTING;
static const int KVM_DEV_TYPE_VFIO, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, KVM_DEV_VFIO_GROUP_DEL;
static const int KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE;
static const int KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI;
static const int KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC;
struct kvm_create_device { uint32_t type, fd, flags; ...; };
struct kvm_device_attr { uint32_t flags, group; uint64_t attr, addr; ...; };
struct kvm_irqfd { uint32_t fd, gsi, flags, resamplefd; ...; };
struct kvm_irq_routing_irqchip { uint32_t irqchip, pin; };
struct kvm_irq_routing_msi { uint32_t address_lo, address_hi, data, pad; };
struct kvm_irq_routing_entry { uint32_t gsi, type, flags, pad;
	union { struct kvm_irq_routing_irqchip irqchip; struct kvm_irq_routing_msi msi; uint64_t pad[4]; } u; };
struct kvm_irq_routing { uint32_t nr, flags; struct kvm_irq_routing_entry entries[]; ...; };

static const long VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU, VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA;
static const long VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_UNSET_CONTAINER, VFIO_GROUP_GET_DEVICE_FD;
static const long VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS;
static const long VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET;
static const long VFIO_DEVICE_RESET, VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT;
static const int VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_DMA_CC_IOMMU;
static const int VFIO_GROUP_FLAGS_VIABLE, VFIO_GROUP_FLAGS_CONTAINER_SET;
static const int VFIO_IOMMU_INFO_PGSIZES, VFIO_IOMMU_INFO_CAPS, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
static const int VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE;
static const int VFIO_DEVICE_FLAGS_RESET;
static const int VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE, VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_CAPS;
static const int VFIO_REGION_INFO_CAP_SPARSE_MMAP;
static const int VFIO_PCI_ROM_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX;
static const int VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX;
static const int VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE, VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_NORESIZE;
static const int VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_ACTION_TRIGGER;
struct vfio_group_status { uint32_t argsz, flags; ...; };
struct vfio_info_cap_header { uint16_t id, version; uint32_t next; ...; };
struct vfio_iommu_type1_info { uint32_t argsz, flags; uint64_t iova_pgsizes; uint32_t cap_offset; ...; };
struct vfio_iova_range { uint64_t start, end; ...; };
struct vfio_iommu_type1_info_cap_iova_range { struct vfio_info_cap_header header; uint32_t nr_iovas; struct vfio_iova_range iova_ranges[]; ...; };
struct vfio_iommu_type1_info_dma_avail { struct vfio_info_cap_header header; uint32_t avail; ...; };
struct vfio_iommu_type1_dma_map { uint32_t argsz, flags; uint64_t vaddr, iova, size; ...; };
struct vfio_iommu_type1_dma_unmap { uint32_t argsz, flags; uint64_t iova, size; ...; };
struct vfio_device_info { uint32_t argsz, flags, num_regions, num_irqs; ...; };
struct vfio_region_info { uint32_t argsz, flags, index, cap_offset; uint64_t size, offset; ...; };
struct vfio_region_sparse_mmap_area { uint64_t offset, size; ...; };
struct vfio_region_info_cap_sparse_mmap { struct vfio_info_cap_header header; uint32_t nr_areas; struct vfio_region_sparse_mmap_area areas[]; ...; };
struct vfio_irq_info { uint32_t argsz, flags, index, count; ...; };
struct vfio_irq_set { uint32_t argsz, flags, index, start, count; uint8_t data[]; ...; };
struct vfio_pci_dependent_device { uint32_t group_id; uint16_t segment; uint8_t bus, devfn; ...; };
struct vfio_pci_hot_reset_info { uint32_t argsz, flags, count; struct vfio_pci_dependent_device devices[]; ...; };
struct vfio_pci_hot_reset { uint32_t argsz, flags, count; int32_t group_fds[]; ...; };

static const long IOMMU_DESTROY, IOMMU_IOAS_ALLOC, IOMMU_IOAS_IOVA_RANGES, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP, IOMMU_OPTION;
static const int IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_WRITEABLE, IOMMU_IOAS_MAP_READABLE;
static const int IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
struct cdev_bind { uint32_t argsz, flags; int32_t iommufd; uint32_t out_devid; ...; };
struct cdev_attach { uint32_t argsz, flags, pt_id; ...; };
struct cdev_detach { uint32_t argsz, flags; ...; };
struct ioas_destroy { uint32_t size, id; ...; };
struct ioas_alloc { uint32_t size, flags, out_ioas_id; ...; };
struct ioas_range { uint64_t start, last; ...; };
struct ioas_ranges { uint32_t size, ioas_id, num_iovas; uint64_t allowed_iovas, out_iova_alignment; ...; };
struct ioas_map { uint32_t size, flags, ioas_id; uint64_t user_va, length, iova; ...; };
struct ioas_unmap { uint32_t size, ioas_id; uint64_t iova, length; ...; };
struct iommufd_option { uint32_t size, option_id; uint16_t op; uint32_t object_id; uint64_t val64; ...; };

static const long KVM_IOEVENTFD;
static const int KVM_IOEVENTFD_FLAG_DEASSIGN;
struct kvm_ioeventfd { uint64_t datamatch, addr; uint32_t len; int32_t fd; uint32_t flags; ...; };

static const long VHOST_SET_OWNER, VHOST_GET_FEATURES, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_NUM;
static const long VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL;
static const long VHOST_NET_SET_BACKEND, VHOST_VSOCK_SET_GUEST_CID, VHOST_VSOCK_SET_RUNNING;
static const long TUNSETOFFLOAD;
static const int TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN;
struct vhost_memory_region { uint64_t guest_phys_addr, memory_size, userspace_addr, flags_padding; ...; };
struct vhost_memory { uint32_t nregions, padding; struct vhost_memory_region regions[]; ...; };
struct vhost_vring_state { uint32_t index, num; ...; };
struct vhost_vring_file { uint32_t index; int32_t fd; ...; };
struct vhost_vring_addr { uint32_t index, flags; uint64_t desc_user_addr, used_user_addr, avail_user_addr, log_guest_addr; ...; };
