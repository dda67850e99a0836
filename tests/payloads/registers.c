/* A driver that writes to the registers of the virtio function at 00:01.0 what no driver writes: `WHAT COUNT`.
 *
 *   widths    each place of the common configuration by each width: what is no register's own does nothing
 *   absent    queues that are not there are selected, set up and notified
 *   vectors   interrupts by vectors that are not there, and the table of vectors at random, while requests are made
 *   window    by the window in configuration space: each place and length, and a whole start
 *   moves     the BAR moves while a request is on its way: over RAM, the processor's own, nowhere; then back
 *   statuses  status and features in any order
 *   askew     rings that overlap, begin anywhere, or end where RAM does
 *   strings   accesses by string instructions, locked ones, and those over the end of a register
 *   orders    a disk's requests of any kind, length and place, with all its features
 *   polls     COUNT honest reads by a driver that has no vectors, and leaves interrupts on
 *   together  another vCPU does, at random, what the first does in order: status, vectors, BAR, doorbells
 *   restless  DRIVER_OK and reset by turns, each followed by a notification of what is not there any more
 *
 * `wrong N` tells of a register that is not as virtio 1.2 has it. An honest start follows.
 */
#include "virtio.h"

enum { QUEUE_FIRST = 0x16, LENGTH = 0x38, BAR_PAGES = 8, PAGE = 4096, INDIRECT = 4, BAR = 0x10, COMMAND = 4, WINDOW = 5 };
enum { OK = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK };

static void wrong(uint32_t where)
{
	tell("wrong", where);
}

static void copy(uint8_t *to, const volatile uint8_t *from, uint32_t length)
{
	for (uint32_t n = 0; n < length; n++)
		to[n] = from[n];
}

static int differ(const uint8_t *one, const uint8_t *other, uint32_t length)
{
	for (uint32_t n = 0; n < length; n++)
		if (one[n] != other[n])
			return 1;
	return 0;
}

static void store(volatile void *at, uint32_t size, uint32_t value)
{
	if (size == 1)
		*(volatile uint8_t *)at = value;
	else if (size == 2)
		*(volatile uint16_t *)at = value;
	else
		*(volatile uint32_t *)at = value;
}

/* The width of the register that begins there; 0: none does. */
static uint32_t width(uint32_t at)
{
	if (at < 0x10 || at >= 0x20)
		return at % 4 ? 0 : 4;
	if (at == 0x14 || at == 0x15)
		return 1;
	return at % 2 ? 0 : 2;
}

static void widths(uint32_t count)
{
	uint8_t before[LENGTH], now[LENGTH];
	for (uint32_t n = 0; n < count; n++)
		for (uint32_t at = 0; at < LENGTH + 8; at++)
			for (uint32_t size = 1; size <= 4; size *= 2) {
				if (at < LENGTH && size == width(at))
					continue;
				copy(before, (volatile uint8_t *)common, LENGTH);
				store((volatile uint8_t *)common + at, size, random());
				copy(now, (volatile uint8_t *)common, LENGTH);
				if (differ(before, now, LENGTH))
					wrong(at << 8 | size);
			}
}

static void absent(uint32_t count)
{
	uint8_t before[LENGTH], now[LENGTH];
	start();
	uint32_t queues = common->queues;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t chosen = n % 2 ? 0x10000 - 1 - n % 64 : queues + random() % 300;
		common->select = 0;
		copy(before, (volatile uint8_t *)common, LENGTH);
		common->select = chosen;
		if (common->size || common->enable || common->vector != 0xffff || common->desc[0])
			wrong(chosen);
		common->size = 1 << random() % 9;
		common->vector = 0;
		place(common->desc, random(), random());
		place(common->device, random(), random());
		common->enable = 1;
		if (common->size || common->enable || common->desc[0] || common->device[0])
			wrong(chosen);
		common->select = 0;
		copy(now, (volatile uint8_t *)common, LENGTH);
		if (differ(before, now, LENGTH))
			wrong(chosen);
		volatile uint8_t *bell = (volatile uint8_t *)doorbell;
		store(bell + (4 * queues + random() % (PAGE - 4 * queues - 4)), 1 << random() % 3, chosen);
	}
	if (common->status != OK)
		wrong(common->status);
}

