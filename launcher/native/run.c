/* The KVM_RUN loop: serve what C can serve, return an event for the rest (Documentation/virt/kvm/api.rst, 5). */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static __thread struct kvm_run *current_run;

static void on_kick(int signal)
{
	(void)signal;
	if (current_run)
		current_run->immediate_exit = 1;
}

static int kick_signal(void)
{
	return SIGRTMIN + 1;
}

struct machine *machine_create(int vm, int serial_gsi, int power_gsi)
{
	struct machine *machine = calloc(1, sizeof *machine);
	if (!machine)
		return NULL;
	serial_create(&machine->serial, vm, serial_gsi);
	power_create(&machine->power, vm, power_gsi);
	pthread_rwlockattr_t writers_first; /* a guest that traps all the time must not keep a BAR from moving */
	pthread_rwlockattr_init(&writers_first);
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&machine->lock, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	struct sigaction action = { .sa_handler = on_kick }; /* no SA_RESTART: KVM_RUN must return */
	sigaction(kick_signal(), &action, NULL);
	return machine;
}

void machine_destroy(struct machine *machine)
{
	serial_destroy(&machine->serial);
	power_destroy(&machine->power);
	config_destroy(&machine->config);
	pthread_rwlock_destroy(&machine->lock);
	free(machine->ports.traps);
	free(machine->memory.traps);
	free(machine);
}

/* The table must be sorted and its traps must not overlap. vCPUs may run: they see the old table or the new one, and
 * nobody serves an access from the old one when this returns. */
static int set_traps(struct machine *machine, struct trap_table *table, const struct trap *traps, uint32_t count)
{
	if (count > MOST_TRAPS)
		return -E2BIG;
	for (uint32_t n = 1; n < count; n++)
		if (traps[n].start < traps[n - 1].start || traps[n].start - traps[n - 1].start < traps[n - 1].size)
			return -EINVAL;
	struct trap *copy = malloc((count ? count : 1) * sizeof *traps);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, traps, count * sizeof *traps);
	pthread_rwlock_wrlock(&machine->lock);
	struct trap *old = table->traps;
	table->traps = copy;
	table->count = count;
	pthread_rwlock_unlock(&machine->lock);
	free(old);
	return 0;
}

int machine_set_ports(struct machine *machine, const struct trap *traps, uint32_t count)
{
	return set_traps(machine, &machine->ports, traps, count);
}

int machine_set_memory(struct machine *machine, const struct trap *traps, uint32_t count)
{
	return set_traps(machine, &machine->memory, traps, count);
}

/* `image` is CONFIG_SIZE bytes and is copied. */
int machine_set_function(struct machine *machine, uint8_t function, const uint8_t *image)
{
	return config_set(&machine->config, function, image);
}

/* Its configuration space is answered by the caller of vcpu_run. Only while no vCPU is inside. */
void machine_ask_function(struct machine *machine, uint8_t function)
{
	machine->config.asked[function] = true;
}

void machine_console(struct machine *machine, struct ring *output, int output_event, struct ring *input, int room_event)
{
	struct serial *serial = &machine->serial;
	serial->output = output;
	serial->output_event = output_event;
	serial->input = input;
	serial->room_event = room_event;
}

void machine_input(struct machine *machine)
{
	serial_input(&machine->serial);
}

bool machine_press_power(struct machine *machine)
{
	return power_press(&machine->power);
}

uint64_t machine_count(struct machine *machine, uint32_t which)
{
	_Atomic uint64_t *counts[] = { &machine->unclaimed_reads, &machine->unclaimed_writes, &machine->serial.written,
				       &machine->serial.read, &machine->trapped, &machine->refused };
	return which < sizeof counts / sizeof *counts ? atomic_load(counts[which]) : 0;
}

enum { RESET_CONTROL = 0xcf9 };

/* The trap that holds the whole access, or NULL. */
static const struct trap *find(const struct trap_table *table, uint64_t address, uint32_t size)
{
	const struct trap *traps = table->traps;
	uint32_t low = 0, high = table->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (traps[middle].start + traps[middle].size <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == table->count || address < traps[low].start || address - traps[low].start + size > traps[low].size)
		return NULL;
	return &traps[low];
}

/* One access of the guest. `value` is what is written, or will be what is read: all ones until somebody answers. */
struct access {
	uint32_t space;
	uint64_t address;
	uint32_t size;
	bool write;
	uint64_t value;
};

/* Byte-wide registers: a wider access is split, as the bus would. */
static int serve_serial(struct serial *serial, uint64_t offset, struct access *access)
{
	if (!access->write)
		access->value = 0;
	for (uint32_t n = 0; n < access->size; n++) {
		if (access->write)
			serial_write(serial, offset + n, access->value >> 8 * n);
		else
			access->value |= (uint64_t)serial_read(serial, offset + n) << 8 * n;
	}
	return 0;
}

