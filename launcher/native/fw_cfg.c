/* What firmware asks of its machine: QEMU's fw_cfg, by ports and DMA (docs/specs/fw_cfg.rst). Its items are bytes of somebody
 * else's. The guest is hostile: whatever it selects, reads behind an end or gives as an address is zeroes or an error bit. */
#include "native.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum { SELECTOR = 0, DATA = 1, DMA_HIGH = 4, DMA_LOW = 8, END = 12 };       /* registers, from the first port on */
enum { FAILED = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };           /* in a request's control word */
enum { MOST = 16 << 20 };                                                    /* bytes of one transfer */

struct request {
	uint32_t control, length;
	uint64_t guest;
};

int fw_cfg_create(struct fw_cfg *fw_cfg, const struct fw_cfg_memory *memory, uint32_t count)
{
	pthread_mutex_init(&fw_cfg->lock, NULL);
	fw_cfg->memory = memory;
	fw_cfg->count = count;
	return 0;
}

/* `bytes` stay there until there are others. `asks`: who selects it is asked about. */
int fw_cfg_put(struct fw_cfg *fw_cfg, uint32_t key, const uint8_t *bytes, uint32_t size, bool asks)
{
	if (key >= FW_CFG_ITEMS)
		return -EINVAL;
	pthread_mutex_lock(&fw_cfg->lock);
	fw_cfg->items[key] = (struct fw_cfg_item){ bytes, size, asks };
	pthread_mutex_unlock(&fw_cfg->lock);
	return 0;
}

/* How many bytes of guest RAM are in one piece at `guest`, at most `size`, and where; 0: none. */
static uint64_t piece(const struct fw_cfg *fw_cfg, uint64_t guest, uint64_t size, uint8_t **ret)
{
	for (uint32_t n = 0; n < fw_cfg->count; n++) {
		const struct fw_cfg_memory *one = &fw_cfg->memory[n];
		if (guest < one->guest || guest - one->guest >= one->size)
			continue;
		uint64_t at = guest - one->guest, left = one->size - at;
		*ret = (uint8_t *)(uintptr_t)one->host + at;
		return size < left ? size : left;
	}
	return 0;
}

static bool is_ram(const struct fw_cfg *fw_cfg, uint64_t guest, uint64_t size)
{
	uint8_t *at;
	while (size) {
		uint64_t count = piece(fw_cfg, guest, size, &at);
		if (!count)
			return false;
		guest += count;
		size -= count;
	}
	return true;
}

/* All of it is RAM. */
static void read_guest(const struct fw_cfg *fw_cfg, uint64_t guest, void *bytes, uint64_t size)
{
	uint8_t *at, *to = bytes;
	for (uint64_t done = 0, count; done < size; done += count) {
		count = piece(fw_cfg, guest + done, size - done, &at);
		memcpy(to + done, at, count);
	}
}

/* All of it is RAM. NULL: zeroes. */
static void write_guest(const struct fw_cfg *fw_cfg, uint64_t guest, const void *bytes, uint64_t size)
{
	uint8_t *at;
	const uint8_t *from = bytes;
	for (uint64_t done = 0, count; done < size; done += count) {
		count = piece(fw_cfg, guest + done, size - done, &at);
		if (from)
			memcpy(at, from + done, count);
		else
			memset(at, 0, count);
	}
}

static const struct fw_cfg_item *selected(const struct fw_cfg *fw_cfg)
{
	static const struct fw_cfg_item none;
	return fw_cfg->key < FW_CFG_ITEMS ? &fw_cfg->items[fw_cfg->key] : &none;
}

static void select_item(struct fw_cfg *fw_cfg, uint16_t key)
{
	fw_cfg->key = key;
	fw_cfg->at = 0;
}

/* How many bytes there are up to the end of the item, at most `size`; they are done with. */
static uint32_t take(struct fw_cfg *fw_cfg, uint32_t size, const uint8_t **ret)
{
	const struct fw_cfg_item *item = selected(fw_cfg);
	uint32_t left = fw_cfg->at < item->size ? item->size - fw_cfg->at : 0, count = size < left ? size : left;
	*ret = item->bytes + fw_cfg->at;
	fw_cfg->at += count;
	return count;
}