static void polls(uint32_t count)
{
	start();
	offered.flags = 0;
	for (uint32_t n = 0; n < count; n++)
		if (!reads(n) || data[0] != 'A' + n % 26)
			wrong(n);
}

/* 16 bytes each: address, data, and a mask. The processor takes none: it has interrupts off. */
static void vectors(uint32_t count)
{
	volatile uint32_t *table_of_vectors = (volatile uint32_t *)((volatile uint8_t *)common + 4 * PAGE);
	uint32_t msix = 0;
	for (uint32_t at = config_read(0x34) & 0xfc; at; at = config_read(at) >> 8 & 0xfc)
		if ((config_read(at) & 0xff) == 0x11)
			msix = at;
	uint32_t last = config_read(msix) >> 16 & 0x7ff;
	start();
	offered.flags = 0;
	for (uint32_t n = 0; n < count; n++) {
		common->select = random() % common->queues;
		common->vector = last + 1 + random() % (0xfffe - last);
		if (common->vector != 0xffff)
			wrong(common->vector);
		common->config_vector = 0xfffe;
		if (common->config_vector != 0xffff)
			wrong(common->config_vector);
		uint32_t one = random() % (last + 1);
		common->vector = one;
		if (common->vector != one)
			wrong(one);
		volatile uint32_t *entry = table_of_vectors + 4 * (random() % (last + 3));
		entry[0] = random() & 1 ? 0xfee00000 : random();
		entry[1] = random() & 7 ? 0 : random();
		entry[2] = 0x40 + random() % 64;
		entry[3] = random() & 1;
		config_write(msix, random() & 0xc0000000);
		if (config_read(0) >> 16 == DISK && !(n % 8))
			reads(n % 64);
	}
	config_write(msix, 0);
}

static uint32_t window_at(void)
{
	uint32_t found = 0;
	for (uint32_t at = config_read(0x34) & 0xfc; at; at = config_read(at) >> 8 & 0xfc)
		if ((config_read(at) & 0xff) == VENDOR_CAPABILITY && config_read(at) >> 24 == WINDOW)
			found = at;
	return found;
}

static void aim(uint32_t window, uint32_t bar, uint32_t offset, uint32_t length)
{
	config_write(window + 4, bar);
	config_write(window + 8, offset);
	config_write(window + 12, length);
}

static uint32_t port_of(uint32_t window)
{
	out32(CONFIG_ADDRESS, 1u << 31 | SLOT << 11 | (window + 16));
	return CONFIG_DATA;
}

static void by_window(uint32_t window, uint32_t offset, uint32_t length, uint32_t value)
{
	aim(window, 0, offset, length);
	uint16_t port = port_of(window);
	if (length == 1)
		out8(port, value);
	else if (length == 2)
		__asm__ volatile("outw %0, %1" :: "a"((uint16_t)value), "Nd"(port));
	else
		out32(port, value);
}

static const uint32_t PLACES[] = {
	0, 1, 2, 3, 0x12, 0x14, 0x16, 0x1c, 0x37, 0x38, 0xffe, 0xfff, 0x1000, 0x2000, 0x2ffd, 0x3000, 0x3001, 0x3ffc, 0x3fff,
	0x4000, 0x4010, 0x5000, 0x7ffc, 0x8000, 0x7fffffff, 0xfffffffc, 0xffffffff,
};
static const uint32_t LENGTHS[] = {0, 1, 2, 3, 4, 5, 8, 0x100, 0xffffffff};

