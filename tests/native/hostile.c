/* hostile COUNT SEED: the C floor serves COUNT random exits of two vCPUs of a guest that means no good, while the host
 * replaces the tables of traps under them. KVM_RUN is ours (ld --wrap=ioctl); the rest is launcher/native/ as it is. To
 * be built with sanitizers. 0, or a sentence and a failure. */
#include "hostile.h"
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, RUN_SIZE = 4 * PAGE, COALESCED = 3, RING = sizeof(struct ring_memory) + PAGE };
enum { GUESTS = 2, LIFE = 20000, MOST = 64, FILES = 7 };
enum { COM1 = 0x3f8, PM = 0x600, KEYBOARD = 0x64, PCI_CONFIG = 0xcf8, BAR_PORTS = 0xc000 };
#define BARS 0xc0000000ull
static const uint64_t BARS_SIZE = 0x40000, ECAM = 0xfed00000, ECAM_SIZE = 1 << 20;
static const uint64_t REGISTERS = BARS - 0x10000, REGISTERS_SIZE = 0x4000; /* of each of two functions, side by side */
static const uint64_t OFFERED = 1ull << 32 | 0x201;
enum { VIRTIO = 2, FIRST_VIRTIO = 0x20 };
static const uint32_t QUEUES[VIRTIO] = { 3, VIRTIO_MOST_QUEUES };
enum { VECTORS = 5, TABLE_SIZE = VECTORS * MSIX_ENTRY };
static const uint64_t TABLES = BARS - 0x20000; /* of the same functions */
enum { FW_CFG = 0x510, FW_CFG_PORTS = 12, ITEM = 0x20, ITEM_THAT_ASKS = 0x21, BANK = 2 * PAGE };
static const uint64_t RAM[] = { 0x100000, 0x100000 + BANK, 0x10ffff000 }; /* the first two beside each other */
static const uint64_t FLASH = 0xffe00000, FLASH_SIZE = 0x10000; /* larger than its file */
/* Traps that stay: a file that never answers, and one whose accesses come back. Around them there is nothing. */
static const uint64_t DEAF = BARS - 128, STEADY = BARS - 64, STEADY_SIZE = 4;
static const uint8_t ASKED[] = { 0x18, 0x80, 0xff }, THERE[] = { 0x18, 0x80, 0xff, 0, 0xfe };

struct guest {
	uint64_t random;
	_Atomic uint64_t left; /* exits to come */
	struct vcpu *vcpu;
	pthread_t thread;
	bool known[PAGE]; /* of the exit's items, those of which it is known what the guest reads */
	uint64_t answers[PAGE];
};

static __thread struct guest *self;
static int files[FILES];
static struct virtio functions[VIRTIO];
static struct msix tables[VIRTIO];
static pthread_mutex_t engines[VIRTIO] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
static uint8_t *banks[3], *item;
static struct fw_cfg fw_cfg;
static _Atomic uint64_t selected; /* an item that asks */
static bool runs[VIRTIO]; /* of each engine, under its lock */
static _Atomic uint64_t starts, stops;
static pthread_mutex_t kvm = PTHREAD_MUTEX_INITIALIZER; /* over the ring of writes that it holds back */
static _Atomic uint64_t held, not_held;
static uint64_t kept, not_kept; /* writes to the flash, whose file is smaller: in one life there may be few */

static uint64_t below(uint64_t *random, uint64_t limit)
{
	return any(random) % limit;
}

/* -- the guest ---------------------------------------------------------------------------------------------------- */

/* Within a few bytes of a span's start or end, or inside. */
static uint64_t near(uint64_t *random, uint64_t start, uint64_t size)
{
	uint64_t places[] = { start, start + size, start + below(random, size) };
	return places[below(random, 3)] + below(random, 16) - 8;
}

static uint8_t *port_data(struct kvm_run *run)
{
	return (uint8_t *)run + PAGE;
}

/* What was answered is what the guest reads, and all ones where nobody did. */
static void look_at_answers(struct guest *guest)
{
	struct kvm_run *run = guest->vcpu->run;
	bool memory = run->exit_reason == KVM_EXIT_MMIO;
	uint32_t size = memory ? run->mmio.len : run->io.size, count = memory ? 1 : run->io.count;
	if (!memory && run->exit_reason != KVM_EXIT_IO)
		return;
	for (uint32_t n = 0; n < count; n++) {
		uint8_t *data = memory ? run->mmio.data : port_data(run) + n * size;
		CHECK(!guest->known[n] || !memcmp(data, &guest->answers[n], size));
		guest->known[n] = false;
	}
}

