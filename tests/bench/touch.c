/* SIZE PAGE_SIZE THREADS -> seconds that a first-touch memset of a mapping takes that is made as guest memory is. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int memory_take(size_t size, size_t page_size, int node, void **ret);

static size_t share;

static void *work(void *part)
{
	memset(part, 1, share);
	return NULL;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t size = strtoull(argv[1], NULL, 10);
	long threads = atol(argv[argc - 1]);
	pthread_t crew[threads];
	void *memory;
	if (memory_take(size, strtoull(argv[2], NULL, 10), -1, &memory))
		return 1;
	share = size / threads;
	double began = seconds();
	for (long n = 0; n < threads; n++)
		pthread_create(&crew[n], NULL, work, (uint8_t *)memory + n * share);
	for (long n = 0; n < threads; n++)
		pthread_join(crew[n], NULL);
	printf("%f\n", seconds() - began);
	return 0;
}
