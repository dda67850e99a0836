/* ACPI fixed hardware: PM1a event and control registers (ACPI 6.4, 4.8.3), power button, PM timer. */
#include "native.h"

#include <time.h>

enum { STATUS = 0, ENABLE = 2, CONTROL = 4, END = 8 };
enum { BUTTON = 0x0100, SCI_ENABLED = 0x0001, SLEEP_ENABLE = 0x2000 };

void power_create(struct power *power, int vm, int gsi)
{
	pthread_mutex_init(&power->lock, NULL);
	power->vm = vm;
	power->gsi = gsi;
	power->control = SCI_ENABLED; /* there is no SMI command to leave legacy mode with */
}

void power_destroy(struct power *power)
{
	pthread_mutex_destroy(&power->lock);
}

static void update_line(struct power *power)
{
	bool level = power->status & power->enable;
	if (level == power->level)
		return;
	power->level = level;
	struct kvm_irq_level line = { .irq = power->gsi, .level = level };
	ioctl(power->vm, KVM_IRQ_LINE, &line);
}

static uint8_t read_byte(struct power *power, uint64_t offset)
{
	if (offset >= END)
		return 0xff;
	uint64_t registers = power->status | (uint64_t)power->enable << 16 | (uint64_t)power->control << 32;
	return registers >> 8 * offset;
}

uint32_t power_read(struct power *power, uint64_t offset, uint32_t size)
{
	pthread_mutex_lock(&power->lock);
	uint32_t value = 0;
	for (uint32_t n = 0; n < size; n++)
		value |= (uint32_t)read_byte(power, offset + n) << 8 * n;
	pthread_mutex_unlock(&power->lock);
	return value;
}

static uint16_t put_byte(uint16_t word, uint64_t odd, uint8_t byte)
{
	return odd ? (word & 0x00ff) | byte << 8 : (word & 0xff00) | byte;
}

static void write_byte(struct power *power, uint64_t offset, uint8_t byte)
{
	uint64_t odd = offset & 1;
	switch (offset & ~1ull) {
	case STATUS:
		power->status &= ~(byte << 8 * odd); /* writing ones clears */
		break;
	case ENABLE:
		power->enable = put_byte(power->enable, odd, byte);
		break;
	case CONTROL:
		power->control = put_byte(power->control, odd, byte) | SCI_ENABLED;
		break;
	}
}

int power_write(struct power *power, uint64_t offset, uint32_t size, uint32_t value)
{
	pthread_mutex_lock(&power->lock);
	for (uint32_t n = 0; n < size; n++)
		write_byte(power, offset + n, value >> 8 * n);
	bool off = power->control & SLEEP_ENABLE; /* S5 is the only state that the DSDT offers */
	power->control &= ~SLEEP_ENABLE;
	update_line(power);
	pthread_mutex_unlock(&power->lock);
	return off ? EVENT_POWER_OFF : 0;
}

/* False: the guest does not listen to the button. */
bool power_press(struct power *power)
{
	pthread_mutex_lock(&power->lock);
	bool listens = power->enable & BUTTON;
	if (listens)
		power->status |= BUTTON;
	update_line(power);
	pthread_mutex_unlock(&power->lock);
	return listens;
}

/* The PM timer counts at 3.579545 MHz and has 24 bits (4.8.3.3). Firmware polls it by the million. */
uint32_t timer_read(uint32_t size)
{
	enum { RATE = 3579545, BITS = 0xffffff };
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t ticks = (uint64_t)now.tv_sec * RATE + (uint64_t)now.tv_nsec * RATE / 1000000000;
	return (uint32_t)(ticks & BITS & (UINT64_MAX >> (64 - 8 * size)));
}
