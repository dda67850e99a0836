/* The C floor: what happens per guest access. It never prints, exits or allocates in the run loop. */
#ifndef LAUNCHER_NATIVE_H
#define LAUNCHER_NATIVE_H

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

/* -- rings: bytes from one process to another through shared memory -------------------------------------------- */

/* What both processes can write. One of them is shut in with a guest and may be taken over: no word in here is a bound
 * or an index before it was looked at, and each is read once. `waiting` and `stuck` ask for one wake-up. */
struct ring_memory {
	_Atomic uint64_t head; /* bytes ever written; readers of output keep positions of their own */
	_Atomic uint64_t tail; /* bytes that the one reader of input has taken: its writer must not overrun it */
	_Atomic uint32_t waiting;
	_Atomic uint32_t stuck;
	uint8_t data[];
};

/* A process's own side of it, which the other cannot reach. */
struct ring {
	struct ring_memory *shared;
	uint64_t size;           /* of data, a power of two */
	uint64_t written, taken; /* by us: nobody else moves what says so in shared memory */
	uint64_t seen;           /* the head, when we looked last */
	bool broken;             /* the other side wrote what no ring can hold: from then on there is nothing in it */
};

int ring_create(struct ring *ring, void *memory, size_t length);
size_t ring_read(struct ring *ring, uint64_t *position, uint8_t *buffer, size_t length, uint64_t *lost);
size_t ring_write(struct ring *ring, int event, const uint8_t *bytes, size_t length);
bool ring_wait(struct ring *ring, uint64_t position);
bool ring_stuck(struct ring *ring);
uint64_t ring_head(struct ring *ring);
bool ring_broken(struct ring *ring);

void ring_overwrite(struct ring *ring, int event, uint8_t byte); /* never waits: the oldest byte goes */
bool ring_take(struct ring *ring, int room_event, uint8_t *ret);
bool ring_empty(struct ring *ring);

/* -- the 16550A ------------------------------------------------------------------------------------------------ */

struct serial {
	pthread_mutex_t lock;
	int vm, gsi;
	struct ring *output, *input;
	int output_event, room_event; /* wake the keeper: there is output; there is room for input */
	uint8_t ier, lcr, mcr, scratch, fcr, dll, dlm;
	uint8_t loop[16], loop_start, loop_count;
	bool empty_pending; /* transmitter-empty interrupt not yet acknowledged */
	bool level;         /* of the interrupt line */
	_Atomic uint64_t written, read;
};

void serial_create(struct serial *serial, int vm, int gsi);
void serial_destroy(struct serial *serial);
uint8_t serial_read(struct serial *serial, uint64_t offset);
void serial_write(struct serial *serial, uint64_t offset, uint8_t value);
void serial_input(struct serial *serial);

/* -- power: PM1 registers, power button ---------------------------------------------------------------------------- */

struct power {
	pthread_mutex_t lock;
	int vm, gsi;
	uint16_t status, enable, control;
	bool level;
};

void power_create(struct power *power, int vm, int gsi);
void power_destroy(struct power *power);
uint32_t power_read(struct power *power, uint64_t offset, uint32_t size);
int power_write(struct power *power, uint64_t offset, uint32_t size, uint32_t value); /* 0 or an event */
bool power_press(struct power *power);

/* -- PCI configuration space ------------------------------------------------------------------------------------ */

enum { FUNCTIONS = 256, CONFIG_SIZE = 4096 };

/* Bus 0. A function is an image that the guest can only read, or its caller is asked, or it is not there. */
struct config {
	_Atomic uint32_t address; /* as last written to 0xcf8 */
	uint8_t *images[FUNCTIONS];
	bool asked[FUNCTIONS];
};

int config_set(struct config *config, uint8_t function, const uint8_t *image);
void config_destroy(struct config *config);
uint64_t config_read(struct config *config, uint8_t function, uint32_t offset, uint32_t size);
uint32_t config_address(struct config *config, uint64_t offset, uint32_t size);
bool config_selects(struct config *config, uint64_t offset, uint32_t *ret);
void config_select(struct config *config, uint64_t offset, uint32_t size, uint32_t value);

