/* A firmware that does to its flash and to fw_cfg what the flash's first byte says: `k`eeps a word as EDK2 does, writes
 * `r`andom commands, or gives fw_cfg `d`MA requests from random places for random places. It tells what it found. */
#include <stdint.h>

enum { COM1 = 0x3f8, PM_CONTROL = 0x604, PM_TIMER = 0x608, KEYBOARD = 0x64, SLEEP = 0x2000 };
enum { FLASH = 0xfffe0000, BLOCK = 0x1000, SIZE = 0x10000, MANY = 6000 };
enum { SELECTOR = 0x510, DATA = 0x511, DMA_HIGH = 0x514, DMA_LOW = 0x518, READ = 2, SELECT = 8 };

static inline void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static inline void out16(uint16_t port, uint16_t value) { __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port)); }
static inline void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }
static inline uint8_t in8(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline uint32_t in32(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static volatile uint8_t *flash(uint32_t offset) { return (volatile uint8_t *)(FLASH + offset); }

static void say(const char *text)
{
	while (*text)
		out8(COM1, *text++);
}

static void say_number(const char *what, uint32_t value)
{
	say(what);
	for (int shift = 28; shift >= 0; shift -= 4)
		out8(COM1, "0123456789abcdef"[value >> shift & 15]);
	say("\n");
}

static uint32_t random(uint32_t *seed) { return *seed = *seed * 1103515245 + 12345, *seed >> 8; }

static void program(uint32_t offset, const char *text)
{
	for (; *text; offset++) {
		*flash(offset) = 0x10;
		*flash(offset) = (uint8_t)*text++;
	}
	*flash(offset - 1) = 0xff;
}

static void erase(uint32_t offset)
{
	*flash(offset) = 0x20;
	*flash(offset) = 0xd0;
	*flash(offset) = 0xff;
}

/* OvmfPkg/QemuFlashFvbServicesRuntimeDxe asks so whether it has flash, RAM or ROM before it. */
static void detect(void)
{
	uint8_t before = *flash(0);
	*flash(0) = 0x50;
	say_number("array ", *flash(0) == before);
	*flash(0) = 0x70;
	say_number("status ", *flash(0));
	*flash(0) = 0x98;
	say_number("query ", *flash(0x10));
	*flash(0) = 0xff;
}

static void keep(void)
{
	detect();
	say_number("found ", *flash(BLOCK));
	program(BLOCK, "word");
	say_number("programmed ", *(volatile uint32_t *)flash(BLOCK));
	program(BLOCK, "\x01");
	say_number("cleared ", *flash(BLOCK));
	erase(BLOCK + 5);
	say_number("erased ", *flash(BLOCK));
	*flash(BLOCK) = 0xe8;
	*flash(BLOCK) = 3;
	for (int n = 0; n < 4; n++)
		*flash(BLOCK + n) = (uint8_t)"kept"[n];
	*flash(BLOCK) = 0xd0;
	*flash(BLOCK) = 0xff;
	say_number("buffered ", *(volatile uint32_t *)flash(BLOCK));
}

static void write_anything(void)
{
	uint32_t seed = 1, sum = 0;
	for (uint32_t n = 0; n < MANY; n++) {
		uint32_t at = BLOCK + random(&seed) % (SIZE - BLOCK - 4);
		static const uint8_t commands[] = { 0x10, 0x20, 0x40, 0x50, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff };
		uint8_t value = random(&seed) % 4 ? commands[random(&seed) % sizeof commands] : random(&seed);
		if (random(&seed) % 4)
			*flash(at) = value;
		else
			*(volatile uint32_t *)flash(at) = value;
		sum += *flash(at);
	}
	*flash(BLOCK) = 0xff; /* may be a buffer's last byte, or what no erase is confirmed with */
	for (int n = 0; n < 600; n++)
		*flash(BLOCK) = 0xff;
	erase(BLOCK);
	erase(BLOCK);
	program(BLOCK, "kept");
	say_number("after all ", *(volatile uint32_t *)flash(BLOCK));
}

struct request { uint32_t control, length, high, low; };

static uint32_t big(uint32_t value) { return __builtin_bswap32(value); }

static void ask(uint32_t high, uint32_t low)
{
	__asm__ volatile("" ::: "memory");
	out32(DMA_HIGH, big(high));
	out32(DMA_LOW, big(low));
	__asm__ volatile("" ::: "memory");
}

static void ask_anything(void)
{
	uint32_t seed = 7;
	volatile uint32_t signature = 0;
	struct request request;
	for (uint32_t n = 0; n < MANY / 12; n++) {
		uint32_t place = random(&seed) % 3 ? random(&seed) << 8 | 0x80000000 : 0x100000 + random(&seed) % 0x100000;
		request = (struct request){ random(&seed), random(&seed) % 3 ? big(random(&seed) % 0x10000) : random(&seed) << 8,
					    random(&seed) % 2 ? random(&seed) : 0, big(place) };
		ask(random(&seed) % 4 ? 0 : random(&seed), random(&seed) % 2 ? (uint32_t)&request : place);
		out16(SELECTOR, random(&seed));
		in8(DATA);
	}
	request = (struct request){ big(READ | SELECT), big(4), 0, big((uint32_t)&signature) };
	ask(0, (uint32_t)&request);
	say_number("after all ", signature);
}

/* Its counter moves, and is back at the start within five seconds. */
static void tick(void)
{
	uint32_t first = in32(PM_TIMER), now = first;
	while (now == first)
		now = in32(PM_TIMER);
	say_number("ticks above 24 bits ", (first | now) >> 24);
	say_number("keyboard ", in8(KEYBOARD));
}

void main(void)
{
	uint8_t what = *flash(0);
	tick();
	if (what == 'r')
		write_anything();
	else if (what == 'd')
		ask_anything();
	else
		keep();
	out16(PM_CONTROL, SLEEP);
}
