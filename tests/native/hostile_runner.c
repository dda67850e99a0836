/* hostile_runner COUNT SEED: a keeper reads and types COUNT times through rings whose shared words a runner that was
 * taken over scribbles over meanwhile. The rings are launcher/native/ as they are. To be built with sanitizers. 0, or a
 * sentence and a failure. */
#include "hostile.h"
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum { PAGE = 4096, RING = sizeof(struct ring_memory) + PAGE, MOST = PAGE + 100 };

struct side {
	struct ring_memory *memory; /* exactly as large as it is: what is behind it is not ours */
	struct ring ring;
	uint64_t position;
};

static struct side output, input;
static _Atomic bool over;

/* -- the runner --------------------------------------------------------------------------------------------------- */

/* What a ring could hold, what it almost could, and anything. */
static uint64_t a_word(uint64_t *random, uint64_t now)
{
	uint64_t words[] = { now + any(random) % 64, now + PAGE, now + PAGE + 1, now - 1, now + (1ull << 39), 0, -1,
			     any(random), any(random) >> (any(random) % 64), now, now, now };
	return words[any(random) % (sizeof words / sizeof *words)];
}

static void *be_runner(void *argument)
{
	uint64_t *random = argument;
	while (!over) {
		struct ring_memory *memory = any(random) % 2 ? output.memory : input.memory;
		switch (any(random) % 5) {
		case 0:
			memory->head = a_word(random, memory->head);
			break;
		case 1:
			memory->tail = a_word(random, memory->head);
			break;
		case 2:
			memory->waiting = any(random);
			break;
		case 3:
			memory->stuck = any(random);
			break;
		default: /* as the guest's serial port does, with the runner's own words about its side */
			for (int n = 0; n < 100; n++)
				memory->data[memory->head++ % PAGE] = n;
		}
	}
	return NULL;
}

/* -- the keeper --------------------------------------------------------------------------------------------------- */

static void anew(struct side *side)
{
	memset(side->memory, 0, RING);
	CHECK(!ring_create(&side->ring, side->memory, RING));
	side->position = 0;
}

static void read_some(uint64_t *random)
{
	size_t length = any(random) % MOST;
	uint8_t *bytes = malloc(length + 1);
	uint64_t before = output.position, lost = 0;
	size_t count = ring_read(&output.ring, &output.position, bytes, length, &lost);
	CHECK(count <= length && count < PAGE);
	CHECK(output.position - before == count + lost); /* it never goes back, and every byte is read or lost */
	CHECK(output.position <= output.ring.seen);
	free(bytes);
}

static void type_some(uint64_t *random, int event)
{
	size_t length = any(random) % MOST;
	uint8_t *bytes = calloc(1, length + 1);
	uint64_t before = input.ring.written;
	size_t count = ring_write(&input.ring, event, bytes, length);
	CHECK(count <= length && count <= PAGE && input.ring.written == before + count);
	free(bytes);
}

static void be_keeper(uint64_t *random, int event)
{
	switch (any(random) % 8) {
	case 0 ... 3:
		read_some(random);
		break;
	case 4 ... 5:
		type_some(random, event);
		break;
	case 6:
		ring_wait(&output.ring, output.position);
		CHECK(ring_head(&output.ring) >= output.position);
		break;
	default:
		ring_stuck(&input.ring);
	}
	if (ring_broken(&output.ring)) {
		CHECK(ring_head(&output.ring) == output.ring.seen);
		read_some(random);
		CHECK(output.position == output.ring.seen); /* there is nothing left to read */
		anew(&output);
	}
	if (ring_broken(&input.ring)) {
		uint8_t byte = 0;
		CHECK(ring_stuck(&input.ring) && !ring_write(&input.ring, event, &byte, 1));
		anew(&input);
	}
}

int main(int count, char **words)
{
	CHECK(count == 3);
	uint64_t times = strtoull(words[1], NULL, 10), random = strtoull(words[2], NULL, 10), its = any(&random);
	int event = eventfd(0, EFD_NONBLOCK);
	pthread_t runner;
	output.memory = malloc(RING);
	input.memory = malloc(RING);
	anew(&output);
	anew(&input);
	CHECK(!pthread_create(&runner, NULL, be_runner, &its));
	for (uint64_t n = 0; n < times; n++)
		be_keeper(&random, event);
	over = true;
	CHECK(!pthread_join(runner, NULL));
	free(output.memory);
	free(input.memory);
	printf("hostile runner: %llu reads and writes, seed %s\n", (unsigned long long)times, words[2]);
	return 0;
}
