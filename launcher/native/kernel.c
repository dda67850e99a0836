/* System calls that Python makes at set-up, as they are: what they return, or -errno. */
#include "native.h"

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

int kernel_prctl(int option, unsigned long value)
{
	return prctl(option, value, 0, 0, 0) ? -errno : 0;
}
