/* Preloaded into a VMM: notes the moments of its life in the file $STAMPS, which is mapped at once: by then the process
 * may be one that opens nothing. All its processes share it. Moments are nanoseconds of CLOCK_MONOTONIC. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct stamps {
	_Atomic int64_t first_run;
	_Atomic int64_t last_return; /* of KVM_RUN, where returns are noted: others go without the look at the clock */
	_Atomic int64_t noted;       /* there are devices, or $RETURNS asks for it */
} *stamps;

__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("STAMPS"), O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *stamps))
		abort();
	stamps = mmap(NULL, sizeof *stamps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (stamps == MAP_FAILED)
		abort();
	close(fd);
	stamps->noted += getenv("RETURNS") != NULL;
}

static int64_t now(void)
{
	struct timespec moment;
	clock_gettime(CLOCK_MONOTONIC, &moment);
	return moment.tv_sec * 1000000000ll + moment.tv_nsec;
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == KVM_RUN && !stamps->first_run)
		stamps->first_run = now();
	if (!real)
		real = dlsym(RTLD_NEXT, "ioctl");
	int result = real(fd, request, argument);
	if (request == KVM_RUN && stamps->noted)
		stamps->last_return = now();
	else if (request == VFIO_GROUP_GET_DEVICE_FD && result >= 0)
		stamps->noted++;
	return result;
}