static void port_exit(struct guest *guest)
{
	static const uint16_t ports[] = { COM1, COM1 + 3, COM1 + 4, PM,
					  KEYBOARD, PCI_CONFIG, PCI_CONFIG + 4, BAR_PORTS };
	uint64_t *random = &guest->random;
	struct kvm_run *run = guest->vcpu->run;
	run->exit_reason = KVM_EXIT_IO;
	run->io.size = 1 << below(random, 3);
	run->io.count = below(random, 8) ? 1 : 1 + below(random, PAGE / run->io.size);
	run->io.direction = below(random, 2) ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	uint16_t port = ports[below(random, 8)];
	run->io.port = below(random, 2) ? port : below(random, 8) ? near(random, port, 8) : any(random);
	run->io.data_offset = PAGE;
	uint32_t length = run->io.size * run->io.count;
	ASAN_UNPOISON_MEMORY_REGION(port_data(run), 2 * PAGE);
	for (uint32_t n = 0; n < length; n++)
		port_data(run)[n] = any(random);
	if (below(random, 2) && length >= 4) { /* a function for CONFIG_ADDRESS */
		uint32_t address = 0x80000000 | THERE[below(random, sizeof THERE)] << 8 | (any(random) & 0xff);
		memcpy(port_data(run), &address, sizeof address);
	}
	ASAN_POISON_MEMORY_REGION(port_data(run) + length, 2 * PAGE - length);
}

/* As a driver does, and otherwise: the fields that lead to a start, more often than chance finds them. */
static void virtio_exit(struct guest *guest)
{
	static const struct { uint16_t at, size; uint32_t value; } fields[] = {
		{ 0x14, 1, 3 }, { 0x08, 4, 0 }, { 0x08, 4, 1 }, { 0x0c, 4, 1 }, { 0x0c, 4, 1 }, { 0x14, 1, 11 }, { 0x16, 2, 2 },
		{ 0x18, 2, 64 }, { 0x1a, 2, 3 }, { 0x1c, 2, 1 }, { 0x20, 4, 0x10000 }, { 0x14, 1, 15 }, { 0x14, 1, 15 },
		{ 0x14, 1, 0 }, { 0x3004, 2, 1 }, { 0x10, 2, 0 }, { 0x16, 2, VIRTIO_MOST_QUEUES },
	};
	uint64_t *random = &guest->random, one = below(random, sizeof fields / sizeof *fields);
	struct kvm_run *run = guest->vcpu->run;
	bool other = !below(random, 8);
	uint64_t data = other ? any(random) : fields[one].value;
	uint64_t function = REGISTERS + below(random, VIRTIO) * REGISTERS_SIZE;
	uint64_t anywhere = below(random, 2) ? function + below(random, 0x40) : near(random, function, REGISTERS_SIZE);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = other ? anywhere : function + fields[one].at;
	run->mmio.len = other ? 1 + below(random, 8) : fields[one].size;
	run->mmio.is_write = below(random, 4) > 0;
	memcpy(run->mmio.data, &data, sizeof data);
	guest->known[0] = false;
}

static void table_exit(struct guest *guest)
{
	uint64_t *random = &guest->random, data = below(random, 2) ? any(random) : below(random, 2);
	uint64_t table = TABLES + below(random, VIRTIO) * TABLE_SIZE;
	struct kvm_run *run = guest->vcpu->run;
	bool other = !below(random, 4);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = other ? near(random, table, TABLE_SIZE) : table + 4 * below(random, TABLE_SIZE / 4);
	run->mmio.len = other ? 1 + below(random, 8) : 4;
	run->mmio.is_write = below(random, 4) > 0;
	memcpy(run->mmio.data, &data, sizeof data);
	guest->known[0] = false;
}

