/* Preloaded: counts what all processes of a VM ask of KVM and VFIO, but KVM_RUN, and kills the one that asks for the
 * n-th time. KILL_AT is n, KILL_LOG a file of zeroes: the count, then each request. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIZE = 65536, MOST = SIZE / 4 - 1 };

static int (*real)(int, unsigned long, void *);
static struct {
	_Atomic uint32_t count;
	uint32_t requests[MOST];
} *seen;
static uint32_t at;

__attribute__((constructor)) static void start(void)
{
	real = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
	at = atoi(getenv("KILL_AT"));
	int file = open(getenv("KILL_LOG"), O_RDWR | O_CLOEXEC);
	seen = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	if ((_IOC_TYPE(request) == KVMIO || _IOC_TYPE(request) == VFIO_TYPE) && request != KVM_RUN) {
		uint32_t n = ++seen->count;
		if (n <= MOST)
			seen->requests[n - 1] = request;
		if (n == at) /* the one way to kill itself that a confined runner has */
			syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGKILL);
	}
	return real(fd, request, argument);
}
