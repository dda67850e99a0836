/* Bytes from one process to another through shared memory, without a system call per byte. */
#include "native.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* More than a writer that means well can be ahead of the last look at it; fewer tries are lost to one that writes on. */
static const uint64_t MOST_AHEAD = 1ull << 40;
enum { TRIES = 8, PAGE = 4096 };

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

int ring_create(struct ring *ring, void *memory, size_t length)
{
	size_t size = 1;
	if (length < sizeof *ring->shared + PAGE)
		return -EINVAL;
	while (size * 2 <= length - sizeof *ring->shared)
		size *= 2;
	*ring = (struct ring){ .shared = memory, .size = size };
	return 0;
}

/* One look at what the writer says that it has written. False: it cannot have been a writer that means well. */
static bool look(struct ring *ring, uint64_t *ret)
{
	uint64_t head = atomic_load(&ring->shared->head);
	if (head - ring->seen > MOST_AHEAD) /* or behind it */
		ring->broken = true;
	else
		ring->seen = head;
	*ret = ring->seen;
	return !ring->broken;
}

/* How much room there is, by a look at what the reader says that it has taken. */
static uint64_t room_in(struct ring *ring)
{
	uint64_t full = ring->written - atomic_load(&ring->shared->tail);
	if (full > ring->size)
		ring->broken = true;
	return ring->broken ? 0 : ring->size - full;
}

static void copy(const struct ring *ring, uint64_t position, uint8_t *buffer, size_t count)
{
	size_t start = position & (ring->size - 1);
	size_t first = count < ring->size - start ? count : ring->size - start;
	memcpy(buffer, ring->shared->data + start, first);
	memcpy(buffer + first, ring->shared->data, count - first);
}

/* Copies what follows *position; what was overwritten meanwhile is counted in *lost and skipped: all of it, when the
 * writer is always faster, or broken. */
size_t ring_read(struct ring *ring, uint64_t *position, uint8_t *buffer, size_t length, uint64_t *lost)
{
	uint64_t head;
	bool sound = look(ring, &head);
	for (int n = 0; sound && n < TRIES; n++) {
		if (head - *position >= ring->size) { /* the writer may be at the oldest byte right now */
			*lost += head - ring->size + 1 - *position;
			*position = head - ring->size + 1;
		}
		size_t count = head - *position < length ? head - *position : length;
		copy(ring, *position, buffer, count);
		sound = look(ring, &head);
		if (!sound || head - *position >= ring->size)
			continue; /* the writer came round and overwrote part of the copy */
		*position += count;
		return count;
	}
	*lost += head - *position;
	*position = head;
	return 0;
}

/* A writer that may wait calls this: it writes what has room behind the reader's tail, and tells the reader. */
size_t ring_write(struct ring *ring, int event, const uint8_t *bytes, size_t length)
{
	uint64_t room = room_in(ring);
	size_t count = length < room ? length : room;
	for (size_t n = 0; n < count; n++)
		ring->shared->data[(ring->written + n) & (ring->size - 1)] = bytes[n];
	ring->written += count;
	atomic_store(&ring->shared->head, ring->written);
	if (count)
		ring_bell(event);
	return count;
}

/* Asks for a wake-up at the next byte. False: there already is one, do not sleep. */
bool ring_wait(struct ring *ring, uint64_t position)
{
	uint64_t head;
	atomic_store(&ring->shared->waiting, 1);
	if (!look(ring, &head) || head == position)
		return true;
	atomic_store(&ring->shared->waiting, 0);
	return false;
}

/* Asks for a wake-up at the next room. False: there already is some. */
bool ring_stuck(struct ring *ring)
{
	atomic_store(&ring->shared->stuck, 1);
	if (!room_in(ring))
		return true;
	atomic_store(&ring->shared->stuck, 0);
	return false;
}

/* How many bytes were ever written. */
uint64_t ring_head(struct ring *ring)
{
	uint64_t head;
	look(ring, &head);
	return head;
}

/* Whether the other side has written what no ring can hold: it is looked at now, whether or not there is use for it. */
bool ring_broken(struct ring *ring)
{
	uint64_t head;
	return !look(ring, &head) || room_in(ring) > ring->size || ring->broken;
}

void ring_overwrite(struct ring *ring, int event, uint8_t byte)
{
	ring->shared->data[ring->written & (ring->size - 1)] = byte;
	atomic_store(&ring->shared->head, ++ring->written);
	wake(&ring->shared->waiting, event);
}

bool ring_take(struct ring *ring, int room_event, uint8_t *ret)
{
	if (ring_empty(ring))
		return false;
	*ret = ring->shared->data[ring->taken & (ring->size - 1)];
	atomic_store(&ring->shared->tail, ++ring->taken);
	wake(&ring->shared->stuck, room_event);
	return true;
}

bool ring_empty(struct ring *ring)
{
	return ring->taken == atomic_load(&ring->shared->head);
}
