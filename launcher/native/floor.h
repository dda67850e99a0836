/* The C floor as Python sees it. The compiler reads this by way of native.h and cffi by way of build.py, which takes
 * declarations and nothing else; what is said of the kernel's headers to cffi alone stands in cdef.h. */

/* -- rings: bytes from one process to another through shared memory -------------------------------------------- */

struct ring;

int ring_create(struct ring *ring, void *memory, size_t length);
size_t ring_read(struct ring *ring, uint64_t *position, uint8_t *buffer, size_t length, uint64_t *lost);
size_t ring_write(struct ring *ring, int event, const uint8_t *bytes, size_t length);
bool ring_wait(struct ring *ring, uint64_t position);
bool ring_stuck(struct ring *ring);
uint64_t ring_head(struct ring *ring);
bool ring_broken(struct ring *ring);

/* -- MSI-X tables -------------------------------------------------------------------------------------------------- */

enum { MSIX_ENTRY = 16, MSIX_MOST_VECTORS = 2048 };

struct msix;

int msix_create(struct msix *msix, uint8_t *bytes, uint32_t vectors);
uint64_t msix_read(struct msix *msix, uint32_t offset, uint32_t size);
bool msix_write(struct msix *msix, uint32_t offset, uint32_t size, uint64_t value, bool all);

/* -- registers of virtio functions -------------------------------------------------------------------------------- */

/* What is where in the BAR, a page for each. */
enum { VIRTIO_COMMON, VIRTIO_ISR = 0x1000, VIRTIO_CONFIG = 0x2000, VIRTIO_NOTIFY = 0x3000 };
enum { VIRTIO_NOTIFY_STEP = 4, VIRTIO_MOST_QUEUES = 255 };

/* What follows from a write, and an engine has to be told of. */
enum { VIRTIO_STARTS = 1, VIRTIO_STOPS, VIRTIO_REWIRED, VIRTIO_NOTIFIED };

/* `started`: there was a DRIVER_OK and no reset since. */
struct virtio_state {
	uint64_t features;
	uint16_t config_vector;
	uint8_t status;
	bool started;
};

/* `areas`: where descriptors, the driver's ring and the device's are in the guest. */
struct virtio_queue {
	uint64_t areas[3];
	uint16_t size, vector;
	bool enabled;
};

struct virtio;

int virtio_create(struct virtio *virtio, uint64_t offered, uint32_t queues, const uint8_t *config, uint32_t size);
uint64_t virtio_read(struct virtio *virtio, uint32_t offset, uint32_t size);
int virtio_write(struct virtio *virtio, uint32_t offset, uint32_t size, uint64_t value, bool all);
void virtio_reset(struct virtio *virtio);
void virtio_fail(struct virtio *virtio);
void virtio_state(struct virtio *virtio, struct virtio_state *ret);
int virtio_queue(struct virtio *virtio, uint32_t number, struct virtio_queue *ret);

/* -- fw_cfg: what firmware asks of its machine ----------------------------------------------------------------- */

enum { FW_CFG_ITEMS = 64 };

/* `size` bytes of guest RAM at `guest` are at `host` in this process. */
struct fw_cfg_memory {
	uint64_t guest, size, host;
};

struct fw_cfg;

int fw_cfg_create(struct fw_cfg *fw_cfg, const struct fw_cfg_memory *memory, uint32_t count);
int fw_cfg_put(struct fw_cfg *fw_cfg, uint32_t key, const uint8_t *bytes, uint32_t size, bool asks);
uint64_t fw_cfg_read(struct fw_cfg *fw_cfg, uint32_t offset, uint32_t size);
bool fw_cfg_write(struct fw_cfg *fw_cfg, uint32_t offset, uint32_t size, uint64_t value, bool all);

/* -- the machine: who answers for which addresses --------------------------------------------------------------- */

/* A FILE trap is answered by `fd` from `offset` on: a region of a VFIO device, a ROM. An ASK trap is answered by the
 * caller of vcpu_run, and so is a write to a VIRTIO or MSIX trap from which something follows: its `offset` is the number of
 * the function. So is a write to FW_CFG that selects an item which asks. PULSE is KEYBOARD where nobody answers a read. */
enum trap_kind { TRAP_SERIAL = 1, TRAP_POWER, TRAP_KEYBOARD, TRAP_PCI, TRAP_ECAM, TRAP_FILE, TRAP_ASK,
	TRAP_TIMER, TRAP_PULSE, TRAP_FLASH, TRAP_VIRTIO, TRAP_MSIX, TRAP_FW_CFG };

struct trap {
	uint64_t start, size, offset;
	int32_t fd;
	uint32_t kind;
};

enum { CONFIG_SIZE = 4096 }; /* of a PCI function's configuration space */

struct machine;