static void window(uint32_t count)
{
	uint32_t at = window_at();
	for (uint32_t n = 0; n < count; n++)
		for (uint32_t one = 0; one < sizeof PLACES / sizeof *PLACES; one++)
			for (uint32_t of = 0; of < sizeof LENGTHS / sizeof *LENGTHS; of++) {
				aim(at, random() & 1 ? 0 : random(), PLACES[one], LENGTHS[of]);
				uint16_t port = port_of(at);
				switch (random() % 4) {
				case 0: in32(port); break;
				case 1: out32(port, random()); break;
				case 2: out8(port + random() % 4, random()); break;
				case 3: __asm__ volatile("outw %0, %1" :: "a"((uint16_t)random()), "Nd"((uint16_t)(port + 2))); break;
				}
			}
	aim(at, 0, 0x12, 2);
	uint16_t queues, port = port_of(at);
	__asm__ volatile("inw %1, %0" : "=a"(queues) : "Nd"(port));
	if (queues != common->queues)
		wrong(queues);
	reset();
	offered.flags = 1;
	offered.index = 0;
	used.index = 0;
	for (uint32_t status = 0; status < 4; status = 2 * status + 1)
		by_window(at, 0x14, 1, status);
	by_window(at, 8, 4, 1);
	by_window(at, 0xc, 4, 1);
	by_window(at, 0x14, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	for (uint32_t n = 0; n < common->queues; n++) {
		by_window(at, 0x16, 2, n);
		by_window(at, 0x18, 2, RING);
		by_window(at, 0x20, 4, (uint32_t)table);
		by_window(at, 0x28, 4, (uint32_t)&offered);
		by_window(at, 0x30, 4, (uint32_t)&used);
		by_window(at, 0x1c, 2, 1);
	}
	by_window(at, 0x14, 1, OK);
	if (common->status != OK)
		wrong(common->status);
	if (config_read(0) >> 16 == DISK) {
		volatile uint16_t *bell = doorbell, silent;
		doorbell = &silent; /* it is told by the window alone */
		ask(5);
		by_window(at, 0x3000, 2, 0);
		if (!answered() || data[0] != 70)
			wrong(data[0]);
		doorbell = bell;
	}
}

/* RAM, its end, the processor's own, configuration space, the end of 32 bits; the BAR's own place is none of them. */
static const uint32_t ELSEWHERE[] = {
	0, 0x100000, 0x01ff8000, 0xfee00000, 0xfec00000, 0xfed00000, 0xb0000000, 0xe0000000, 0xf8000000, 0xffff8000, 0xfeff8000,
};

static void moves(uint32_t count)
{
	uint32_t home = config_read(BAR);
	int disk = config_read(0) >> 16 == DISK;
	start();
	for (uint32_t n = 0; n < count; n++) {
		if (disk)
			ask(n % 64);
		else
			*doorbell = 0;
		if (n % 3 == 2)
			config_write(COMMAND, 0);
		for (uint32_t one = 0; one < 1 + n % 4; one++) {
			uint32_t there = ELSEWHERE[random() % (sizeof ELSEWHERE / sizeof *ELSEWHERE)];
			config_write(BAR, there);
			if (there >= 0xe0000000 && there != 0xfee00000) {
				*(volatile uint16_t *)(there + 0x3000) = 0;
				(void)*(volatile uint32_t *)(there + 0x14);
			}
		}
		config_write(BAR, 0xffffffff); /* how much it is asked for */
		if ((config_read(BAR) & ~15u) != -(uint32_t)(BAR_PAGES * PAGE))
			wrong(config_read(BAR));
		config_write(BAR, home);
		config_write(COMMAND, 6);
		if (common->status != OK)
			wrong(common->status);
		if (disk && !answered())
			wrong(n);
	}
}

static void statuses(uint32_t count)
{
	common->feature_select = 0;
	uint32_t low = common->features;
	common->feature_select = 1;
	uint32_t high = common->features;
	for (uint32_t select = 2; select; select *= 2) {
		common->feature_select = select;
		if (common->features)
			wrong(select);
	}
	for (uint32_t n = 0; n < count; n++) {
		uint8_t before = common->status, value = random() & 1 ? random() : 1u << random() % 8;
		if (!(random() % 8))
			value = 0;
		common->driver_select = random() % 4 ? random() & 1 : random();
		common->driver_features = random() & 1 ? random() & 1 : random();
		common->driver_select = 0;
		uint32_t asked_low = common->driver_features;
		common->driver_select = 1;
		uint32_t asked_high = common->driver_features;
		common->status = value;
		uint8_t now = common->status;
		if (!value && now)
			wrong(now);
		if (value && before & ~now)
			wrong(before << 8 | now);
		if (now & FEATURES_OK && ((asked_low & ~low) || (asked_high & ~high) || !(asked_high & 1)))
			wrong(0x10000 | now);
		if (now & DRIVER_OK && !(now & FEATURES_OK))
			wrong(0x20000 | now);
	}
}

static void askew(uint32_t count)
{
	static const uint32_t SIZES[] = {0, 1, 2, 3, 64, 100, 128, 256, 257, 0x8000, 0xffff};
	for (uint32_t n = 0; n < count; n++) {
		uint32_t end = 0x02000000, places[] = {
			(uint32_t)table + n % 16, (uint32_t)&offered + n % 3, (uint32_t)&used + n % 5, (uint32_t)table,
			end - 16 * RING, end - 1, 0, end - 6,
		};
		negotiate();
		offered.index = used.index = 0;
		for (uint16_t q = 0; q < common->queues; q++) {
			common->select = q;
			common->size = SIZES[random() % (sizeof SIZES / sizeof *SIZES)];
			common->vector = 0xffff;
			place(common->desc, places[random() % 8], 0);
			place(common->driver, places[random() % 8], 0);
			place(common->device, places[random() % 8], 0);
			common->enable = n % 4 ? 1 : random() % 4;
		}
		common->status = OK;
		*doorbell = 0;
		offer(random() % RING);
		reset();
	}
}

static void strings(uint32_t count)
{
	static uint8_t copied[BAR_PAGES * PAGE];
	for (uint32_t n = 0; n < count; n++) {
		uint32_t length = random() % sizeof copied, at = random() % (sizeof copied - length);
		void *to = copied + at;
		const volatile void *from = (const volatile uint8_t *)common + at;
		uint32_t times = length;
		if (n % 3 == 0)
			__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(times) :: "memory");
		times = length / 4;
		if (n % 3 == 1)
			__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(times) :: "memory");
		volatile uint8_t *place = (volatile uint8_t *)common + (random() & 1 ? random() % LENGTH : 0xffd + random() % 6);
		uint32_t value = random();
		switch (random() % 5) {
		case 0: __asm__ volatile("lock xaddl %0, (%1)" : "+r"(value) : "r"(place) : "memory"); break;
		case 1: __asm__ volatile("xchgl %0, (%1)" : "+r"(value) : "r"(place) : "memory"); break;
		case 2: __asm__ volatile("lock orb $4, (%0)" :: "r"(place) : "memory"); break;
		case 3: __asm__ volatile("incl (%0)" :: "r"(place) : "memory"); break;
		case 4: store(place, 4, value); break;
		}
		times = 1 + random() % 64;
		to = (void *)place;
		if (n % 5 == 4)
			__asm__ volatile("rep stosb" : "+D"(to), "+c"(times) : "a"(value) : "memory");
	}
}

