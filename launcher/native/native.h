/* The C floor: what happens per guest access. It never prints, exits or allocates in the run loop. */
#ifndef LAUNCHER_NATIVE_H
#define LAUNCHER_NATIVE_H

#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <linux/vhost.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>

#include "floor.h"
#include "iommufd.h"

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

uint32_t timer_read(uint32_t size);

/* -- flash: what firmware keeps its variables in ---------------------------------------------------------------- */

struct flash {
	pthread_mutex_t lock;
	int vm, file; /* -1: what is written is lost with the memory */
	uint32_t slot;
	uint64_t guest, size;
	uint8_t *array;
	bool hidden, dirty; /* there is no memslot now; the file has what may not be on the disk */
	uint8_t reads, status;
	enum { FLASH_COMMAND, FLASH_PROGRAM, FLASH_ERASE, FLASH_COUNT, FLASH_FILL, FLASH_CONFIRM } step;
	uint32_t count, filled; /* of a buffer: bytes that were said to come, bytes that have come */
	uint64_t start;
	uint8_t buffer[256];
	_Atomic uint64_t writes, lost; /* programs and erases; those that the file did not take */
};

void flash_create(struct flash *flash);
void flash_destroy(struct flash *flash);
int flash_set(struct flash *flash, int vm, uint32_t slot, uint64_t guest, uint8_t *array, uint64_t size, int file);
uint64_t flash_read(struct flash *flash, uint64_t offset, uint32_t size);
void flash_write(struct flash *flash, uint64_t offset, uint32_t size, uint64_t value);

/* -- fw_cfg: what firmware asks of its machine ---------------------------------------------------------------- */

struct fw_cfg_item {
	const uint8_t *bytes;
	uint32_t size;
	bool asks;
};

struct fw_cfg {
	pthread_mutex_t lock;
	const struct fw_cfg_memory *memory;
	uint32_t count; /* of its pieces */
	struct fw_cfg_item items[FW_CFG_ITEMS];
	uint16_t key; /* that is selected */
	uint32_t at;  /* in the item: where the next read begins */
	uint32_t high; /* half of the address of a request */
};

/* -- MSI-X tables -------------------------------------------------------------------------------------------------- */

struct msix {
	pthread_mutex_t lock; /* over the bytes */
	uint32_t size;
	uint8_t *bytes;
};

/* -- registers of virtio functions -------------------------------------------------------------------------------- */

struct virtio {
	pthread_mutex_t lock; /* over all that the guest changes */
	uint64_t offered;
	uint8_t config[256]; /* its own configuration, which never changes, and zeroes */
	uint32_t count;      /* of queues */
	uint32_t offered_half, wanted_half;
	uint16_t selected;
	uint8_t isr;
	struct virtio_state state;
	struct virtio_queue queues[VIRTIO_MOST_QUEUES];
};

/* -- PCI configuration space ------------------------------------------------------------------------------------ */

enum { FUNCTIONS = 256 };

/* What a function reads as, byte by byte, and which bytes the caller of vcpu_run is asked about instead: at a read because
 * a device has them, at a write because something follows from it. A write that nobody is asked about does nothing. */
struct config_space {
	uint8_t image[CONFIG_SIZE];
	bool asks[2][CONFIG_SIZE]; /* to read, to write */
};

/* Bus 0: those functions that are there. */
struct config {
	_Atomic uint32_t address; /* as last written to 0xcf8 */
	struct config_space *functions[FUNCTIONS];
};

int config_set(struct config *config, uint8_t function, const uint8_t *image, const uint8_t *const asks[2]);
void config_destroy(struct config *config);
int config_change(struct config *config, uint8_t function, uint32_t offset, const uint8_t *bytes, uint32_t size);
bool config_asks(struct config *config, uint8_t function, uint32_t offset, uint32_t size, bool write);
uint64_t config_read(struct config *config, uint8_t function, uint32_t offset, uint32_t size);
uint32_t config_read_address(struct config *config, uint64_t offset, uint32_t size);
bool config_data_port(struct config *config, uint64_t offset, uint32_t *ret);
void config_write_address(struct config *config, uint64_t offset, uint32_t size, uint32_t value);