struct machine *machine_create(int vm, int serial_gsi, int power_gsi);
void machine_destroy(struct machine *machine);
int machine_set_ports(struct machine *machine, const struct trap *traps, uint32_t count);
int machine_set_memory(struct machine *machine, const struct trap *traps, uint32_t count);
int machine_set_function(struct machine *machine, uint8_t function, const uint8_t *image, const uint8_t *asks_read,
			 const uint8_t *asks_write);
int machine_change_function(struct machine *machine, uint8_t function, uint32_t offset, const uint8_t *bytes, uint32_t size);
void machine_set_virtio(struct machine *machine, uint8_t function, struct virtio *virtio);
void machine_set_msix(struct machine *machine, uint8_t function, struct msix *msix);
void machine_set_fw_cfg(struct machine *machine, struct fw_cfg *fw_cfg);
int machine_set_flash(struct machine *machine, int vm, uint32_t slot, uint64_t guest, void *array, uint64_t size, int file);
void machine_console(struct machine *machine, struct ring *output, int output_event, struct ring *input, int room_event);
void machine_input(struct machine *machine);
bool machine_press_power(struct machine *machine);
uint64_t machine_count(struct machine *machine, uint32_t which);
bool machine_unanswered(struct machine *machine, uint32_t which, uint64_t *ret);

/* -- vCPUs ------------------------------------------------------------------------------------------------------ */

/* Why vcpu_run returned. 0 is never one. */
enum event_kind {
	EVENT_KICKED = 1,
	EVENT_POWER_OFF,
	EVENT_RESET,
	EVENT_SHUTDOWN,   /* triple fault */
	EVENT_INTERNAL,   /* data[0] suberror, data[1..] what KVM adds */
	EVENT_FAIL_ENTRY, /* data[0] hardware reason */
	EVENT_UNKNOWN,    /* data[0] exit reason */
	EVENT_ERROR,      /* data[0] errno of KVM_RUN */
	EVENT_READ,       /* data[0] space, data[1] address, data[2] size: vcpu_reply, then vcpu_run again */
	EVENT_WRITE,      /* and data[3] value: vcpu_run again */
};

/* Address in SPACE_CONFIG: function << 12 | offset. */
enum space { SPACE_PORT = 1, SPACE_MEMORY, SPACE_CONFIG };

struct vcpu;

int vcpu_create(struct machine *machine, int fd, size_t run_size, struct vcpu **ret);
void vcpu_destroy(struct vcpu *vcpu);
int vcpu_run(struct vcpu *vcpu);
void vcpu_kick(struct vcpu *vcpu);
bool vcpu_asleep(struct vcpu *vcpu, uint32_t milliseconds);
bool vcpu_still_asleep(struct vcpu *vcpu);
void vcpu_look_over(struct vcpu *vcpu);
uint64_t vcpu_exits(struct vcpu *vcpu);
uint64_t vcpu_data(struct vcpu *vcpu, uint32_t word);
void vcpu_reply(struct vcpu *vcpu, uint64_t value);

/* -- memory ----------------------------------------------------------------------------------------------------- */

int memory_take(size_t size, size_t page_size, int node, void **ret);
void memory_release(void *memory, size_t size);
int memory_populate(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done);
int memory_take_shared(size_t size, size_t page_size, int node, bool late, int *ret_file, void **ret);
int memory_populate_shared(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done);
int memory_map_file(int fd, uint64_t offset, size_t size, size_t alignment, void **ret);
int memory_rest(struct pollfd *waits, size_t count, int milliseconds);

/* -- the kernel's calls ----------------------------------------------------------------------------------------- */

int kernel_ioctl(int fd, unsigned long request, void *argument);
int kernel_ioctl_value(int fd, unsigned long request, unsigned long argument);
int kernel_prctl(int option, unsigned long value);
int kernel_unshare(int flags);
int kernel_try_name_spaces(int flags);
int kernel_readonly_mount(int folder);
bool host_cpuid(uint32_t leaf, uint32_t *ret);

/* -- least privilege ------------------------------------------------------------------------------------------------ */

/* What an engine may do below a folder or with a file, which `fd` is a descriptor of. */
enum place_kind { PLACE_READ = 1, PLACE_WRITTEN, PLACE_EXECUTED };

struct place {
	int32_t fd;
	uint32_t kind;
};

int take_user(uint32_t own);
int confine_user(uint32_t real, uint32_t effective, bool files);
int confine_capabilities(uint64_t kept, uint64_t bound);
int confine_files(int folder, const int *files, uint32_t count);
int confine_places(const struct place *places, uint32_t count);
int confine_calls(bool virtio);
int confine_disk_engine(void);
int confine_share_engine(bool readonly);
int confine_landlock(void);
int confine_seccomp(void);
int confine_vcpu(bool devices, bool virtio);
int confine_keeper(int only, const int *pidfds, uint32_t count);
int confine_standby(void);
