/* What Python sees of the C floor. Layouts and numbers come from the kernel's headers. */

int ring_format(void *memory, size_t length);
size_t ring_read(void *ring, uint64_t *position, uint8_t *buffer, size_t length, uint64_t *lost);
size_t ring_write(void *ring, int event, const uint8_t *bytes, size_t length);
bool ring_wait(void *ring, uint64_t position);
bool ring_stuck(void *ring);
uint64_t ring_head(void *ring);

enum trap_kind { TRAP_SERIAL, TRAP_POWER, TRAP_KEYBOARD, TRAP_PCI, TRAP_ECAM, ... };
struct trap { uint64_t start, size; uint32_t kind; };

struct machine *machine_create(int vm, int serial_gsi, int power_gsi);
void machine_destroy(struct machine *machine);
int machine_set_ports(struct machine *machine, const struct trap *traps, uint32_t count);
int machine_set_memory(struct machine *machine, const struct trap *traps, uint32_t count);
int machine_set_function(struct machine *machine, uint8_t function, const uint8_t *image);
void machine_console(struct machine *machine, void *output, int output_event, void *input, int room_event);
void machine_input(struct machine *machine);
bool machine_press_power(struct machine *machine);
uint64_t machine_count(struct machine *machine, uint32_t which);

enum event_kind { EVENT_KICKED, EVENT_POWER_OFF, EVENT_RESET, EVENT_SHUTDOWN, EVENT_INTERNAL, EVENT_FAIL_ENTRY,
	EVENT_UNKNOWN, EVENT_ERROR, ... };
int vcpu_create(struct machine *machine, int fd, size_t run_size, struct vcpu **ret);
void vcpu_destroy(struct vcpu *vcpu);
int vcpu_run(struct vcpu *vcpu);
void vcpu_kick(struct vcpu *vcpu);
uint64_t vcpu_exits(struct vcpu *vcpu);
uint64_t vcpu_data(struct vcpu *vcpu, uint32_t word);

int memory_take(size_t size, size_t page_size, int node, void **ret);
void memory_release(void *memory, size_t size);
int memory_populate(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done);
int kernel_ioctl(int fd, unsigned long request, void *argument);
int kernel_ioctl_value(int fd, unsigned long request, unsigned long argument);

static const long KVM_GET_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_VCPU_MMAP_SIZE, KVM_GET_SUPPORTED_CPUID;
static const long KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR, KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_CREATE_VCPU;
static const long KVM_SET_USER_MEMORY_REGION;
static const long KVM_SET_CPUID2, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_SET_MSRS;
static const long KVM_GET_LAPIC, KVM_SET_LAPIC;
static const int KVM_CAP_USER_MEMORY, KVM_CAP_IRQCHIP, KVM_CAP_SET_TSS_ADDR, KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_PIT2;
static const int KVM_CAP_IRQFD, KVM_CAP_IRQFD_RESAMPLE, KVM_CAP_IOEVENTFD, KVM_CAP_IRQ_ROUTING, KVM_CAP_IMMEDIATE_EXIT;
static const int KVM_CAP_NR_VCPUS, KVM_CAP_MAX_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_EXT_CPUID, KVM_CAP_READONLY_MEM;
static const int KVM_CAP_TSC_DEADLINE_TIMER, KVM_CAP_DEVICE_CTRL;
static const int KVM_PIT_SPEAKER_DUMMY;

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
