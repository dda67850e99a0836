/* What VFIO alone takes, by the plainest of programs. GROUP ADDRESS: nanoseconds of a pread of one register, the median of
 * many (region 1, offset 0x40). GROUP ADDRESS SIZE: seconds of MAP_DMA for so much memory, populated. devices/NODE - SIZE:
 * seconds of IOAS_MAP for it. devices/NODE - SIZE devices/OTHER: then seconds of ATTACH of another function to the same. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "iommufd.h"

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

static int map_memory(int fd, unsigned ioas, size_t size)
{
	void *memory;
	if (memory_take(size, 0, -1, &memory) || madvise(memory, size, MADV_POPULATE_WRITE))
		return 1;
	struct vfio_iommu_type1_dma_map by_type1 = { sizeof by_type1, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, (uintptr_t)memory, 0, size };
	struct ioas_map by_iommufd = { sizeof by_iommufd, IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE, ioas, 0, (uintptr_t)memory, size, 0 };
	int64_t began = now();
	if (ioas ? ioctl(fd, IOMMU_IOAS_MAP, &by_iommufd) : ioctl(fd, VFIO_IOMMU_MAP_DMA, &by_type1))
		return 1;
	printf("%f\n", (now() - began) / 1e9);
	return 0;
}

/* Returns nanoseconds, or -1. */
static int64_t attach(int device, int iommufd, unsigned ioas)
{
	struct cdev_bind bind = { sizeof bind, 0, iommufd, 0 };
	struct cdev_attach attach = { sizeof attach, 0, ioas };
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return -1;
	int64_t began = now();
	return ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ? -1 : now() - began;
}

static int by_iommufd(int device, size_t size, int other)
{
	int iommufd = open("/dev/iommu", O_RDWR);
	struct ioas_alloc space = { sizeof space, 0, 0 };
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &space) || attach(device, iommufd, space.out_ioas_id) < 0)
		return 1;
	if (map_memory(iommufd, space.out_ioas_id, size))
		return 1;
	int64_t took = other < 0 ? 0 : attach(other, iommufd, space.out_ioas_id);
	if (other >= 0)
		printf("%f\n", took / 1e9);
	return took < 0;
}

static int by_type1(int group, const char *address, const char *size)
{
	int container = open("/dev/vfio/vfio", O_RDWR);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return 1;
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (device < 0)
		return 1;
	return size ? map_memory(container, 0, strtoull(size, NULL, 10)) : read_register(device);
}

static int open_node(const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/dev/vfio/%s", name);
	return open(path, O_RDWR);
}

int main(int argc, char **argv)
{
	int fd = open_node(argv[1]);
	if (fd < 0)
		return 1;
	if (strchr(argv[1], '/'))
		return by_iommufd(fd, strtoull(argv[3], NULL, 10), argc > 4 ? open_node(argv[4]) : -1);
	return by_type1(fd, argv[2], argc > 3 ? argv[3] : NULL);
}
