/* Bytes from one process to another through shared memory, without a system call per byte. */
#include "native.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void ring_bell(int event)
{
	uint64_t one = 1;
	ssize_t written = write(event, &one, sizeof one); /* an eventfd that is full rings already */
	(void)written;
}

static void wake(_Atomic uint32_t *flag, int event)
{
	if (atomic_load(flag) && atomic_exchange(flag, 0))
		ring_bell(event);
}

int ring_format(void *memory, size_t length)
{
	struct ring *ring = memory;
	size_t size = 1;
	if (length < sizeof *ring + 4096)
		return -EINVAL;
	while (size * 2 <= length - sizeof *ring)
		size *= 2;
	ring->size = size;
	return 0;
}

/* Copies what follows *position; what was overwritten meanwhile is counted in *lost and skipped. */
size_t ring_read(void *memory, uint64_t *position, uint8_t *buffer, size_t length, uint64_t *lost)
{
	struct ring *ring = memory;
	for (;;) {
		uint64_t head = atomic_load(&ring->head);
		if (head - *position >= ring->size) { /* the writer may be at the oldest byte right now */
			*lost += head - ring->size + 1 - *position;
			*position = head - ring->size + 1;
		}
		size_t count = head - *position;
		if (count > length)
			count = length;
		size_t start = *position & (ring->size - 1);
		size_t first = count < ring->size - start ? count : ring->size - start;
		memcpy(buffer, ring->data + start, first);
		memcpy(buffer + first, ring->data, count - first);
		if (atomic_load(&ring->head) - *position >= ring->size)
			continue; /* the writer came round and overwrote part of the copy */
		*position += count;
		return count;
	}
}

/* For the writer that waits: takes what has room behind the reader's tail, and tells the reader. */
size_t ring_write(void *memory, int event, const uint8_t *bytes, size_t length)
{
	struct ring *ring = memory;
	uint64_t head = atomic_load(&ring->head);
	size_t room = ring->size - (head - atomic_load(&ring->tail));
	size_t count = length < room ? length : room;
	for (size_t n = 0; n < count; n++)
		ring->data[(head + n) & (ring->size - 1)] = bytes[n];
	atomic_store(&ring->head, head + count);
	if (count)
		ring_bell(event);
	return count;
}

/* Asks for a wake-up at the next byte. False: there already is one, do not sleep. */
bool ring_wait(void *memory, uint64_t position)
{
	struct ring *ring = memory;
	atomic_store(&ring->waiting, 1);
	if (atomic_load(&ring->head) == position)
		return true;
	atomic_store(&ring->waiting, 0);
	return false;
}

/* Asks for a wake-up at the next room. False: there already is some. */
bool ring_stuck(void *memory)
{
	struct ring *ring = memory;
	atomic_store(&ring->stuck, 1);
	if (atomic_load(&ring->head) - atomic_load(&ring->tail) == ring->size)
		return true;
	atomic_store(&ring->stuck, 0);
	return false;
}

uint64_t ring_head(void *memory)
{
	struct ring *ring = memory;
	return atomic_load(&ring->head);
}

void ring_overwrite(struct ring *ring, int event, uint8_t byte)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	ring->data[head & (ring->size - 1)] = byte;
	atomic_store(&ring->head, head + 1);
	wake(&ring->waiting, event);
}

bool ring_take(struct ring *ring, int room_event, uint8_t *ret)
{
	uint64_t tail = atomic_load(&ring->tail);
	if (tail == atomic_load(&ring->head))
		return false;
	*ret = ring->data[tail & (ring->size - 1)];
	atomic_store(&ring->tail, tail + 1);
	wake(&ring->stuck, room_event);
	return true;
}

bool ring_empty(struct ring *ring)
{
	return atomic_load(&ring->tail) == atomic_load(&ring->head);
}