static int serve_power(struct power *power, uint64_t offset, struct access *access)
{
	if (access->write)
		return power_write(power, offset, access->size, access->value);
	access->value = power_read(power, offset, access->size);
	return 0;
}

/* 8042. Reads are 0, input buffer free: all ones would keep a rebooting guest waiting. Command 0xfe pulses the reset
 * line. */
static int serve_keyboard(struct access *access)
{
	if (access->write)
		return (access->value & 0xff) == 0xfe ? EVENT_RESET : 0;
	access->value = 0;
	return 0;
}

/* The region of a device. What it does not take is all ones, or dropped: a guest cannot stop its machine. */
static int serve_file(struct machine *machine, const struct trap *trap, struct access *access)
{
	uint64_t at = trap->offset + (access->address - trap->start), value = access->value;
	ssize_t done = access->write ? pwrite(trap->fd, &value, access->size, at) : pread(trap->fd, &value, access->size, at);
	atomic_fetch_add_explicit(&machine->trapped, 1, memory_order_relaxed);
	if (done != (ssize_t)access->size)
		atomic_fetch_add_explicit(&machine->refused, 1, memory_order_relaxed);
	else if (!access->write)
		access->value = value;
	return 0;
}

static int serve_config(struct machine *machine, uint32_t address, struct access *access)
{
	uint8_t function = address / CONFIG_SIZE;
	if (machine->config.asked[function]) {
		access->space = SPACE_CONFIG;
		access->address = address;
		return access->write ? EVENT_WRITE : EVENT_READ;
	}
	if (!access->write)
		access->value = config_read(&machine->config, function, address % CONFIG_SIZE, access->size);
	return 0;
}

static int serve_config_ports(struct machine *machine, uint64_t offset, struct access *access)
{
	uint32_t selected;
	if (access->write && access->address == RESET_CONTROL && access->size == 1) /* bit 2: reset the CPU */
		return access->value & 0x04 ? EVENT_RESET : 0;
	if (config_selects(&machine->config, offset, &selected))
		return serve_config(machine, selected, access);
	if (access->write)
		config_select(&machine->config, offset, access->size, access->value);
	else
		access->value = config_address(&machine->config, offset, access->size);
	return 0;
}

static int serve_trap(struct machine *machine, const struct trap *trap, struct access *access)
{
	uint64_t offset = trap ? access->address - trap->start : 0;
	switch (trap ? trap->kind : 0) {
	case TRAP_SERIAL:
		return serve_serial(&machine->serial, offset, access);
	case TRAP_POWER:
		return serve_power(&machine->power, offset, access);
	case TRAP_KEYBOARD:
		return serve_keyboard(access);
	case TRAP_PCI:
		return serve_config_ports(machine, offset, access);
	case TRAP_ECAM:
		return serve_config(machine, offset, access);
	case TRAP_FILE:
		return serve_file(machine, trap, access);
	case TRAP_ASK:
		return access->write ? EVENT_WRITE : EVENT_READ;
	}
	(*(access->write ? &machine->unclaimed_writes : &machine->unclaimed_reads))++;
	return 0;
}

/* Serves the access, or says what to ask. */
static int serve_access(struct vcpu *vcpu, struct access *access)
{
	struct machine *machine = vcpu->machine;
	if (vcpu->unfinished) { /* it was asked about, and this is the answer */
		vcpu->unfinished = false;
		access->value = vcpu->reply;
		return 0;
	}
	pthread_rwlock_rdlock(&machine->lock);
	const struct trap_table *table = access->space == SPACE_PORT ? &machine->ports : &machine->memory;
	int event = serve_trap(machine, find(table, access->address, access->size), access);
	pthread_rwlock_unlock(&machine->lock);
	if (event == EVENT_READ || event == EVENT_WRITE) {
		uint64_t data[EVENT_WORDS] = { access->space, access->address, access->size, access->value };
		memcpy(vcpu->data, data, sizeof data);
		vcpu->reply = UINT64_MAX;
		vcpu->unfinished = true;
	}
	return event;
}

/* `rep ins` and `rep outs` are one exit with a count: the port is fixed, the data is an array. */
static int serve_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t size = run->io.size;
	for (; vcpu->item < run->io.count; vcpu->item++) {
		uint8_t *data = (uint8_t *)run + run->io.data_offset + (uint64_t)vcpu->item * size;
		bool write = run->io.direction == KVM_EXIT_IO_OUT;
		struct access access = { SPACE_PORT, run->io.port, size, write, write ? 0 : UINT64_MAX };
		if (write)
			memcpy(&access.value, data, size);
		int event = serve_access(vcpu, &access);
		if (event)
			return event;
		if (!write)
			memcpy(data, &access.value, size);
	}
	return 0;
}