/* -- writes that KVM holds back ------------------------------------------------------------------------------------ */

struct coalesced {
	pthread_mutex_t lock;
	int page;                              /* of a vCPU's mapping, where KVM has its ring; 0: it holds nothing back */
	struct kvm_coalesced_mmio_ring *ring;  /* NULL: there is no vCPU yet, or there will be no ring */
	_Atomic uint32_t taken;                /* where in the ring the next write will be */
};

struct machine;

void coalesced_create(struct coalesced *coalesced, int vm);
void coalesced_destroy(struct coalesced *coalesced);
void coalesced_map(struct coalesced *coalesced, struct kvm_run *run, size_t size);
int coalesced_take(struct machine *machine); /* 0 or an event */
void coalesced_open(struct coalesced *coalesced);
bool coalesced_close(struct coalesced *coalesced);

/* -- reset by ports: 0 or an event from a write ----------------------------------------------------------------- */

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc }; /* four ports each */
enum { RESET_CONTROL = 0xcf9 };                        /* a byte within the former */

uint8_t keyboard_read(void);
int keyboard_write(uint8_t command);
int reset_control_write(uint8_t value);

/* -- the machine: who answers for which addresses --------------------------------------------------------------- */

enum { MOST_TRAPS = 1 << 16, MOST_UNANSWERED = 32 };

struct trap_table {
	uint32_t count;
	struct trap *traps;
};

/* A place that the guest looked for something at, and how often. */
struct unanswered {
	uint32_t space;
	uint64_t address, times;
};

struct machine {
	pthread_rwlock_t lock; /* over the tables: whoever serves an access reads, whoever replaces a table writes */
	struct trap_table ports, memory;
	struct serial serial;
	struct power power;
	struct config config;
	struct coalesced coalesced;
	struct flash flash;
	struct virtio *virtio[FUNCTIONS];
	struct msix *msix[FUNCTIONS];
	struct fw_cfg *fw_cfg;
	_Atomic uint64_t unclaimed_reads, unclaimed_writes;
	pthread_mutex_t unanswered_lock;
	struct unanswered unanswered[MOST_UNANSWERED]; /* where, the first ones; the first that is free has no times */
	_Atomic uint64_t trapped, refused; /* accesses that FILE traps served; those that the file did not take */
};

/* One access of the guest. `value` is what is written, or will be what is read: all ones until somebody answers. */
struct access {
	uint32_t space;
	uint64_t address;
	uint32_t size;
	bool write;
	uint64_t value;
};

int access_serve(struct machine *machine, struct access *access);

int memory_make_huge_file(size_t size);

/* -- vCPUs ------------------------------------------------------------------------------------------------------ */

enum { EVENT_WORDS = 4 };

struct vcpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct machine *machine;
	pthread_mutex_t lock; /* over thread, inside and look */
	pthread_cond_t looked;
	pthread_t thread;
	bool inside;
	bool has_timer, looks;         /* at the writes that KVM holds back, when the timer says so */
	volatile sig_atomic_t ticked;  /* it has */
	bool holds;                    /* its last access was one to the data port */
	timer_t timer;
	enum { LOOK_NONE, LOOK_ASKED, LOOK_AWAKE, LOOK_ASLEEP } look;
	_Atomic bool kicked;
	_Atomic uint64_t exits;
	uint64_t data[EVENT_WORDS];
	bool unfinished; /* an access was asked about; `item` of a repeated string instruction */
	uint32_t item;
	uint64_t reply;
};

void vcpu_hear_kicks(void);
void vcpu_answer_look(struct vcpu *vcpu);
void vcpu_hold_writes(struct vcpu *vcpu);
void vcpu_look_at_writes(struct vcpu *vcpu);
int vcpu_run_until_event(struct vcpu *vcpu);

#endif
