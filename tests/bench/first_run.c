/* Preloaded into a VMM: notes the moment of the first KVM_RUN of any of its processes in the file $FIRST_RUN, which is
 * mapped at once: by then the process may be one that opens nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic long *noted; /* seconds, nanoseconds; nobody has run while the seconds are 0 */

__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("FIRST_RUN"), O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(struct timespec)))
		abort();
	noted = mmap(NULL, sizeof(struct timespec), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (noted == MAP_FAILED)
		abort();
	close(fd);
}

static void note(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (noted[0])
		return;
	noted[1] = now.tv_nsec;
	noted[0] = now.tv_sec;
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	static atomic_flag ran;
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == KVM_RUN && !atomic_flag_test_and_set(&ran))
		note();
	if (!real)
		real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, request, argument);
}
