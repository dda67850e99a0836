/* An access of the guest in, its answer out: who has the address, and what that device says. */
#include "native.h"

#include <unistd.h>

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

static int serve_keyboard(struct access *access)
{
	if (access->write)
		return keyboard_write(access->value);
	access->value = keyboard_read();
	return 0;
}

static int serve_timer(struct access *access)
{
	if (!access->write)
		access->value = timer_read(access->size);
	return 0;
}

static int serve_flash(struct flash *flash, uint64_t offset, struct access *access)
{
	if (access->write)
		flash_write(flash, offset, access->size, access->value);
	else
		access->value = flash_read(flash, offset, access->size);
	return 0;
}

static int serve_msix(struct machine *machine, const struct trap *trap, struct access *access)
{
	struct msix *msix = trap->offset < FUNCTIONS ? machine->msix[trap->offset] : NULL;
	uint32_t offset = access->address - trap->start;
	if (!msix)
		return 0;
	if (access->write)
		return msix_write(msix, offset, access->size, access->value, false) ? EVENT_WRITE : 0;
	access->value = msix_read(msix, offset, access->size);
	return 0;
}

/* A write from which something follows is not done here: whoever is asked does it, and tells the engine. */
static int serve_virtio(struct machine *machine, const struct trap *trap, struct access *access)
{
	struct virtio *virtio = trap->offset < FUNCTIONS ? machine->virtio[trap->offset] : NULL;
	uint32_t offset = access->address - trap->start;
	if (!virtio)
		return 0;
	if (access->write)
		return virtio_write(virtio, offset, access->size, access->value, false) ? EVENT_WRITE : 0;
	access->value = virtio_read(virtio, offset, access->size);
	return 0;
}

static int serve_fw_cfg(struct fw_cfg *fw_cfg, uint64_t offset, struct access *access)
{
	if (!fw_cfg)
		return 0;
	if (access->write)
		return fw_cfg_write(fw_cfg, offset, access->size, access->value, false) ? EVENT_WRITE : 0;
	access->value = fw_cfg_read(fw_cfg, offset, access->size);
	return 0;
}

/* A device's region answers. A read that it refuses gives all ones and a write is dropped: no guest can stop its
 * machine. */
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
	if (config_asks(&machine->config, function, address % CONFIG_SIZE, access->size, access->write)) {
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
	if (access->write && access->address == RESET_CONTROL && access->size == 1)
		return reset_control_write(access->value);
	if (config_data_port(&machine->config, offset, &selected))
		return serve_config(machine, selected, access);
	if (access->write)
		config_write_address(&machine->config, offset, access->size, access->value);
	else
		access->value = config_read_address(&machine->config, offset, access->size);
	return 0;
}

/* What finds no room among the places is in the sums. */
static void count_unanswered(struct machine *machine, const struct access *access)
{
	(*(access->write ? &machine->unclaimed_writes : &machine->unclaimed_reads))++;
	pthread_mutex_lock(&machine->unanswered_lock);
	for (uint32_t n = 0; n < MOST_UNANSWERED; n++) {
		struct unanswered *one = &machine->unanswered[n];
		if (!one->times)
			*one = (struct unanswered){ access->space, access->address, 0 };
		if (one->space == access->space && one->address == access->address) {
			one->times++;
			break;
		}
	}
	pthread_mutex_unlock(&machine->unanswered_lock);
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
	case TRAP_PULSE:
		return access->write ? keyboard_write(access->value) : 0;
	case TRAP_TIMER:
		return serve_timer(access);
	case TRAP_FLASH:
		return serve_flash(&machine->flash, offset, access);
	case TRAP_PCI:
		return serve_config_ports(machine, offset, access);
	case TRAP_ECAM:
		return serve_config(machine, offset, access);
	case TRAP_VIRTIO:
		return serve_virtio(machine, trap, access);
	case TRAP_MSIX:
		return serve_msix(machine, trap, access);
	case TRAP_FW_CFG:
		return serve_fw_cfg(machine->fw_cfg, offset, access);
	case TRAP_FILE:
		return serve_file(machine, trap, access);
	case TRAP_ASK:
		return access->write ? EVENT_WRITE : EVENT_READ;
	}
	count_unanswered(machine, access);
	return 0;
}

/* 0: `access` has the answer. Else an event; EVENT_READ and EVENT_WRITE: the caller of vcpu_run is to be asked. */
int access_serve(struct machine *machine, struct access *access)
{
	pthread_rwlock_rdlock(&machine->lock);
	const struct trap_table *table = access->space == SPACE_PORT ? &machine->ports : &machine->memory;
	int event = serve_trap(machine, find(table, access->address, access->size), access);
	pthread_rwlock_unlock(&machine->lock);
	return event;
}
