/* Preloaded: counts what each process of a VM asks of the C library that sets something up, and refuses one call once.
 *
 * REFUSE_LOG is a file of zeroes: whether the call was refused, then a count for each process and kind of call.
 * REFUSE is "process kind n errno". Nothing is counted before refuse_arm(1). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { CLIENT, KEEPER, PLANNER, RUNNER, OTHER, PROCESSES };

#define KINDS(X)                                                                                                       \
	X(open) X(mkdir) X(rename) X(unlink) X(chmod) X(write) X(pwrite) X(pread) X(ftruncate) X(fdatasync) X(flock)   \
	X(pipe) X(dup) X(poll) X(socket) X(socketpair) X(setsockopt) X(bind) X(listen) X(send) X(eventfd) X(memfd)     \
	X(pidfd) X(fork) X(thread) X(mmap) X(ioctl) X(chdir)
#define AS_ENUM(name) KIND_##name,
enum kind { KINDS(AS_ENUM) COUNT };
#define AS_TEXT(name) #name " "
const char refuse_kinds[] = KINDS(AS_TEXT);

static struct {
	_Atomic uint32_t hit;
	_Atomic uint32_t count[PROCESSES][COUNT];
} *seen;
static int process, forks, armed;
static unsigned victim = PROCESSES, what, at, error;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("REFUSE_LOG"), *order = getenv("REFUSE");
	if (!path)
		return;
	int file = open(path, O_RDWR | O_CLOEXEC);
	void *memory = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (memory == MAP_FAILED || (order && sscanf(order, "%u %u %u %u", &victim, &what, &at, &error) != 4))
		abort();
	seen = memory;
}

void refuse_arm(int on)
{
	armed = on;
}

static int refused(enum kind kind)
{
	if (!armed || !seen)
		return 0;
	uint32_t n = ++seen->count[process][kind];
	if (process != (int)victim || kind != what || n != at)
		return 0;
	seen->hit = 1;
	errno = error;
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSABLE(type, name, kind, parameters, arguments)                                                             \
	type name parameters                                                                                           \
	{                                                                                                              \
		static type(*real) parameters;                                                                         \
		if (!real)                                                                                             \
			real = (type(*) parameters)dlsym(RTLD_NEXT, #name);                                            \
		return refused(KIND_##kind) ? (type)-1 : real arguments;                                               \
	}

#define OPENING(name, parameters, arguments)                                                                           \
	int name parameters                                                                                            \
	{                                                                                                              \
		static int (*real) parameters;                                                                         \
		if (!real)                                                                                             \
			real = (int(*) parameters)dlsym(RTLD_NEXT, #name);                                             \
		va_list rest;                                                                                          \
		va_start(rest, flags);                                                                                 \
		mode_t mode = va_arg(rest, mode_t);                                                                    \
		va_end(rest);                                                                                          \
		return refused(KIND_open) ? -1 : real arguments;                                                       \
	}

OPENING(open, (const char *path, int flags, ...), (path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
OPENING(openat64, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
REFUSABLE(int, mkdir, mkdir, (const char *path, mode_t mode), (path, mode))
REFUSABLE(int, mkdirat, mkdir, (int fd, const char *path, mode_t mode), (fd, path, mode))
REFUSABLE(int, rename, rename, (const char *from, const char *to), (from, to))
REFUSABLE(int, renameat, rename, (int one, const char *from, int other, const char *to), (one, from, other, to))
REFUSABLE(int, unlink, unlink, (const char *path), (path))
REFUSABLE(int, unlinkat, unlink, (int fd, const char *path, int flags), (fd, path, flags))
REFUSABLE(int, chmod, chmod, (const char *path, mode_t mode), (path, mode))
REFUSABLE(int, fchmod, chmod, (int fd, mode_t mode), (fd, mode))
REFUSABLE(ssize_t, write, write, (int fd, const void *data, size_t size), (fd, data, size))
REFUSABLE(ssize_t, pwrite, pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset))
REFUSABLE(ssize_t, pwrite64, pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset))
REFUSABLE(ssize_t, pread, pread, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset))
REFUSABLE(ssize_t, pread64, pread, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset))
REFUSABLE(int, ftruncate, ftruncate, (int fd, off_t size), (fd, size))
REFUSABLE(int, ftruncate64, ftruncate, (int fd, off_t size), (fd, size))
REFUSABLE(int, fdatasync, fdatasync, (int fd), (fd))
REFUSABLE(int, flock, flock, (int fd, int operation), (fd, operation))
REFUSABLE(int, pipe, pipe, (int fds[2]), (fds))
REFUSABLE(int, pipe2, pipe, (int fds[2], int flags), (fds, flags))
REFUSABLE(int, dup, dup, (int fd), (fd))
REFUSABLE(int, dup2, dup, (int fd, int target), (fd, target))
REFUSABLE(int, dup3, dup, (int fd, int target, int flags), (fd, target, flags))
REFUSABLE(int, poll, poll, (struct pollfd *fds, nfds_t count, int timeout), (fds, count, timeout))
REFUSABLE(int, socket, socket, (int domain, int type, int protocol), (domain, type, protocol))
REFUSABLE(int, socketpair, socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds))
REFUSABLE(int, setsockopt, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
	  (fd, level, name, value, size))
REFUSABLE(int, bind, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
REFUSABLE(int, listen, listen, (int fd, int backlog), (fd, backlog))
REFUSABLE(ssize_t, send, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
REFUSABLE(int, eventfd, eventfd, (unsigned value, int flags), (value, flags))
REFUSABLE(int, memfd_create, memfd, (const char *name, unsigned flags), (name, flags))
REFUSABLE(int, chdir, chdir, (const char *path), (path))

static void *mapped(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	static void *(*real)(void *, size_t, int, int, int, off_t);
	if (!real)
		real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
	return refused(KIND_mmap) ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return mapped(address, size, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return mapped(address, size, protection, flags, fd, offset);
}

int ioctl(int fd, unsigned long request, ...)
{
	enum { KVM_RUN = 0xae80, KVMIO = 0xae };
	static int (*real)(int, unsigned long, void *);
	if (!real)
		real = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
	va_list rest;
	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	int ours = (request >> 8 & 0xff) == KVMIO && request != KVM_RUN;
	return ours && refused(KIND_ioctl) ? -1 : real(fd, request, argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *), void *argument)
{
	if (refused(KIND_thread))
		return errno;
	return REAL(pthread_create)(thread, attributes, main, argument);
}

long syscall(long number, ...)
{
	static long (*real)(long, long, long, long, long, long, long);
	if (!real)
		real = (long (*)(long, long, long, long, long, long, long))dlsym(RTLD_NEXT, "syscall");
	long given[6];
	va_list rest;
	va_start(rest, number);
	for (int n = 0; n < 6; n++)
		given[n] = va_arg(rest, long);
	va_end(rest);
	if (number == SYS_pidfd_open && refused(KIND_pidfd))
		return -1;
	return real(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

/* The first child of the client is the keeper, the second plans; the first of the keeper is the runner. */
pid_t fork(void)
{
	if (refused(KIND_fork))
		return -1;
	pid_t pid = REAL(fork)();
	if (pid > 0)
		forks++;
	if (pid == 0) {
		process = process == CLIENT && forks < 2 ? KEEPER + forks : process == KEEPER && !forks ? RUNNER : OTHER;
		forks = 0;
	}
	return pid;
}