static int serve_memory(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	bool write = run->mmio.is_write;
	struct access access = { SPACE_MEMORY, run->mmio.phys_addr, run->mmio.len, write, write ? 0 : UINT64_MAX };
	if (write)
		memcpy(&access.value, run->mmio.data, run->mmio.len);
	int event = serve_access(vcpu, &access);
	if (!event && !write)
		memcpy(run->mmio.data, &access.value, sizeof access.value);
	return event;
}

int vcpu_create(struct machine *machine, int fd, size_t run_size, struct vcpu **ret)
{
	struct vcpu *vcpu = calloc(1, sizeof *vcpu);
	if (!vcpu)
		return -ENOMEM;
	vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (vcpu->run == MAP_FAILED) {
		free(vcpu);
		return -errno;
	}
	vcpu->fd = fd;
	vcpu->run_size = run_size;
	vcpu->machine = machine;
	pthread_mutex_init(&vcpu->lock, NULL);
	*ret = vcpu;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	pthread_mutex_destroy(&vcpu->lock);
	munmap(vcpu->run, vcpu->run_size);
	free(vcpu);
}

static int describe(struct vcpu *vcpu, int event)
{
	struct kvm_run *run = vcpu->run;
	memset(vcpu->data, 0, sizeof vcpu->data);
	if (event == EVENT_INTERNAL) {
		vcpu->data[0] = run->internal.suberror;
		for (uint32_t n = 0; n + 1 < EVENT_WORDS && n < run->internal.ndata; n++)
			vcpu->data[n + 1] = run->internal.data[n];
	} else if (event == EVENT_FAIL_ENTRY) {
		vcpu->data[0] = run->fail_entry.hardware_entry_failure_reason;
	} else if (event == EVENT_UNKNOWN) {
		vcpu->data[0] = run->exit_reason;
	}
	return event;
}

static int serve(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		return serve_port(vcpu);
	case KVM_EXIT_MMIO:
		return serve_memory(vcpu);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return 0;
	case KVM_EXIT_SHUTDOWN:
		return EVENT_SHUTDOWN;
	case KVM_EXIT_INTERNAL_ERROR:
		return describe(vcpu, EVENT_INTERNAL);
	case KVM_EXIT_FAIL_ENTRY:
		return describe(vcpu, EVENT_FAIL_ENTRY);
	default:
		return describe(vcpu, EVENT_UNKNOWN);
	}
}

/* EAGAINs of KVM_RUN in a row until the host is meant by it, which has no thread left for KVM's own. */
enum { MOST_AGAIN = 10000 };

static int run_until_event(struct vcpu *vcpu)
{
	for (uint32_t again = 0;;) {
		if (vcpu->unfinished) {
			int event = serve(vcpu);
			if (event)
				return event;
		}
		if (atomic_load(&vcpu->kicked))
			return EVENT_KICKED;
		vcpu->item = 0;
		int result = ioctl(vcpu->fd, KVM_RUN, 0);
		atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
		if (result < 0) {
			vcpu->run->immediate_exit = 0;
			if (errno == EINTR) /* a kick */
				continue;
			if (errno == EAGAIN && ++again < MOST_AGAIN) /* a vCPU that waits for its start-up IPI */
				continue;
			vcpu->data[0] = errno;
			return EVENT_ERROR;
		}
		again = 0;
		int event = serve(vcpu);
		if (event)
			return event;
	}
}

/* Runs on the calling thread until an event; to be called without the interpreter lock. */
int vcpu_run(struct vcpu *vcpu)
{
	current_run = vcpu->run;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->thread = pthread_self();
	vcpu->inside = true;
	pthread_mutex_unlock(&vcpu->lock);

	int event = run_until_event(vcpu);

	pthread_mutex_lock(&vcpu->lock);
	vcpu->inside = false;
	pthread_mutex_unlock(&vcpu->lock);
	current_run = NULL;
	return event;
}

/* Makes vcpu_run return EVENT_KICKED, now and at every later call. From any thread. */
void vcpu_kick(struct vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, true);
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->inside) {
		vcpu->run->immediate_exit = 1;
		pthread_kill(vcpu->thread, kick_signal());
	}
	pthread_mutex_unlock(&vcpu->lock);
}

uint64_t vcpu_exits(struct vcpu *vcpu)
{
	return atomic_load(&vcpu->exits);
}

uint64_t vcpu_data(struct vcpu *vcpu, uint32_t word)
{
	return word < EVENT_WORDS ? vcpu->data[word] : 0;
}

/* What the guest reads, after EVENT_READ; without it, all ones. */
void vcpu_reply(struct vcpu *vcpu, uint64_t value)
{
	vcpu->reply = value;
}