static void memory_exit(struct guest *guest)
{
	uint64_t *random = &guest->random, function = ECAM + THERE[below(random, sizeof THERE)] * PAGE;
	uint64_t addresses[] = { BARS - 8 + below(random, BARS_SIZE), BARS - 8 + below(random, BARS_SIZE), any(random),
				 near(random, function, PAGE), near(random, ECAM, ECAM_SIZE), -below(random, 40),
				 near(random, STEADY, STEADY_SIZE), near(random, DEAF, 8),
				 near(random, FLASH, FLASH_SIZE), FLASH + below(random, PAGE), FLASH + below(random, 4) };
	struct kvm_run *run = guest->vcpu->run;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = addresses[below(random, sizeof addresses / sizeof *addresses)];
	run->mmio.len = 1 + below(random, 8);
	run->mmio.is_write = below(random, 2);
	static const uint8_t commands[] = { 0x10, 0x20, 0x40, 0x50, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff };
	uint64_t data = below(random, 2) ? any(random) : commands[below(random, sizeof commands)];
	memcpy(run->mmio.data, &data, sizeof data);
	guest->known[0] = !run->mmio.is_write && DEAF - 8 <= run->mmio.phys_addr && run->mmio.phys_addr < STEADY - 16;
	guest->answers[0] = UINT64_MAX;
}

/* A place of so many bytes in the RAM, or almost in it. */
static uint64_t in_ram(uint64_t *random, uint64_t size)
{
	uint64_t bank = RAM[below(random, 3)];
	return below(random, 4) ? bank + below(random, BANK - size) : near(random, bank, BANK) - below(random, size);
}

static void fill_bank(uint8_t *bank, uint64_t at, const void *bytes, uint64_t size)
{
	for (uint64_t n = 0; n < size; n++) /* as another vCPU might, in the middle of a transfer */
		__atomic_store_n(bank + at + n, ((const uint8_t *)bytes)[n], __ATOMIC_RELAXED);
}

/* A request by DMA, or half of one, or a read by port. */
static void fw_cfg_exit(struct guest *guest)
{
	static const uint16_t keys[] = { 0, ITEM, ITEM, ITEM_THAT_ASKS, FW_CFG_ITEMS - 1, FW_CFG_ITEMS, 0xffff };
	static const uint32_t ports[] = { 0, 1, 4, 8, 8, 8, 8 }, widths[] = { 2, 1, 4, 4, 4, 4, 4 };
	uint64_t *random = &guest->random, which = below(random, 7), bank = below(random, 3), at = below(random, BANK - 16);
	struct kvm_run *run = guest->vcpu->run;
	uint16_t key = keys[below(random, 7)];
	uint32_t size = below(random, 8) ? 1 + below(random, 2 * PAGE) : any(random);
	struct { uint32_t control, length; uint64_t guest; } request = {
		__builtin_bswap32((uint32_t)key << 16 | (any(random) & 0x1f)), __builtin_bswap32(size),
		__builtin_bswap64(in_ram(random, below(random, 8) ? 16 : PAGE)),
	};
	fill_bank(banks[bank], at, &request, sizeof request);
	uint64_t address = below(random, 4) ? RAM[bank] + at : in_ram(random, 16);
	uint32_t value = ports[which] == 0 ? key : __builtin_bswap32(ports[which] == 4 ? address >> 32 : address);
	run->exit_reason = KVM_EXIT_IO;
	run->io.size = widths[which];
	run->io.count = 1;
	run->io.direction = which == 1 || !below(random, 8) ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.port = FW_CFG + ports[which];
	run->io.data_offset = PAGE;
	ASAN_UNPOISON_MEMORY_REGION(port_data(run), 2 * PAGE);
	memcpy(port_data(run), &value, sizeof value);
	ASAN_POISON_MEMORY_REGION(port_data(run) + run->io.size, 2 * PAGE - run->io.size);
}

static int another_exit(struct guest *guest)
{
	static const uint32_t reasons[] = { KVM_EXIT_SHUTDOWN, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_FAIL_ENTRY,
					    KVM_EXIT_INTR, KVM_EXIT_IRQ_WINDOW_OPEN, KVM_EXIT_HLT,
					    KVM_EXIT_HYPERCALL, 0xffff };
	static const int errors[] = { EINTR, EAGAIN, EFAULT };
	struct kvm_run *run = guest->vcpu->run;
	run->exit_reason = reasons[below(&guest->random, sizeof reasons / sizeof *reasons)];
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		run->internal.ndata = any(&guest->random);
	if (below(&guest->random, 3))
		return 0;
	run->exit_reason = KVM_EXIT_INTR;
	errno = errors[below(&guest->random, 3)];
	return -1;
}

