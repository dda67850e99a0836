/* Preloaded into a VMM: notes the moment of the first KVM_RUN of any of its processes in the file $FIRST_RUN. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void note(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int fd = open(getenv("FIRST_RUN"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return;
	if (write(fd, &now, sizeof now) != sizeof now)
		abort();
	close(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	static atomic_flag noted;
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == KVM_RUN && !atomic_flag_test_and_set(&noted))
		note();
	if (!real)
		real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, request, argument);
}
