/* Writes to the address port of PCI configuration that KVM holds back, in a ring, until the next exit
 * (Documentation/virt/kvm/api.rst, 4.116): an access to configuration space is one exit instead of two.
 *
 * The reset control register is a byte within that port, and a guest may wait for ever once it has written there. So the
 * ring has room for one write at a time, and only for a while after an access to the data port, while that vCPU runs: it
 * comes out then and looks (vcpu_look_at_writes). KVM reads `first`, which is ours, for nothing but whether there is room:
 * it takes the ring for full when the place behind the next one is the first. Before Linux 6.12 it finds that only where
 * no place is behind the last one, so `last` starts over before it comes to that. */
#include "native.h"

#include <string.h>
#include <unistd.h>

enum { PLACES = (4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio) };

void coalesced_create(struct coalesced *coalesced, int vm)
{
	struct kvm_coalesced_mmio_zone ports = { .addr = CONFIG_ADDRESS, .size = 4, .pio = 1 };
	pthread_mutex_init(&coalesced->lock, NULL);
	int page = ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO); /* the ring's; one for both kinds */
	bool known = page > 0 && ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) > 0; /* Linux 4.20 */
	if (known && !ioctl(vm, KVM_REGISTER_COALESCED_MMIO, &ports))
		coalesced->page = page;
}

void coalesced_destroy(struct coalesced *coalesced)
{
	pthread_mutex_destroy(&coalesced->lock);
}

/* All vCPUs have the same page; it is taken from the first, which goes last. Before any vCPU runs. */
void coalesced_map(struct coalesced *coalesced, struct kvm_run *run, size_t size)
{
	size_t start = (size_t)coalesced->page * 4096;
	if (coalesced->ring || !coalesced->page || size < start + 4096)
		return;
	coalesced->ring = (struct kvm_coalesced_mmio_ring *)((uint8_t *)run + start);
	coalesced_close(coalesced);
}

/* Both words at once: KVM must not see one of them new, the other old. */
static void set_ring(struct coalesced *coalesced, uint64_t first, uint64_t last)
{
	typedef uint64_t __attribute__((may_alias)) words;
	__atomic_store_n((words *)coalesced->ring, last << 32 | first, __ATOMIC_SEQ_CST);
}

static uint32_t last(struct coalesced *coalesced)
{
	return __atomic_load_n(&coalesced->ring->last, __ATOMIC_ACQUIRE);
}

/* The lock is held. */
static int serve(struct machine *machine, const struct kvm_coalesced_mmio *write)
{
	struct access access = { SPACE_PORT, write->phys_addr, write->len, true, 0 };
	memcpy(&access.value, write->data, write->len < sizeof write->data ? write->len : sizeof write->data);
	return access_serve(machine, &access);
}

/* To be called after each exit, before it is served: the writes came before it. */
int coalesced_take(struct machine *machine)
{
	struct coalesced *coalesced = &machine->coalesced;
	if (!coalesced->ring || atomic_load(&coalesced->taken) == last(coalesced))
		return 0;
	int event = 0;
	pthread_mutex_lock(&coalesced->lock);
	for (uint32_t taken; !event && (taken = atomic_load(&coalesced->taken)) != last(coalesced);) {
		event = serve(machine, &coalesced->ring->coalesced_mmio[taken % PLACES]);
		atomic_store(&coalesced->taken, (taken + 1) % PLACES);
	}
	pthread_mutex_unlock(&coalesced->lock);
	return event;
}

/* The lock is held. What waits at the end of the ring has to be taken first. */
static void give_room(struct coalesced *coalesced, uint32_t writes)
{
	uint32_t next = last(coalesced), first = next + 1 + writes;
	if (first < PLACES) {
		__atomic_store_n(&coalesced->ring->first, first, __ATOMIC_SEQ_CST);
	} else if (next == atomic_load(&coalesced->taken)) {
		atomic_store(&coalesced->taken, 0);
		set_ring(coalesced, 1 + writes, 0);
	}
}

/* The next write will be held back. */
void coalesced_open(struct coalesced *coalesced)
{
	pthread_mutex_lock(&coalesced->lock);
	give_room(coalesced, 1);
	pthread_mutex_unlock(&coalesced->lock);
}

/* Whether it was closed already, with nothing in it. Else KVM may just be about to hold back a write. */
bool coalesced_close(struct coalesced *coalesced)
{
	pthread_mutex_lock(&coalesced->lock);
	uint32_t next = last(coalesced), taken = atomic_load(&coalesced->taken);
	bool closed = coalesced->ring->first == next + 1 && next == taken && next + 1 < PLACES;
	give_room(coalesced, 0);
	pthread_mutex_unlock(&coalesced->lock);
	return closed;
}