/* A write to the ports that were named, as KVM does it: it is an exit where the ring has no room. */
static void write_address(struct guest *guest)
{
	enum { PLACES = 170 };
	struct kvm_coalesced_mmio_ring *ring = guest->vcpu->machine->coalesced.ring;
	uint32_t data = below(&guest->random, 8) ? 0x80000000 | (any(&guest->random) & 0xffff) : any(&guest->random);
	pthread_mutex_lock(&kvm);
	uint32_t last = ring->last, behind = (last + 1) % PLACES;
	CHECK(last < PLACES);
	bool room = behind != __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE);
	if (room) {
		struct kvm_coalesced_mmio *write = &ring->coalesced_mmio[last];
		write->len = 1 << below(&guest->random, 3);
		write->phys_addr = PCI_CONFIG + below(&guest->random, 5 - write->len);
		memcpy(write->data, &data, sizeof data);
		__atomic_store_n(&ring->last, behind, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&kvm);
	(*(room ? &held : &not_held))++;
}

static int enter_guest(struct guest *guest)
{
	look_at_answers(guest);
	if (!guest->left) {
		guest->vcpu->run->exit_reason = KVM_EXIT_INTR;
		sched_yield();
		errno = EINTR;
		return -1;
	}
	guest->left--;
	if (!below(&guest->random, 4))
		write_address(guest);
	switch (below(&guest->random, 21)) {
	case 0:
		return another_exit(guest);
	case 1 ... 5:
		virtio_exit(guest);
		return 0;
	case 6:
		table_exit(guest);
		return 0;
	case 7 ... 12:
		memory_exit(guest);
		return 0;
	case 13:
		fw_cfg_exit(guest);
		return 0;
	default:
		port_exit(guest);
		return 0;
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	if (request == KVM_RUN)
		return enter_guest(self);
	if (request == KVM_SET_USER_MEMORY_REGION) {
		struct kvm_userspace_memory_region *region = argument;
		CHECK(region->slot == 7 && region->guest_phys_addr == FLASH && region->flags == KVM_MEM_READONLY);
		CHECK(region->memory_size == 0 || region->memory_size == FLASH_SIZE);
		return 0;
	}
	if (request == KVM_CHECK_EXTENSION) {
		CHECK((long)argument == KVM_CAP_COALESCED_MMIO || (long)argument == KVM_CAP_COALESCED_PIO);
		return (long)argument == KVM_CAP_COALESCED_MMIO ? COALESCED : 1;
	}
	if (request == KVM_REGISTER_COALESCED_MMIO) {
		struct kvm_coalesced_mmio_zone *zone = argument;
		CHECK(zone->addr == PCI_CONFIG && zone->size == 4 && zone->pio == 1);
		return 0;
	}
	CHECK(request == KVM_IRQ_LINE);
	CHECK(((struct kvm_irq_level *)argument)->level <= 1);
	return 0;
}

/* Whoever is asked about a write to registers: alone with the engine, which is told of each start and stop in turn. */
static void tell_engine(struct guest *guest, uint64_t address, uint32_t size, uint64_t value)
{
	uint32_t which = (address - REGISTERS) / REGISTERS_SIZE, number = 0;
	struct virtio *virtio = &functions[which];
	struct virtio_state state;
	struct virtio_queue queue;
	pthread_mutex_lock(&engines[which]);
	int follows = virtio_write(virtio, (address - REGISTERS) % REGISTERS_SIZE, size, value, true);
	virtio_state(virtio, &state);
	CHECK(state.started == (follows == VIRTIO_STARTS || runs[which]));
	CHECK(follows != VIRTIO_STARTS || !runs[which]);
	CHECK(!(follows == VIRTIO_STOPS || follows == VIRTIO_NOTIFIED) || runs[which]);
	if (follows == VIRTIO_STARTS) {
		CHECK((state.features >> 32 & 1) && !(state.features & ~OFFERED) && state.status & 4);
		for (; !virtio_queue(virtio, number, &queue); number++) {
			CHECK(queue.size && queue.size <= 256 && !(queue.size & (queue.size - 1)));
			CHECK(queue.vector <= QUEUES[which] || queue.vector == 0xffff);
		}
		CHECK(number == QUEUES[which]);
		runs[which] = true;
		starts++;
		if (!below(&guest->random, 4)) /* it refuses */
			virtio_fail(virtio);
	} else if (follows == VIRTIO_STOPS) {
		virtio_reset(virtio);
		runs[which] = false;
		stops++;
	}
	pthread_mutex_unlock(&engines[which]);
}

/* As Python does; it may also answer nothing. */
static void answer(struct guest *guest, int event)
{
	struct vcpu *vcpu = guest->vcpu;
	uint64_t space = vcpu_data(vcpu, 0), address = vcpu_data(vcpu, 1), size = vcpu_data(vcpu, 2);
	uint64_t value = UINT64_MAX, end = address + size;
	CHECK(space == SPACE_PORT || space == SPACE_MEMORY || space == SPACE_CONFIG);
	CHECK(1 <= size && size <= 8);
	CHECK(space != SPACE_CONFIG || (address < ECAM_SIZE && memchr(ASKED, address / PAGE, sizeof ASKED)));
	bool registers = space == SPACE_MEMORY && REGISTERS <= address && end <= REGISTERS + VIRTIO * REGISTERS_SIZE;
	bool table = space == SPACE_MEMORY && TABLES <= address && end <= TABLES + VIRTIO * TABLE_SIZE;
	bool steady = STEADY <= address && end <= STEADY + STEADY_SIZE;
	CHECK(space != SPACE_MEMORY || address >= BARS || registers || table || steady);
	CHECK(event == EVENT_WRITE || !(registers || table));
	if (registers)
		tell_engine(guest, address, size, vcpu_data(vcpu, 3));
	if (table)
		msix_write(&tables[(address - TABLES) / TABLE_SIZE], (address - TABLES) % TABLE_SIZE, size, vcpu_data(vcpu, 3), true);
	CHECK(space != SPACE_PORT || end <= 0x10000);
	if (space == SPACE_PORT && FW_CFG <= address && end <= FW_CFG + FW_CFG_PORTS) {
		CHECK(event == EVENT_WRITE);
		CHECK(!fw_cfg_put(&fw_cfg, ITEM_THAT_ASKS, item, 1 + below(&guest->random, PAGE), true));
		selected += fw_cfg_write(&fw_cfg, address - FW_CFG, size, vcpu_data(vcpu, 3), true);
	}
	if (event == EVENT_WRITE)
		return;
	if (below(&guest->random, 4))
		vcpu_reply(vcpu, value = any(&guest->random));
	guest->known[vcpu->item] = true;
	guest->answers[vcpu->item] = value;
}

static void *run_guest(void *argument)
{
	static const uint32_t reasons[] = {
		[EVENT_SHUTDOWN] = KVM_EXIT_SHUTDOWN, [EVENT_INTERNAL] = KVM_EXIT_INTERNAL_ERROR,
		[EVENT_FAIL_ENTRY] = KVM_EXIT_FAIL_ENTRY, [EVENT_POWER_OFF] = KVM_EXIT_IO,
	};
	self = argument;
	struct kvm_run *run = self->vcpu->run;
	for (int event; (event = vcpu_run(self->vcpu)) != EVENT_KICKED;) {
		CHECK(EVENT_KICKED < event && event <= EVENT_WRITE);
		if (event == EVENT_READ || event == EVENT_WRITE)
			answer(self, event);
		else if (event == EVENT_ERROR)
			CHECK(vcpu_data(self->vcpu, 0) == EFAULT);
		else if (event == EVENT_UNKNOWN)
			CHECK(vcpu_data(self->vcpu, 0) == run->exit_reason);
		else if (event == EVENT_RESET)
			memset(self->known, 0, sizeof self->known); /* of a write that was held back: the exit is not served */
		else
			CHECK(run->exit_reason == reasons[event]);
	}
	CHECK(!self->left);
	return NULL;
}

/* -- the host ----------------------------------------------------------------------------------------------------- */

/* Smaller and larger than the traps that name them, and what cannot be read or written at a place. None may grow. */
static void open_files(void)
{
	static const size_t sizes[] = { 0, 3, PAGE, 4 * PAGE };
	for (int n = 0; n < 4; n++) {
		files[n] = memfd_create("bar", MFD_ALLOW_SEALING);
		CHECK(!ftruncate(files[n], sizes[n]) && !fcntl(files[n], F_ADD_SEALS, F_SEAL_GROW));
	}
	files[4] = open("/", O_RDONLY);
	files[5] = eventfd(0, EFD_NONBLOCK);
	files[6] = -1;
}

static void random_trap(uint64_t *random, struct trap *trap)
{
	trap->kind = below(random, 3) ? TRAP_FILE : TRAP_ASK;
	trap->fd = files[below(random, FILES)];
	trap->offset = below(random, 8) ? below(random, PAGE) : any(random);
}

/* Beside each other or with gaps, from `start` on. */
static uint32_t random_bars(uint64_t *random, struct trap *traps, uint64_t start, uint64_t end)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 7, 8, 16, 100, PAGE, 4 * PAGE };
	uint32_t count = below(random, MOST / 2), n = 0;
	for (; n < count; n++) {
		random_trap(random, &traps[n]);
		traps[n].start = start += below(random, 2) * below(random, 64);
		traps[n].size = sizes[below(random, sizeof sizes / sizeof *sizes)];
		start += traps[n].size;
		if (start > end)
			break;
	}
	return n;
}