/* -- the machine: who answers for which addresses --------------------------------------------------------------- */

/* A FILE trap is answered by `fd` from `offset` on: a region of a VFIO device, a ROM. An ASK trap is answered by the
 * caller of vcpu_run. */
enum trap_kind { TRAP_SERIAL = 1, TRAP_POWER, TRAP_KEYBOARD, TRAP_PCI, TRAP_ECAM, TRAP_FILE, TRAP_ASK };

struct trap {
	uint64_t start, size, offset;
	int32_t fd;
	uint32_t kind;
};

enum { MOST_TRAPS = 1 << 16 };

struct trap_table {
	uint32_t count;
	struct trap *traps;
};

struct machine {
	pthread_rwlock_t lock; /* over the tables: whoever serves an access reads, whoever replaces a table writes */
	struct trap_table ports, memory;
	struct serial serial;
	struct power power;
	struct config config;
	_Atomic uint64_t unclaimed_reads, unclaimed_writes;
	_Atomic uint64_t trapped, refused; /* accesses that FILE traps served; those that the file did not take */
};

struct machine *machine_create(int vm, int serial_gsi, int power_gsi);
void machine_destroy(struct machine *machine);
int machine_set_ports(struct machine *machine, const struct trap *traps, uint32_t count);
int machine_set_memory(struct machine *machine, const struct trap *traps, uint32_t count);
int machine_set_function(struct machine *machine, uint8_t function, const uint8_t *image);
void machine_ask_function(struct machine *machine, uint8_t function);
void machine_console(struct machine *machine, struct ring *output, int output_event, struct ring *input, int room_event);
void machine_input(struct machine *machine);
bool machine_press_power(struct machine *machine);
uint64_t machine_count(struct machine *machine, uint32_t which);

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

enum { EVENT_WORDS = 4 };

/* Address in SPACE_CONFIG: function << 12 | offset. */
enum space { SPACE_PORT = 1, SPACE_MEMORY, SPACE_CONFIG };

struct vcpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct machine *machine;
	pthread_mutex_t lock; /* over thread and inside */
	pthread_t thread;
	bool inside;
	_Atomic bool kicked;
	_Atomic uint64_t exits;
	uint64_t data[EVENT_WORDS];
	bool unfinished;  /* an access was asked about; `item` of a repeated string instruction */
	uint32_t item;
	uint64_t reply;
};

int vcpu_create(struct machine *machine, int fd, size_t run_size, struct vcpu **ret);
void vcpu_destroy(struct vcpu *vcpu);
int vcpu_run(struct vcpu *vcpu);
void vcpu_kick(struct vcpu *vcpu);
uint64_t vcpu_exits(struct vcpu *vcpu);
uint64_t vcpu_data(struct vcpu *vcpu, uint32_t word);
void vcpu_reply(struct vcpu *vcpu, uint64_t value);

/* -- memory and the kernel ------------------------------------------------------------------------------------------ */

int memory_take(size_t size, size_t page_size, int node, void **ret);
void memory_release(void *memory, size_t size);
int memory_populate(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done);
int memory_map_file(int fd, uint64_t offset, size_t size, size_t alignment, void **ret);
int kernel_ioctl(int fd, unsigned long request, void *argument);
int kernel_ioctl_value(int fd, unsigned long request, unsigned long argument);

/* -- least privilege ------------------------------------------------------------------------------------------------ */

int kernel_prctl(int option, unsigned long value);
int take_user(uint32_t own);
int confine_user(uint32_t real, uint32_t effective, bool files);
int confine_capabilities(void);
int confine_files(int folder, const int *files, uint32_t count);
int confine_calls(void);
int confine_landlock(void);
int confine_seccomp(void);
int confine_vcpu(bool devices);
int confine_keeper(int only, int pidfd);

#endif