/* Nothing here is to be written; a read that does not fit into RAM as a whole moves nothing. */
static bool moved(struct fw_cfg *fw_cfg, const struct request *request)
{
	const uint8_t *bytes;
	if (request->length > MOST || ((request->control & WRITE) && !(request->control & READ)))
		return false;
	if (request->control & READ) {
		if (!is_ram(fw_cfg, request->guest, request->length))
			return false;
		uint32_t count = take(fw_cfg, request->length, &bytes);
		write_guest(fw_cfg, request->guest, bytes, count);
		write_guest(fw_cfg, request->guest + count, NULL, request->length - count);
	} else if (request->control & SKIP) {
		take(fw_cfg, request->length, &bytes);
	}
	return true;
}

/* False: it is in no RAM, and cannot be answered. */
static bool find_request(const struct fw_cfg *fw_cfg, uint64_t guest, struct request *ret)
{
	struct request found;
	if (!is_ram(fw_cfg, guest, sizeof found))
		return false;
	read_guest(fw_cfg, guest, &found, sizeof found);
	*ret = (struct request){ be32toh(found.control), be32toh(found.length), be64toh(found.guest) };
	return true;
}

static void transfer(struct fw_cfg *fw_cfg, uint64_t guest)
{
	struct request request;
	if (!find_request(fw_cfg, guest, &request))
		return;
	if (request.control & SELECT)
		select_item(fw_cfg, request.control >> 16);
	uint32_t done = htobe32(moved(fw_cfg, &request) ? 0 : FAILED);
	if (is_ram(fw_cfg, guest, sizeof done))
		write_guest(fw_cfg, guest, &done, sizeof done);
}

static bool asks(const struct fw_cfg *fw_cfg, uint32_t offset, uint32_t size, uint64_t value)
{
	struct request request;
	uint32_t key = FW_CFG_ITEMS;
	if (offset == SELECTOR && size == 2)
		key = value;
	else if (offset == DMA_LOW && size == 4 &&
		 find_request(fw_cfg, (uint64_t)fw_cfg->high << 32 | be32toh(value), &request) && (request.control & SELECT))
		key = request.control >> 16;
	return key < FW_CFG_ITEMS && fw_cfg->items[key].asks;
}

static void write_register(struct fw_cfg *fw_cfg, uint32_t offset, uint32_t size, uint64_t value)
{
	if (offset == SELECTOR && size == 2) {
		select_item(fw_cfg, value);
	} else if (offset == DMA_HIGH && size == 4) {
		fw_cfg->high = be32toh(value);
	} else if (offset == DMA_LOW && size == 4) {
		transfer(fw_cfg, (uint64_t)fw_cfg->high << 32 | be32toh(value));
		fw_cfg->high = 0;
	}
}

/* Whether it selects an item that is asked about. Without `all`, one that does is not done. */
bool fw_cfg_write(struct fw_cfg *fw_cfg, uint32_t offset, uint32_t size, uint64_t value, bool all)
{
	pthread_mutex_lock(&fw_cfg->lock);
	bool asked = asks(fw_cfg, offset, size, value);
	if (all || !asked)
		write_register(fw_cfg, offset, size, value);
	pthread_mutex_unlock(&fw_cfg->lock);
	return asked;
}

/* What nobody has there reads as all ones. */
uint64_t fw_cfg_read(struct fw_cfg *fw_cfg, uint32_t offset, uint32_t size)
{
	uint64_t value = UINT64_MAX;
	const uint8_t *bytes;
	if (offset == DATA && size == 1) {
		pthread_mutex_lock(&fw_cfg->lock);
		value = take(fw_cfg, 1, &bytes) ? *bytes : 0;
		pthread_mutex_unlock(&fw_cfg->lock);
	} else if (offset >= DMA_HIGH && offset < END && size <= END - offset) {
		value = 0;
		memcpy(&value, "QEMU CFG" + (offset - DMA_HIGH), size);
	}
	return value;
}
