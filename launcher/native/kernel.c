/* System calls that Python makes at set-up, as they are: what they return, or -errno. */
#include "native.h"

#include <cpuid.h>
#include <errno.h>

int kernel_ioctl(int fd, unsigned long request, void *argument)
{
	int result = ioctl(fd, request, argument);
	return result < 0 ? -errno : result;
}

int kernel_ioctl_value(int fd, unsigned long request, unsigned long argument)
{
	int result = ioctl(fd, request, argument);
	return result < 0 ? -errno : result;
}

/* EAX to EDX of the CPU that this runs on; false where there is no such leaf. */
bool host_cpuid(uint32_t leaf, uint32_t *ret)
{
	return __get_cpuid(leaf, &ret[0], &ret[1], &ret[2], &ret[3]);
}

int kernel_prctl(int option, unsigned long value)
{
	return prctl(option, value, 0, 0, 0) ? -errno : 0;
}
