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
	struct sigaction action = { .sa_handler = on_kick }; /* no SA_RESTART: KVM_RUN must return */
	sigaction(kick_signal(), &action, NULL);
	return machine;
}

void machine_destroy(struct machine *machine)
{
	serial_destroy(&machine->serial);
	power_destroy(&machine->power);
	config_destroy(&machine->config);
	free(machine);
}

/* The table must be sorted and its traps must not overlap. Only while no vCPU is inside vcpu_run. */
static int set_traps(struct trap_table *table, const struct trap *traps, uint32_t count)
{
	if (count > MOST_TRAPS)
		return -E2BIG;
	for (uint32_t n = 1; n < count; n++)
		if (traps[n].start < traps[n - 1].start + traps[n - 1].size)
			return -EINVAL;
	memcpy(table->traps, traps, count * sizeof *traps);
	table->count = count;
	return 0;
}

int machine_set_ports(struct machine *machine, const struct trap *traps, uint32_t count)
{
	return set_traps(&machine->ports, traps, count);
}

int machine_set_memory(struct machine *machine, const struct trap *traps, uint32_t count)
{
	return set_traps(&machine->memory, traps, count);
}

/* `image` is CONFIG_SIZE bytes and is copied. */
int machine_set_function(struct machine *machine, uint8_t function, const uint8_t *image)
{
	return config_set(&machine->config, function, image);
}

void machine_console(struct machine *machine, void *output, int output_event, void *input, int room_event)
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
				       &machine->serial.read };
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

/* Byte-wide registers: a wider access is split, as the bus would. */
static uint32_t read_serial(struct serial *serial, uint64_t offset, uint32_t size)
{
	uint32_t value = 0;
	for (uint32_t n = 0; n < size; n++)
		value |= (uint32_t)serial_read(serial, offset + n) << 8 * n;
	return value;
}

static uint32_t read_port(struct machine *machine, uint16_t port, uint32_t size)
{
	const struct trap *trap = find(&machine->ports, port, size);
	switch (trap ? trap->kind : 0) {
	case TRAP_SERIAL:
		return read_serial(&machine->serial, port - trap->start, size);
	case TRAP_POWER:
		return power_read(&machine->power, port - trap->start, size);
	case TRAP_KEYBOARD: /* 0: input buffer free. All ones would keep a rebooting guest waiting */
		return 0;
	case TRAP_PCI:
		return config_port_read(&machine->config, port - trap->start, size);
	}
	machine->unclaimed_reads++;
	return UINT32_MAX;
}

static int write_port(struct machine *machine, uint16_t port, uint32_t size, uint32_t value)
{
	const struct trap *trap = find(&machine->ports, port, size);
	switch (trap ? trap->kind : 0) {
	case TRAP_SERIAL:
		for (uint32_t n = 0; n < size; n++)
			serial_write(&machine->serial, port - trap->start + n, value >> 8 * n);
		return 0;
	case TRAP_POWER:
		return power_write(&machine->power, port - trap->start, size, value);
	case TRAP_KEYBOARD: /* 8042 command: pulse the reset line */
		return (value & 0xff) == 0xfe ? EVENT_RESET : 0;
	case TRAP_PCI:
		if (port == RESET_CONTROL && size == 1) /* bit 2: reset the CPU */
			return value & 0x04 ? EVENT_RESET : 0;
		config_port_write(&machine->config, port - trap->start, size, value);
		return 0;
	}
	machine->unclaimed_writes++;
	return 0;
}

/* `rep ins` and `rep outs` are one exit with a count: the port is fixed, the data is an array. */
static int serve_port(struct machine *machine, struct kvm_run *run)
{
	uint32_t size = run->io.size;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	for (uint32_t n = 0; n < run->io.count; n++, data += size) {
		uint32_t value = 0;
		if (run->io.direction == KVM_EXIT_IO_IN) {
			value = read_port(machine, run->io.port, size);
			memcpy(data, &value, size);
			continue;
		}
		memcpy(&value, data, size);
		int event = write_port(machine, run->io.port, size, value);
		if (event)
			return event;
	}
	return 0;
}

static uint64_t read_memory(struct machine *machine, uint64_t address, uint32_t size)
{
	const struct trap *trap = find(&machine->memory, address, size);
	if (trap) { /* ECAM: 4 KiB for each function */
		uint64_t offset = address - trap->start;
		return config_read(&machine->config, offset / CONFIG_SIZE, offset % CONFIG_SIZE, size);
	}
	machine->unclaimed_reads++;
	return UINT64_MAX;
}

static void serve_memory(struct machine *machine, struct kvm_run *run)
{
	uint64_t address = run->mmio.phys_addr;
	if (!run->mmio.is_write) {
		uint64_t value = read_memory(machine, address, run->mmio.len);
		memcpy(run->mmio.data, &value, sizeof value);
	} else if (!find(&machine->memory, address, run->mmio.len)) {
		machine->unclaimed_writes++;
	}
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
		return serve_port(vcpu->machine, vcpu->run);
	case KVM_EXIT_MMIO:
		serve_memory(vcpu->machine, vcpu->run);
		return 0;
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

static int run_until_event(struct vcpu *vcpu)
{
	for (;;) {
		if (atomic_load(&vcpu->kicked))
			return EVENT_KICKED;
		int result = ioctl(vcpu->fd, KVM_RUN, 0);
		atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
		if (result < 0) {
			vcpu->run->immediate_exit = 0;
			if (errno == EINTR || errno == EAGAIN) /* a kick; a vCPU that waits for its start-up IPI */
				continue;
			vcpu->data[0] = errno;
			return EVENT_ERROR;
		}
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
