/* PCI configuration space of bus 0: by CF8/CFC (PCI Local Bus 3.0, 3.2.2.3.2) and by ECAM (PCI Express 5.0, 7.2.2). */
#include "native.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ENABLE = 0x80000000u, BUS_MASK = 0x00ff0000, FUNCTION_SHIFT = 8, REGISTER_MASK = 0xfc };

int config_set(struct config *config, uint8_t function, const uint8_t *image, const uint8_t *const asks[2])
{
	struct config_space *space = malloc(sizeof *space);
	if (!space)
		return -ENOMEM;
	memcpy(space->image, image, CONFIG_SIZE);
	for (int write = 0; write < 2; write++)
		for (int at = 0; at < CONFIG_SIZE; at++)
			space->asks[write][at] = asks[write][at];
	free(config->functions[function]);
	config->functions[function] = space;
	return 0;
}

void config_destroy(struct config *config)
{
	for (int function = 0; function < FUNCTIONS; function++)
		free(config->functions[function]);
}

int config_change(struct config *config, uint8_t function, uint32_t offset, const uint8_t *bytes, uint32_t size)
{
	struct config_space *space = config->functions[function];
	if (!space || offset > CONFIG_SIZE || size > CONFIG_SIZE - offset)
		return -EINVAL;
	memcpy(space->image + offset, bytes, size);
	return 0;
}

/* How much of the access is inside. */
static uint32_t inside(uint32_t offset, uint32_t size)
{
	return offset >= CONFIG_SIZE ? 0 : size < CONFIG_SIZE - offset ? size : CONFIG_SIZE - offset;
}

bool config_asks(struct config *config, uint8_t function, uint32_t offset, uint32_t size, bool write)
{
	const struct config_space *space = config->functions[function];
	return space && memchr(space->asks[write] + offset, true, inside(offset, size));
}

/* What an image has there. The guest reads all ones where there is no function, and behind the end. */
uint64_t config_read(struct config *config, uint8_t function, uint32_t offset, uint32_t size)
{
	uint64_t value = UINT64_MAX;
	const struct config_space *space = config->functions[function];
	if (space && size <= sizeof value)
		memcpy(&value, space->image + offset, inside(offset, size));
	return value;
}

/* What the address port reads. */
uint32_t config_read_address(struct config *config, uint64_t offset, uint32_t size)
{
	return offset == 0 && size == 4 ? atomic_load(&config->address) : UINT32_MAX;
}

/* True: an access at `offset` of the eight ports is one to the data port, *ret is function << 12 | offset. */
bool config_data_port(struct config *config, uint64_t offset, uint32_t *ret)
{
	uint32_t address = atomic_load(&config->address);
	if (offset < 4 || !(address & ENABLE) || (address & BUS_MASK))
		return false;
	*ret = (address >> FUNCTION_SHIFT & 0xff) << 12 | ((address & REGISTER_MASK) + (uint32_t)(offset - 4));
	return true;
}

void config_write_address(struct config *config, uint64_t offset, uint32_t size, uint32_t value)
{
	if (offset == 0 && size == 4)
		atomic_store(&config->address, value);
}