static void replace_ports(struct machine *machine, uint64_t *random)
{
	static const struct trap own[] = { { KEYBOARD, 1, 0, -1, TRAP_KEYBOARD }, { COM1, 8, 0, -1, TRAP_SERIAL },
					   { FW_CFG, FW_CFG_PORTS, 0, -1, TRAP_FW_CFG },
					   { PM, 8, 0, -1, TRAP_POWER }, { PM + 8, 4, 0, -1, TRAP_TIMER }, { PCI_CONFIG, 8, 0, -1, TRAP_PCI } };
	struct trap traps[MOST];
	uint32_t count = 0;
	for (size_t n = 0; n < sizeof own / sizeof *own; n++)
		if (below(random, 8))
			traps[count++] = own[n];
	if (count && traps[0].kind == TRAP_KEYBOARD && below(random, 2))
		traps[0].kind = TRAP_PULSE;
	count += random_bars(random, traps + count, BAR_PORTS, 0x10000);
	CHECK(machine_set_ports(machine, traps, count) == 0);
}

static void replace_memory(struct machine *machine, uint64_t *random)
{
	struct trap traps[MOST];
	uint32_t count = 0;
	for (int n = 0; n < VIRTIO; n++)
		if (below(random, 8))
			traps[count++] = (struct trap){ TABLES + n * TABLE_SIZE, TABLE_SIZE, FIRST_VIRTIO + n, -1, TRAP_MSIX };
	if (below(random, 2)) /* of none */
		traps[count++] = (struct trap){ TABLES + VIRTIO * TABLE_SIZE, 8, any(random), -1, TRAP_MSIX };
	for (int n = 0; n < VIRTIO; n++)
		if (below(random, 8))
			traps[count++] = (struct trap){ REGISTERS + n * REGISTERS_SIZE, REGISTERS_SIZE, FIRST_VIRTIO + n, -1,
							TRAP_VIRTIO };
	if (below(random, 2)) /* of none */
		traps[count++] = (struct trap){ REGISTERS + VIRTIO * REGISTERS_SIZE, 8, any(random), -1, TRAP_VIRTIO };
	traps[count++] = (struct trap){ DEAF, 8, 0, -1, TRAP_FILE };
	traps[count++] = (struct trap){ STEADY, STEADY_SIZE, 0, -1, TRAP_ASK };
	count += random_bars(random, traps + count, BARS, BARS + BARS_SIZE);
	if (below(random, 8))
		traps[count++] = (struct trap){ ECAM, ECAM_SIZE, 0, -1, TRAP_ECAM };
	if (below(random, 8))
		traps[count++] = (struct trap){ FLASH, FLASH_SIZE, 0, -1, TRAP_FLASH };
	if (below(random, 2)) { /* to the end of all addresses */
		random_trap(random, &traps[count]);
		traps[count].start = -16;
		traps[count++].size = 16;
	}
	CHECK(machine_set_memory(machine, traps, count) == 0);
}

