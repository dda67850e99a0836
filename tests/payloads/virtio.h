/* What drivers of the virtio function at 00:01.0 share: an honest start, of a disk an honest read, and what they do with
 * their command line, `WHAT COUNT`. */
#include <stdint.h>

#define BARRIER() __asm__ volatile("" ::: "memory")

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, COM1 = 0x3f8, SLOT = 1 };
enum { VENDOR_CAPABILITY = 9, COMMON = 1, NOTIFY = 2, DISK = 0x1042 };
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
enum { RING = 64, BLOCK = 512, NEXT = 1, WRITES = 2 };
#define PATIENCE 60000000000ull /* ticks of the TSC */
#define LATE 3000000000ull

struct common { /* virtio 1.2, 4.1.4.3 */
	uint32_t feature_select, features, driver_select, driver_features;
	uint16_t config_vector, queues;
	uint8_t status, generation;
	uint16_t select, size, vector, enable, notify;
	uint32_t desc[2], driver[2], device[2];
};

struct descriptor {
	uint32_t address, high, length;
	uint16_t flags, next;
};

static struct descriptor table[RING] __attribute__((aligned(4096)));
static struct { uint16_t flags, index, ring[RING], event; } offered __attribute__((aligned(4096)));
static struct { uint16_t flags, index; struct { uint32_t id, length; } ring[RING]; } volatile used __attribute__((aligned(4096)));
static struct { uint32_t type, reserved, sector, high; } request __attribute__((aligned(16)));
static uint8_t data[BLOCK] __attribute__((aligned(512)));
static volatile uint8_t verdict;
static volatile struct common *common;
static volatile uint16_t *doorbell;
static uint32_t seed = 1;

static inline void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port)); }
static inline void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" :: "a"(value), "Nd"(port)); }
static inline uint32_t in32(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	while (*text)
		out8(COM1, *text++);
}

static void tell(const char *what, uint32_t number)
{
	char digits[11], *at = digits + 10;
	*at = 0;
	do
		*--at = '0' + number % 10;
	while (number /= 10);
	say(what);
	say(" ");
	say(at);
	say("\n");
}

static uint32_t random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	return seed ^= seed << 5;
}

static uint32_t config_read(uint32_t offset)
{
	out32(CONFIG_ADDRESS, 1u << 31 | SLOT << 11 | offset);
	return in32(CONFIG_DATA);
}

static void config_write(uint32_t offset, uint32_t value)
{
	out32(CONFIG_ADDRESS, 1u << 31 | SLOT << 11 | offset);
	out32(CONFIG_DATA, value);
}

/* Where the common configuration and the doorbells are, as the capabilities say; a doorbell for queue 0 is the first. */
static void find(void)
{
	config_write(4, 6);
	for (uint32_t at = config_read(0x34) & 0xfc; at; at = config_read(at) >> 8 & 0xfc) {
		if ((config_read(at) & 0xff) != VENDOR_CAPABILITY)
			continue;
		uint32_t bar = config_read(0x10 + 4 * (config_read(at + 4) & 7)) & ~15u, kind = config_read(at) >> 24;
		if (kind == COMMON)
			common = (void *)(bar + config_read(at + 8));
		else if (kind == NOTIFY)
			doorbell = (void *)(bar + config_read(at + 8));
	}
}

static void reset(void)
{
	common->status = 0;
	while (common->status)
		;
}

static void negotiate(void)
{
	reset();
	common->status = ACKNOWLEDGE;
	common->status = ACKNOWLEDGE | DRIVER;
	common->driver_select = 1;
	common->driver_features = 1; /* VERSION_1, and nothing else */
	common->driver_select = 0;
	common->driver_features = 0;
	common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
}

static void place(volatile uint32_t *where, uint32_t address, uint32_t high)
{
	where[0] = address;
	where[1] = high;
}

/* One place for all queues: a disk has one, and nobody asks anything of the others. */
static void queue(uint32_t desc, uint32_t driver, uint32_t device, uint32_t high)
{
	for (uint16_t n = 0; n < common->queues; n++) {
		common->select = n;
		common->size = RING;
		common->vector = 0xffff;
		place(common->desc, desc, high);
		place(common->driver, driver, high);
		place(common->device, device, high);
		common->enable = 1;
	}
}

static void start(void)
{
	negotiate(); /* before the rings change: they are the device's until it is reset */
	offered.flags = 1; /* no interrupts: it looks */
	offered.index = 0;
	used.index = 0;
	queue((uint32_t)table, (uint32_t)&offered, (uint32_t)&used, 0);
	common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

static void describe(int n, const volatile void *address, uint32_t length, uint16_t flags, uint16_t next)
{
	table[n] = (struct descriptor){(uint32_t)address, 0, length, flags, next};
}

static void offer(int head)
{
	offered.ring[offered.index % RING] = head;
	BARRIER();
	offered.index++;
	BARRIER();
	*doorbell = 0;
}

static void ask(uint32_t sector)
{
	request.type = 0;
	request.sector = sector;
	verdict = 0xff;
	describe(0, &request, sizeof request, NEXT, 1);
	describe(1, data, BLOCK, NEXT | WRITES, 2);
	describe(2, &verdict, 1, WRITES, 0);
	offer(0);
}

static int answered(void)
{
	uint64_t began = __builtin_ia32_rdtsc();
	for (uint32_t n = 0; __builtin_ia32_rdtsc() - began < PATIENCE; n++) {
		if (used.index == offered.index)
			return verdict == 0;
		if (!(n & 0xffff) && common->status & NEEDS_RESET)
			return 0;
	}
	return 0;
}

static int reads(uint32_t sector)
{
	ask(sector);
	return answered();
}

/* Of other functions it is enough that they run. */
static int works(void)
{
	start();
	if (config_read(0) >> 16 == DISK)
		return reads(0);
	return (common->status & (DRIVER_OK | NEEDS_RESET)) == DRIVER_OK;
}

/* The text after `word` and a blank, or nothing. */
static const char *after(const char *text, const char *word)
{
	while (*word)
		if (*text++ != *word++)
			return 0;
	return text;
}

struct way {
	const char *name;
	void (*run)(uint32_t);
};

/* Of several on one line, one after the other. */
static void go(const char *line, const struct way *ways, unsigned many)
{
	find();
	while (*line) {
		const char *rest = 0;
		unsigned n = 0;
		while (n < many && !(rest = after(line, ways[n].name)))
			n++;
		if (!rest)
			break;
		uint32_t count = 0;
		while (*rest == ' ')
			rest++;
		while (*rest >= '0' && *rest <= '9')
			count = 10 * count + *rest++ - '0';
		ways[n].run(count ? count : 1);
		tell("tried", count);
		while (*rest == ' ')
			rest++;
		line = rest;
	}
	say(works() ? "honest " : "not even honest ");
	tell("read", data[0]);
	reset();
}
