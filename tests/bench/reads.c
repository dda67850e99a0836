/* In a guest: THREADS SECONDS [DEVICE WORD] -> how many blocks of 4 KiB that many threads read from the device, each one
 * after the other, at random places and past the cache, and how often the lines of /proc/interrupts with this word fired
 * meanwhile. Without the last two, the NVMe drive's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 16384, MOST_THREADS = 64 };

static atomic_bool over;
static atomic_long count;
static int drive;
static const char *word = "nvme";

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static long interrupts(void)
{
	char line[4096];
	long sum = 0;
	FILE *file = fopen("/proc/interrupts", "r");
	while (fgets(line, sizeof line, file)) {
		if (!strstr(line, word))
			continue;
		char *at = strchr(line, ':') + 1, *end;
		for (long one = strtol(at, &end, 10); end != at; one = strtol(at, &end, 10)) {
			sum += one;
			at = end;
		}
	}
	fclose(file);
	return sum;
}

static void *work(void *number)
{
	unsigned seed = (uintptr_t)number;
	void *block = aligned_alloc(BLOCK, BLOCK);
	while (!over) {
		if (pread(drive, block, BLOCK, (off_t)(rand_r(&seed) % BLOCKS) * BLOCK) != BLOCK)
			exit(1);
		count++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t crew[MOST_THREADS];
	int threads = argc > 1 ? atoi(argv[1]) : 1;
	if (argc > 4)
		word = argv[4];
	drive = open(argc > 4 ? argv[3] : "/dev/nvme0n1", O_RDONLY | O_DIRECT);
	if (drive < 0 || threads > MOST_THREADS)
		return 1;
	long fired = interrupts();
	double began = seconds();
	for (intptr_t n = 0; n < threads; n++)
		pthread_create(&crew[n], NULL, work, (void *)n);
	usleep((argc > 2 ? atof(argv[2]) : 1) * 1e6);
	over = true;
	for (int n = 0; n < threads; n++)
		pthread_join(crew[n], NULL);
	printf("reads %ld in %f interrupts %ld\n", count, seconds() - began, interrupts() - fired);
	return 0;
}
