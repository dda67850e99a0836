/* The MSI-X table of a function (PCI Local Bus 3.0, 6.8.2), as its driver fills it: bytes. What they mean, and which
 * interrupts are wired then, is said by whoever is asked about the writes from which something follows. */
#include "native.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

enum { CONTROL = PCI_MSIX_ENTRY_VECTOR_CTRL, MASKED = PCI_MSIX_ENTRY_CTRL_MASKBIT };

struct entry {
	uint8_t bytes[PCI_MSIX_ENTRY_SIZE];
};

/* All are masked and zero, as after a reset. `bytes` has MSIX_ENTRY for each vector. */
int msix_create(struct msix *msix, uint8_t *bytes, uint32_t vectors)
{
	if (vectors > MSIX_MOST_VECTORS)
		return -EINVAL;
	pthread_mutex_init(&msix->lock, NULL);
	msix->bytes = bytes;
	msix->size = vectors * PCI_MSIX_ENTRY_SIZE;
	memset(bytes, 0, msix->size);
	for (uint32_t at = CONTROL; at < msix->size; at += PCI_MSIX_ENTRY_SIZE)
		bytes[at] = MASKED;
	return 0;
}

static uint32_t inside(const struct msix *msix, uint32_t offset, uint32_t size)
{
	uint32_t left = offset < msix->size ? msix->size - offset : 0;
	return size < left ? size : left;
}

/* What is behind the table is zero. */
uint64_t msix_read(struct msix *msix, uint32_t offset, uint32_t size)
{
	uint64_t value = 0;
	uint32_t count = inside(msix, offset, size < sizeof value ? size : sizeof value);
	pthread_mutex_lock(&msix->lock);
	if (count)
		memcpy(&value, msix->bytes + offset, count);
	pthread_mutex_unlock(&msix->lock);
	return value;
}

/* Of an entry's control only the mask is kept. */
static uint8_t kept(uint32_t place, uint8_t byte)
{
	uint32_t in_entry = place % PCI_MSIX_ENTRY_SIZE;
	return in_entry < CONTROL ? byte : in_entry == CONTROL ? byte & MASKED : 0;
}

static struct entry entry_of(const struct msix *msix, uint32_t number)
{
	struct entry entry;
	memcpy(entry.bytes, msix->bytes + number * PCI_MSIX_ENTRY_SIZE, sizeof entry.bytes);
	return entry;
}

static bool is_masked(const struct entry *entry)
{
	return entry->bytes[CONTROL] & MASKED;
}

/* A driver that gives one an address is going to use it: it has its vector from then on, masked or not. */
static bool has_address(const struct entry *entry)
{
	uint64_t address;
	memcpy(&address, entry->bytes, sizeof address);
	return address != 0;
}

/* Nothing follows while the entry is masked before and after, and was in use or was not. */
static bool follows(const struct msix *msix, uint32_t offset, uint32_t count, uint64_t value)
{
	uint32_t number = offset / PCI_MSIX_ENTRY_SIZE, at = offset % PCI_MSIX_ENTRY_SIZE;
	if (at + count > PCI_MSIX_ENTRY_SIZE)
		return true;
	struct entry before = entry_of(msix, number), after = before;
	for (uint32_t n = 0; n < count; n++)
		after.bytes[at + n] = kept(at + n, value >> 8 * n);
	return !is_masked(&before) || !is_masked(&after) || has_address(&before) != has_address(&after);
}

/* Whether something follows from the write. Without `all`, one from which something does is not done. */
bool msix_write(struct msix *msix, uint32_t offset, uint32_t size, uint64_t value, bool all)
{
	uint32_t count = inside(msix, offset, size < sizeof value ? size : sizeof value);
	if (!count)
		return false;
	pthread_mutex_lock(&msix->lock);
	bool asks = follows(msix, offset, count, value);
	for (uint32_t n = 0; n < count && (all || !asks); n++)
		msix->bytes[offset + n] = kept(offset + n, value >> 8 * n);
	pthread_mutex_unlock(&msix->lock);
	return asks;
}
