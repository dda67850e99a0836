/* The machine: which traps it has, the devices behind them, and what Python sets and asks of them. 0 or -errno. */
#include "native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct machine *machine_create(int vm, int serial_gsi, int power_gsi)
{
	struct machine *machine = calloc(1, sizeof *machine);
	if (!machine)
		return NULL;
	serial_create(&machine->serial, vm, serial_gsi);
	power_create(&machine->power, vm, power_gsi);
	flash_create(&machine->flash);
	coalesced_create(&machine->coalesced, vm);
	pthread_mutex_init(&machine->unanswered_lock, NULL);
	pthread_rwlockattr_t writers_first; /* a guest that traps all the time must not keep a BAR from moving */
	pthread_rwlockattr_init(&writers_first);
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&machine->lock, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	vcpu_hear_kicks();
	return machine;
}

void machine_destroy(struct machine *machine)
{
	serial_destroy(&machine->serial);
	power_destroy(&machine->power);
	config_destroy(&machine->config);
	flash_destroy(&machine->flash);
	coalesced_destroy(&machine->coalesced);
	pthread_mutex_destroy(&machine->unanswered_lock);
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

/* Each has CONFIG_SIZE bytes and is copied: what the function reads as; not 0, where the caller of vcpu_run is asked about
 * a read, a write. To be called while no vCPU runs. */
int machine_set_function(struct machine *machine, uint8_t function, const uint8_t *image, const uint8_t *asks_read,
			 const uint8_t *asks_write)
{
	return config_set(&machine->config, function, image, (const uint8_t *const[2]){ asks_read, asks_write });
}

/* They outlive the machine. Before any vCPU runs. */
void machine_set_virtio(struct machine *machine, uint8_t function, struct virtio *virtio)
{
	machine->virtio[function] = virtio;
}

void machine_set_msix(struct machine *machine, uint8_t function, struct msix *msix)
{
	machine->msix[function] = msix;
}

void machine_set_fw_cfg(struct machine *machine, struct fw_cfg *fw_cfg)
{
	machine->fw_cfg = fw_cfg;
}

/* `array` has `size` bytes and outlives the machine; the memslot is there already. A `file` has what is written as well. */
int machine_set_flash(struct machine *machine, int vm, uint32_t slot, uint64_t guest, void *array, uint64_t size, int file)
{
	return flash_set(&machine->flash, vm, slot, guest, array, size, file);
}

/* What a function reads as from now on. vCPUs may run. */
int machine_change_function(struct machine *machine, uint8_t function, uint32_t offset, const uint8_t *bytes, uint32_t size)
{
	pthread_rwlock_wrlock(&machine->lock);
	int error = config_change(&machine->config, function, offset, bytes, size);
	pthread_rwlock_unlock(&machine->lock);
	return error;
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
				       &machine->serial.read, &machine->trapped, &machine->refused, &machine->flash.writes,
				       &machine->flash.lost };
	return which < sizeof counts / sizeof *counts ? atomic_load(counts[which]) : 0;
}

/* False: there are no more. Else *ret is space, address, times. */
bool machine_unanswered(struct machine *machine, uint32_t which, uint64_t *ret)
{
	if (which >= MOST_UNANSWERED)
		return false;
	pthread_mutex_lock(&machine->unanswered_lock);
	struct unanswered one = machine->unanswered[which];
	pthread_mutex_unlock(&machine->unanswered_lock);
	ret[0] = one.space;
	ret[1] = one.address;
	ret[2] = one.times;
	return one.times > 0;
}