static void replace_by_nonsense(struct machine *machine, uint64_t *random)
{
	static const struct trap wrong[][2] = {
		{ { 0x10, 8, 0, -1, TRAP_ASK }, { 0x17, 8, 0, -1, TRAP_ASK } },
		{ { 0x10, 8, 0, -1, TRAP_ASK }, { 0x08, 8, 0, -1, TRAP_ASK } },
		{ { -8, 16, 0, -1, TRAP_ASK }, { 0x10, 8, 0, -1, TRAP_ASK } },
		{ { 0x10, -8, 0, -1, TRAP_ASK }, { 0x20, 8, 0, -1, TRAP_ASK } },
	};
	const struct trap *traps = wrong[below(random, sizeof wrong / sizeof *wrong)];
	CHECK(machine_set_memory(machine, traps, 2) == -EINVAL);
	CHECK(machine_set_ports(machine, traps, 2) == -EINVAL);
	CHECK(machine_set_ports(machine, traps, MOST_TRAPS + 1) == -E2BIG);
}

static void talk(struct machine *machine, struct ring *output, struct ring *input, uint64_t *position, uint64_t *random)
{
	uint8_t bytes[100] = { 0 };
	uint64_t lost = 0;
	ring_write(input, files[5], bytes, below(random, sizeof bytes));
	ring_read(output, position, bytes, sizeof bytes, &lost);
	machine_input(machine);
	machine_press_power(machine);
}