static void all_features(void)
{
	reset();
	common->status = ACKNOWLEDGE;
	common->status = ACKNOWLEDGE | DRIVER;
	for (uint32_t half = 0; half < 2; half++) {
		common->feature_select = half;
		common->driver_select = half;
		common->driver_features = common->features;
	}
	common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	offered.flags = 0;
	offered.index = 0;
	used.index = 0;
	queue((uint32_t)table, (uint32_t)&offered, (uint32_t)&used, 0);
	common->status = OK;
}

static struct { uint32_t sector, high, many, flags; } ranges[8] __attribute__((aligned(16)));

/* Each chain is a chain, some in a table of their own: what is odd is what it says. */
static void orders(uint32_t count)
{
	static const uint8_t KINDS[] = {0, 1, 4, 5, 6, 7, 8, 11, 13, 14, 15, 16, 255};
	static const uint32_t MANY[] = {1, 16, 511, 512, 513, 4096, 0x100000, 0x00f00000};
	uint32_t answers[3] = {0, 0, 0}; /* OK, IOERR, UNSUPP */
	for (uint32_t n = 0; n < count; n++) {
		if (!(n % 16) || common->status & NEEDS_RESET)
			all_features();
		request.type = KINDS[random() % sizeof KINDS];
		request.sector = random() & 1 ? random() % 64 : random();
		request.high = random() & 3 ? 0 : random();
		for (int one = 0; one < 8; one++) {
			ranges[one].sector = random() & 1 ? random() % 2048 : random();
			ranges[one].high = random() & 3 ? 0 : random();
			ranges[one].many = random() & 1 ? random() % 2048 : random();
			ranges[one].flags = random() & 3 ? random() & 1 : random();
		}
		uint32_t many = MANY[random() % 8], to = random() & 1 ? WRITES : 0, indirect = n % 5 == 4 ? 8 : 0;
		const void *what = random() & 1 ? (void *)ranges : (void *)0x01000000; /* the second half of RAM is nobody's */
		int first = indirect;
		describe(first, &request, sizeof request, NEXT, first + 1 - indirect);
		describe(first + 1, what, what == ranges && to ? 16 : many, NEXT | to, first + 2 - indirect);
		describe(first + 2, &verdict, 1, WRITES, 0);
		if (indirect)
			describe(0, &table[8], 3 * sizeof *table, INDIRECT, 0);
		offered.event = random();
		verdict = 0xff;
		offer(0);
		uint64_t began = __builtin_ia32_rdtsc();
		while (used.index != offered.index && __builtin_ia32_rdtsc() - began < PATIENCE / 300)
			;
		if (used.index != offered.index)
			all_features();
		else if (verdict < 3)
			answers[verdict]++;
	}
	say(answers[0] ? "some were done, " : "none was done, ");
	say(answers[1] + answers[2] ? "some refused\n" : "none refused\n");
}

