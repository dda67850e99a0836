/*
 * words FILE OFFSET [VALUE [BYTES]]: reads the 32-bit word there through a mapping, and prints it; with VALUE, writes
 * that first, of 8 bytes if BYTES says so.
 * For BARs in a Linux guest: sysfs lets a program map them, and read() of them is refused.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096

int main(int count, char **words)
{
	volatile uint32_t *mapped;
	uint64_t offset;
	int file;

	if (count < 3)
		return 2;
	offset = strtoull(words[2], NULL, 0);
	file = open(words[1], O_RDWR | O_SYNC);
	mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, offset & ~(PAGE - 1ULL));
	if (file < 0 || mapped == MAP_FAILED) {
		perror(words[1]);
		return 1;
	}
	mapped += offset % PAGE / sizeof(*mapped);
	if (count > 4 && atoi(words[4]) == 8)
		*(volatile uint64_t *)mapped = strtoull(words[3], NULL, 0);
	else if (count > 3)
		*mapped = strtoul(words[3], NULL, 0);
	printf("word %#lx is %08x\n", (unsigned long)offset, *mapped);
	return 0;
}
