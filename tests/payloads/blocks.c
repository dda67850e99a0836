/* A driver of the virtio function at 00:01.0, above all of a disk, that does as its command line says: `WHAT COUNT`.
 *
 *   reads     reads COUNT blocks one after the other and tells the first byte of each
 *   outside   rings where there is no RAM, COUNT places in turn
 *   wrapped   COUNT times an index that is far ahead of what was offered
 *   requests  COUNT requests whose buffers are nowhere, endless, or chained to themselves
 *   midway    COUNT resets while a request is on its way
 *   late      the same, and looks whether its buffer is written afterwards
 *   forgotten COUNT resets of a disk whose rings are somebody else's memory by then
 *   toggles   COUNT times DRIVER_OK and reset, with nothing between
 *   registers COUNT writes of random values to random places of the function's BAR
 *
 * Whatever it was, an honest start follows, and of a disk a read: `honest` tells whether that worked.
 */
#include "virtio.h"

static void read_honestly(uint32_t count)
{
	start();
	for (uint32_t n = 0; n < count; n++) {
		const char *what = reads(n) ? "block" : "failed";
		tell(what, data[0]);
	}
}

/* Above RAM, at the devices, at the end of the address space, where 64 bits overflow, and over the end of RAM. */
static const struct { uint32_t address, high; } NOWHERE[] = {
	{0xb0000000, 0}, {0xfee00000, 0}, {0xfffff000, 0xffffffff}, {0, 0x80000000}, {0xfffffff0, 0xffffffff}, {0x01ffffc0, 0},
};

static void outside(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		uint32_t address = NOWHERE[n % 6].address, high = NOWHERE[n % 6].high;
		negotiate();
		queue(address, address, address, high);
		common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
		*doorbell = 0;
		if (common->status & NEEDS_RESET)
			say("wants a reset\n");
	}
}

static void wrapped(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		start();
		for (int one = 0; one < RING; one++)
			offered.ring[one] = random();
		offered.index = random() | 0x8000;
		BARRIER();
		*doorbell = 0;
		reset();
	}
}

static void requests(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		start();
		for (int one = 0; one < RING; one++) {
			describe(one, (void *)random(), random(), random() & 7, random());
			table[one].high = random() & 1 ? 0 : random();
		}
		describe(RING - 1, &request, sizeof request, NEXT, RING - 1);
		for (int one = 0; one < 8; one++)
			offer(random() % RING);
		reset();
	}
}

static void midway(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		start();
		ask(n % 64);
		reset();
	}
}

static void late(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		start();
		ask(n);
		offer(0); /* once more: an engine that may do so much in a second does the first at once */
		reset();
		*(volatile uint8_t *)data = verdict = 0xff;
		uint64_t began = __builtin_ia32_rdtsc();
		while (__builtin_ia32_rdtsc() - began < LATE)
			;
		tell("late", *(volatile uint8_t *)data != 0xff || verdict != 0xff);
	}
}

/* As a kernel does that another one has started (kexec), which knows nothing of the rings. */
static void forgotten(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		start();
		reads(n % 64);
		for (unsigned at = 0; at < sizeof offered; at++)
			((volatile uint8_t *)&offered)[at] = random() | 0x80;
		for (unsigned at = 0; at < sizeof used; at++)
			((volatile uint8_t *)&used)[at] = random() & 0x7f;
		reset();
	}
}

static void toggles(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++)
		start();
}

static void registers(uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		uint32_t where = random() & 0x3fff;
		if (random() & 1)
			where &= 0x3f; /* often where something is */
		volatile uint8_t *at = (volatile uint8_t *)common + where;
		uint32_t value = random() & 1 ? random() : random() & 15;
		if (random() & 1)
			*at = value;
		else if (random() & 1)
			*(volatile uint16_t *)at = value;
		else
			*(volatile uint32_t *)at = value;
	}
}

static const struct way WAYS[] = {
	{"reads", read_honestly}, {"outside", outside}, {"wrapped", wrapped}, {"requests", requests},
	{"midway", midway}, {"late", late}, {"forgotten", forgotten}, {"toggles", toggles},
	{"registers", registers},
};

void main(const char *line)
{
	go(line, WAYS, sizeof WAYS / sizeof *WAYS);
}
