/* A file in memory whose pages are huge from the first touch, whatever the host's shmem_enabled says: it is in a file
 * system of its own, which has no place in any tree and goes with the file. Linux 5.2; -errno. */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { /* linux/mount.h, which has them since 5.2 */
	CLOEXEC = 1,
	SET_STRING = 1,
	CREATE = 6,
	NO_SUID_DEVICES_PROGRAMS = 2 | 4 | 8,
	HUGE_PAGE = 2 << 20,
};

struct order {
	size_t size;
	unsigned user, group;
	int ret; /* the file */
};

static int configure(int context, const char *name, const char *value)
{
	return syscall(SYS_fsconfig, context, name ? SET_STRING : CREATE, name, value, 0);
}

static int open_file(int context, size_t size)
{
	char bytes[24];
	snprintf(bytes, sizeof bytes, "%zu", (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	if (configure(context, "huge", "always") || configure(context, "size", bytes) || configure(context, NULL, NULL))
		return -errno;
	int mount = syscall(SYS_fsmount, context, CLOEXEC, NO_SUID_DEVICES_PROGRAMS);
	if (mount < 0)
		return -errno;
	int file = openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int error = -errno;
	close(mount);
	return file < 0 ? error : file;
}

static int make(size_t size)
{
	int context = syscall(SYS_fsopen, "tmpfs", CLOEXEC);
	if (context < 0)
		return -errno;
	int file = open_file(context, size);
	close(context);
	return file;
}

static int tell(const char *path, const char *text, size_t length)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	int error = write(file, text, length) < 0 ? -errno : 0;
	close(file);
	return error;
}

/* Of the user name space that this process is in: it has this one user and group, who own what is made there. */
static int name_owners(const struct order *order)
{
	char user[32], group[32];
	int error = tell("/proc/self/setgroups", "deny", 4);
	if (error && error != -ENOENT)
		return error;
	int length = snprintf(user, sizeof user, "%u %u 1", order->user, order->user);
	error = tell("/proc/self/uid_map", user, length);
	if (error)
		return error;
	length = snprintf(group, sizeof group, "%u %u 1", order->group, order->group);
	return tell("/proc/self/gid_map", group, length);
}

static int beside(void *argument)
{
	struct order *order = argument;
	int error = name_owners(order);
	order->ret = error ? error : make(order->size);
	return 0;
}

/* Who may mount nothing may do it in name spaces of its own. A child makes them, with the memory and the descriptors of
 * this process, which waits for it. */
static int make_beside(size_t size)
{
	enum { STACK = 64 << 10 };
	struct order order = { .size = size, .user = geteuid(), .group = getegid(), .ret = -ECHILD };
	uint8_t *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -errno;
	int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD;
	int child = clone(beside, stack + STACK, flags, &order), error = -errno;
	while (child >= 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(stack, STACK);
	return child < 0 ? error : order.ret;
}

int memory_make_huge_file(size_t size)
{
	int file = make(size);
	return file == -EPERM ? make_beside(size) : file;
}
