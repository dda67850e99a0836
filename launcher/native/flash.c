/* Flash that keeps firmware's variables: the Intel command set (JEP137, 0x0001) of a chip with a byte-wide bus that is
 * never busy. The guest reads its array from a memslot that it cannot write to; what it writes comes here. */
#include "native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, MOST_BUFFER = 256 };

enum {
	PROGRAM = 0x10, PROGRAM_TOO = 0x40, ERASE = 0x20, CONFIRM = 0xd0, BUFFER = 0xe8, READ_STATUS = 0x70, CLEAR_STATUS = 0x50,
	READ_IDENTITY = 0x90, READ_QUERY = 0x98, READ_ARRAY = 0xff,
};

/* In the status. It is 0 after CLEAR_STATUS, as firmware for QEMU's flash expects; READY comes with the next program or
 * erase. */
enum { READY = 0x80, SEQUENCE_ERROR = 0x30 };

void flash_create(struct flash *flash)
{
	pthread_mutex_init(&flash->lock, NULL);
	flash->file = -1;
}

void flash_destroy(struct flash *flash)
{
	pthread_mutex_destroy(&flash->lock);
}

/* Once, before any vCPU runs. */
int flash_set(struct flash *flash, int vm, uint32_t slot, uint64_t guest, uint8_t *array, uint64_t size, int file)
{
	if (!size || size % BLOCK)
		return -EINVAL;
	flash->vm = vm;
	flash->slot = slot;
	flash->guest = guest;
	flash->array = array;
	flash->size = size;
	flash->file = file;
	return 0;
}

/* Without a memslot, reads come here, too. KVM makes and deletes one in no time that a guest sees; it is done for the
 * commands alone after which the guest wants to read something else. */
