/* System calls that Python makes at set-up, as they are: what they return, or -errno. */
#include "native.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

#ifndef SYS_open_tree /* Linux 5.2 */
#define SYS_open_tree 428
#endif
#ifndef SYS_mount_setattr /* Linux 5.12 */
#define SYS_mount_setattr 442
#endif

/* linux/mount.h and sys/mount.h cannot both be had. */
struct attributes {
	uint64_t set, cleared, propagation, name_space;
};

/* A descriptor of the folder `folder` in a mount of its own, which is read-only, without devices, and nowhere else. */
int kernel_readonly_mount(int folder)
{
	enum { RDONLY = 1, NOSUID = 2, NODEV = 4, CLONE_TREE = 1 }; /* MOUNT_ATTR_*, OPEN_TREE_CLONE */
	struct attributes attributes = { .set = RDONLY | NOSUID | NODEV };
	int mount = syscall(SYS_open_tree, folder, "", CLONE_TREE | O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (mount < 0)
		return -errno;
	if (!syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes))
		return mount;
	int error = -errno;
	close(mount);
	return error;
}

int kernel_unshare(int flags)
{
	return unshare(flags) ? -errno : 0;
}

/* Whether it makes name spaces of these kinds (CLONE_NEW...) for us: a child is born into them, and ends at once. */
int kernel_try_name_spaces(int flags)
{
	pid_t child = syscall(SYS_clone, (long)flags | SIGCHLD, 0L, 0L, 0L, 0L);
	if (!child)
		_exit(0);
	if (child < 0)
		return -errno;
	while (waitpid(child, NULL, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}
