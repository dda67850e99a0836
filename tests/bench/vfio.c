/* GROUP ADDRESS -> what VFIO alone takes, by the plainest of programs: nanoseconds of a pread of one register, the median
 * of many (region 1, offset 0x40), or with a SIZE, seconds of MAP_DMA for so much memory, populated. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 20000, REGION = 1, OFFSET = 0x40 };

int memory_take(size_t size, size_t page_size, int node, void **ret);

static int64_t now(void)
{
	struct timespec moment;
	clock_gettime(CLOCK_MONOTONIC, &moment);
	return moment.tv_sec * 1000000000ll + moment.tv_nsec;
}

static int order(const void *one, const void *other)
{
	int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
	return (a > b) - (a < b);
}

static int64_t took[COUNT];

static int64_t median(void)
{
	qsort(took, COUNT, sizeof *took, order);
	return took[COUNT / 2];
}

static int read_register(int device)
{
	struct vfio_region_info region = { .argsz = sizeof region, .index = REGION };
	uint32_t value;
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
		return 1;
	for (int n = 0; n < COUNT; n++) {
		int64_t began = now();
		took[n] = now() - began;
	}
	int64_t clock = median();
	for (int n = 0; n < COUNT; n++) {
		int64_t began = now();
		if (pread(device, &value, sizeof value, region.offset + OFFSET) != sizeof value)
			return 1;
		took[n] = now() - began;
	}
	printf("%ld\n", (long)(median() - clock));
	return 0;
}

static int map_memory(int container, size_t size)
{
	void *memory;
	if (memory_take(size, 0, -1, &memory) || madvise(memory, size, MADV_POPULATE_WRITE))
		return 1;
	struct vfio_iommu_type1_dma_map map = { sizeof map, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, (uintptr_t)memory, 0, size };
	int64_t began = now();
	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		return 1;
	printf("%f\n", (now() - began) / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	char path[32];
	snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
	int container = open("/dev/vfio/vfio", O_RDWR), group = open(path, O_RDWR);
	if (group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return 1;
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	if (device < 0)
		return 1;
	return argc > 3 ? map_memory(container, strtoull(argv[3], NULL, 10)) : read_register(device);
}