static void change_config(struct machine *machine, uint64_t *random)
{
	uint8_t bytes[8] = { any(random), any(random) };
	uint32_t offset = below(random, 8) ? below(random, CONFIG_SIZE + 8) : any(random), size = below(random, sizeof bytes);
	bool fits = offset <= CONFIG_SIZE && size <= CONFIG_SIZE - offset;
	CHECK(machine_change_function(machine, THERE[below(random, sizeof THERE)], offset, bytes, size) == (fits ? 0 : -EINVAL));
	CHECK(machine_change_function(machine, 1, 0, bytes, 1) == -EINVAL);
}

/* Until all its guests have done what they had to. */
static void be_host(struct machine *machine, struct guest *guests, struct ring *output, struct ring *input, uint64_t *random)
{
	uint64_t position = 0;
	do {
		replace_ports(machine, random);
		replace_memory(machine, random);
		replace_by_nonsense(machine, random);
		change_config(machine, random);
		talk(machine, output, input, &position, random);
		usleep(below(random, 200));
	} while (guests[0].left || guests[1].left);
}

static void start_guest(struct guest *guest, struct machine *machine, uint64_t exits)
{
	int fd = memfd_create("vcpu", 0);
	CHECK(!ftruncate(fd, RUN_SIZE));
	CHECK(!vcpu_create(machine, fd, RUN_SIZE, &guest->vcpu));
	close(fd);
	guest->vcpu->run->exit_reason = KVM_EXIT_INTR;
	guest->left = exits;
	CHECK(!pthread_create(&guest->thread, NULL, run_guest, guest));
}

static void end_guest(struct guest *guest, bool last)
{
	struct coalesced *coalesced = &guest->vcpu->machine->coalesced;
	struct kvm_run *run = guest->vcpu->run;
	vcpu_kick(guest->vcpu);
	CHECK(!pthread_join(guest->thread, NULL));
	CHECK(vcpu_run(guest->vcpu) == EVENT_KICKED);
	CHECK(!last || coalesced->taken == coalesced->ring->last);
	ASAN_UNPOISON_MEMORY_REGION(run, RUN_SIZE);
	vcpu_destroy(guest->vcpu);
	CHECK(msync(run, RUN_SIZE, MS_ASYNC) && errno == ENOMEM); /* not mapped any more */
}