static void show_array(struct flash *flash, bool shown)
{
	struct kvm_userspace_memory_region region = {
		.slot = flash->slot, .flags = KVM_MEM_READONLY, .guest_phys_addr = flash->guest,
		.memory_size = shown ? flash->size : 0, .userspace_addr = (uintptr_t)flash->array,
	};
	if (shown == flash->hidden && ioctl(flash->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0)
		flash->hidden = !shown;
}

/* What the file has is what the guest finds in its next life: each write is there when the guest goes on. */
static void keep(struct flash *flash, uint64_t offset, uint64_t size)
{
	if (flash->file < 0)
		return;
	flash->dirty = true;
	if (pwrite(flash->file, flash->array + offset, size, (off_t)offset) != (ssize_t)size)
		flash->lost++;
}

/* Firmware orders its writes so that a loss of power between two of them leaves the old or the new, and wants its array
 * back after each. So what came before is on the disk before what comes after. */
static void settle(struct flash *flash)
{
	if (!flash->dirty)
		return;
	flash->dirty = false;
	if (fdatasync(flash->file))
		flash->lost++;
}

/* Programming clears bits; only erasing sets them. */
static void program(struct flash *flash, uint64_t offset, const uint8_t *bytes, uint32_t size)
{
	for (uint32_t n = 0; n < size; n++)
		flash->array[offset + n] &= bytes[n];
	flash->status |= READY;
	flash->writes++;
	keep(flash, offset, size);
}

static void erase(struct flash *flash, uint64_t offset)
{
	uint64_t block = offset / BLOCK * BLOCK;
	memset(flash->array + block, 0xff, BLOCK);
	flash->status |= READY;
	flash->writes++;
	keep(flash, block, BLOCK);
}

static void wrong_sequence(struct flash *flash)
{
	flash->status |= READY | SEQUENCE_ERROR;
	flash->step = FLASH_COMMAND;
}

static void begin(struct flash *flash, uint8_t command)
{
	switch (command) {
	case PROGRAM:
	case PROGRAM_TOO:
		flash->step = FLASH_PROGRAM;
		return;
	case ERASE:
		flash->step = FLASH_ERASE;
		return;
	case BUFFER:
		flash->step = FLASH_COUNT;
		flash->status |= READY; /* there is room in the buffer */
		return;
	case CLEAR_STATUS:
		flash->status = 0;
		command = READ_ARRAY;
	}
	bool other = command == READ_STATUS || command == READ_IDENTITY || command == READ_QUERY;
	flash->reads = other ? command : READ_ARRAY; /* what is no command leaves the array to be read */
	settle(flash);
	show_array(flash, !other);
}

/* The bytes of one buffer lie in one block; what is left out stays as it is. */
static void fill(struct flash *flash, uint64_t offset, const uint8_t *bytes, uint32_t size)
{
	if (flash->filled == 0)
		flash->start = offset;
	if (offset != flash->start + flash->filled || flash->filled + size > flash->count) {
		wrong_sequence(flash);
		return;
	}
	memcpy(flash->buffer + flash->filled, bytes, size);
	flash->filled += size;
	if (flash->filled == flash->count)
		flash->step = FLASH_CONFIRM;
}

static void confirm(struct flash *flash, uint8_t command)
{
	if (command != CONFIRM || flash->start / BLOCK != (flash->start + flash->count - 1) / BLOCK) {
		wrong_sequence(flash);
		return;
	}
	program(flash, flash->start, flash->buffer, flash->count);
	flash->step = FLASH_COMMAND;
}

static void take(struct flash *flash, uint64_t offset, const uint8_t *bytes, uint32_t size)
{
	switch (flash->step) {
	case FLASH_COMMAND:
		begin(flash, bytes[0]);
		return;
	case FLASH_PROGRAM:
		program(flash, offset, bytes, size);
		flash->step = FLASH_COMMAND;
		return;
	case FLASH_ERASE:
		if (bytes[0] != CONFIRM) {
			wrong_sequence(flash);
			return;
		}
		erase(flash, offset);
		flash->step = FLASH_COMMAND;
		return;
	case FLASH_COUNT: /* less one, as one byte has it */
		flash->count = (uint32_t)bytes[0] + 1;
		flash->filled = 0;
		flash->step = FLASH_FILL;
		return;
	case FLASH_FILL:
		fill(flash, offset, bytes, size);
		return;
	case FLASH_CONFIRM:
		confirm(flash, bytes[0]);
	}
}

/* `offset` and `size` are within the flash, and `size` is at most 8: a trap holds the whole access. */
void flash_write(struct flash *flash, uint64_t offset, uint32_t size, uint64_t value)
{
	uint8_t bytes[sizeof value];
	memcpy(bytes, &value, sizeof value);
	pthread_mutex_lock(&flash->lock);
	take(flash, offset, bytes, size);
	pthread_mutex_unlock(&flash->lock);
}

/* Common Flash Interface (JESD68.01): QRY, the Intel command set, one region of blocks, buffers of 256 bytes. */
static uint8_t query(const struct flash *flash, uint64_t offset)
{
	uint32_t blocks = (uint32_t)(flash->size / BLOCK) - 1;
	switch (offset & 0xff) {
	case 0x10: return 'Q';
	case 0x11: return 'R';
	case 0x12: return 'Y';
	case 0x13: return 0x01; /* primary command set */
	case 0x15: return 0x31; /* where its extended table would be */
	case 0x27: return (uint8_t)(63 - __builtin_clzll(flash->size)); /* 2^n bytes, rounded down */
	case 0x2a: return 8;    /* 2^n bytes in a buffer */
	case 0x2c: return 1;    /* regions */
	case 0x2d: return (uint8_t)blocks;
	case 0x2e: return (uint8_t)(blocks >> 8);
	case 0x2f: return BLOCK / 256 & 0xff;
	case 0x30: return BLOCK / 256 >> 8;
	}
	return 0;
}

static uint8_t read_byte(const struct flash *flash, uint64_t offset)
{
	switch (flash->reads) {
	case READ_STATUS:
		return flash->status;
	case READ_IDENTITY:
		return offset & 0xff ? (offset & 0xff) == 1 ? 0x18 : 0 : 0x89; /* Intel; the device that QEMU has, too */
	case READ_QUERY:
		return query(flash, offset);
	}
	return flash->array[offset];
}

uint64_t flash_read(struct flash *flash, uint64_t offset, uint32_t size)
{
	uint64_t value = 0;
	pthread_mutex_lock(&flash->lock);
	for (uint32_t n = 0; n < size; n++)
		value |= (uint64_t)read_byte(flash, offset + n) << 8 * n;
	pthread_mutex_unlock(&flash->lock);
	return value;
}