static void restless(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		start();
		*doorbell = n;
		if (n % 2)
			*doorbell = 0xffff;
		reset();
		*doorbell = 0;
		doorbell[2] = 1;
		common->status = n;
		reset();
	}
}

/* The second vCPU begins in real mode, at 0x8000, and goes straight to flat protected mode, with a stack of its own. */
__asm__(
	".code16\n"
	"trampoline: cli; mov %cs, %ax; mov %ax, %ds; lgdtl pointer - trampoline; mov $0x11, %eax; mov %eax, %cr0\n"
	"ljmpl $0x10, $flat\n"
	"pointer: .word 31; .long gdt\n"
	"trampoline_end:\n"
	".code32\n"
	"flat: mov $0x18, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss; mov $second_stack + 4096, %esp; jmp second\n"
	".balign 8\n"
	"gdt: .quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
	".lcomm second_stack, 4096\n");
extern const uint8_t trampoline[], trampoline_end[];
static volatile uint32_t present, over;

static uint32_t shift(uint32_t *of)
{
	*of ^= *of << 13;
	*of ^= *of >> 17;
	return *of ^= *of << 5;
}

/* Configuration space has one address register for all: its accesses go wherever both have left it. */
__attribute__((used, noreturn)) void second(void)
{
	uint32_t own = 77;
	present = 1;
	while (!over) {
		uint32_t value = shift(&own);
		switch (value >> 8 & 7) {
		case 0: common->status = 0; break;
		case 1: common->status = value; break;
		case 2: common->status = OK; break;
		case 3: common->select = value & 3; common->vector = value >> 16 & 3; break;
		case 4: doorbell[value >> 16 & 7] = value; break;
		case 5: common->config_vector = value >> 16 & 3; break;
		case 6: (void)common->status; break;
		case 7: config_write(value >> 16 & 1 ? BAR : COMMAND, value >> 17 & 1 ? 0xb8000000 : 6); break;
		}
	}
	present = 0;
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void together(uint32_t count)
{
	volatile uint32_t *apic = (volatile uint32_t *)0xfee00000;
	uint32_t home = config_read(BAR);
	for (const uint8_t *from = trampoline; from < trampoline_end; from++)
		((volatile uint8_t *)0x8000)[from - trampoline] = *from;
	apic[0xf0 / 4] = 0x1ff;
	apic[0x300 / 4] = 0xc4500;
	for (volatile uint32_t n = 0; n < 100000; n++)
		;
	apic[0x300 / 4] = 0xc4608;
	while (!present)
		;
	for (uint32_t n = 0; n < count; n++) {
		common->status = 0;
		common->status = ACKNOWLEDGE | DRIVER;
		common->driver_select = 1;
		common->driver_features = 1;
		common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
		common->select = 0;
		common->size = RING;
		place(common->desc, (uint32_t)table, 0);
		place(common->driver, (uint32_t)&offered, 0);
		place(common->device, (uint32_t)&used, 0);
		common->enable = 1;
		common->status = OK;
		*doorbell = 0;
		config_write(BAR, home);
		config_write(COMMAND, 6);
	}
	over = 1;
	while (present)
		;
	config_write(BAR, home);
	config_write(COMMAND, 6);
}

static const struct way WAYS[] = {
	{"together", together}, {"widths", widths}, {"absent", absent}, {"polls", polls}, {"vectors", vectors}, {"window", window}, {"moves", moves},
	{"statuses", statuses}, {"askew", askew}, {"strings", strings}, {"orders", orders}, {"restless", restless},
};

void main(const char *line)
{
	go(line, WAYS, sizeof WAYS / sizeof *WAYS);
}