static void live(struct guest *guests, uint64_t exits, uint64_t *random)
{
	uint8_t image[CONFIG_SIZE] = { 0 }, asks[CONFIG_SIZE];
	for (int n = 0; n < CONFIG_SIZE; n++)
		asks[n] = n / 4 % 3;
	void *memory[2] = { calloc(1, RING), calloc(1, RING) };
	struct ring output, input;
	struct machine *machine = machine_create(-1, 4, 9);
	CHECK(!ring_create(&output, memory[0], RING) && !ring_create(&input, memory[1], RING));
	machine_console(machine, &output, files[5], &input, files[5]);
	CHECK(!machine_set_function(machine, 0, image, image, image) && !machine_set_function(machine, 0xfe, image, image, image));
	for (size_t n = 0; n < sizeof ASKED; n++)
		CHECK(!machine_set_function(machine, ASKED[n], image, asks, asks));
	for (int n = 0; n < VIRTIO; n++) {
		CHECK(virtio_create(&functions[n], OFFERED, 0, image, 60) == -EINVAL);
		CHECK(virtio_create(&functions[n], OFFERED, VIRTIO_MOST_QUEUES + 1, image, 60) == -EINVAL);
		CHECK(virtio_create(&functions[n], OFFERED, QUEUES[n], image, 257) == -EINVAL);
		CHECK(virtio_create(&functions[n], OFFERED, QUEUES[n], image, 60) == 0);
		machine_set_virtio(machine, FIRST_VIRTIO + n, &functions[n]);
		runs[n] = false;
	}
	uint8_t *entries = malloc(VIRTIO * TABLE_SIZE);
	for (int n = 0; n < VIRTIO; n++) {
		CHECK(msix_create(&tables[n], entries + n * TABLE_SIZE, MSIX_MOST_VECTORS + 1) == -EINVAL);
		CHECK(msix_create(&tables[n], entries + n * TABLE_SIZE, VECTORS) == 0);
		machine_set_msix(machine, FIRST_VIRTIO + n, &tables[n]);
	}
	struct fw_cfg_memory ram[3];
	item = malloc(PAGE);
	memset(item, 0x5a, PAGE);
	for (int n = 0; n < 3; n++)
		ram[n] = (struct fw_cfg_memory){ RAM[n], BANK, (uintptr_t)(banks[n] = calloc(1, BANK)) };
	CHECK(fw_cfg_create(&fw_cfg, ram, 3) == 0);
	CHECK(fw_cfg_put(&fw_cfg, FW_CFG_ITEMS, item, PAGE, false) == -EINVAL);
	CHECK(fw_cfg_put(&fw_cfg, ITEM, item, PAGE, false) == 0 && fw_cfg_put(&fw_cfg, ITEM_THAT_ASKS, item, 1, true) == 0);
	machine_set_fw_cfg(machine, &fw_cfg);
	uint8_t *array = malloc(FLASH_SIZE);
	memset(array, 0xff, FLASH_SIZE);
	CHECK(machine_set_flash(machine, -1, 7, FLASH, array, FLASH_SIZE - 1, -1) == -EINVAL);
	CHECK(!machine_set_flash(machine, -1, 7, FLASH, array, FLASH_SIZE, files[3]));
	for (int n = 0; n < GUESTS; n++)
		start_guest(&guests[n], machine, exits / GUESTS);
	be_host(machine, guests, &output, &input, random);
	for (int n = GUESTS; n--;) /* the first one's pages have the ring in them */
		end_guest(&guests[n], !n);
	CHECK(machine_count(machine, 0) && machine_count(machine, 1)); /* unclaimed */
	uint64_t by_files = machine_count(machine, 4), refused = machine_count(machine, 5);
	CHECK(by_files > refused && refused);
	kept += machine_count(machine, 6);
	not_kept += machine_count(machine, 7);
	machine_destroy(machine);
	for (int n = 0; n < VIRTIO * TABLE_SIZE; n++) /* of the last word only the mask is kept */
		CHECK(n % MSIX_ENTRY < 12 || entries[n] <= (n % MSIX_ENTRY == 12));
	free(entries);
	free(array);
	free(item);
	for (int n = 0; n < 3; n++)
		free(banks[n]);
	CHECK(!output.broken && !input.broken);
	free(memory[0]);
	free(memory[1]);
}

int main(int count, char **words)
{
	CHECK(count == 3);
	static struct guest guests[GUESTS];
	uint64_t exits = strtoull(words[1], NULL, 10), random = strtoull(words[2], NULL, 10);
	int before = dup(0);
	close(before);
	open_files();
	for (int n = 0; n < GUESTS; n++)
		guests[n].random = any(&random);
	for (uint64_t done = 0; done < exits; done += LIFE)
		live(guests, LIFE, &random);
	CHECK(starts >= stops && stops);
	CHECK(kept > not_kept && not_kept);
	CHECK(selected);
	CHECK(held && not_held);
	for (int n = 0; n < FILES - 1; n++)
		close(files[n]);
	CHECK(dup(0) == before); /* no descriptor was left open */
	printf("hostile: %llu exits, seed %s\n", (unsigned long long)exits, words[2]);
	return 0;
}
