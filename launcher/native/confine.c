/* What the runner gives up for good before its guest runs: capabilities, the file system, calls. 0 or -errno. */
#include "native.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset /* Linux 5.13 */
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif
#ifndef SYS_rseq
#define SYS_rseq 334
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

int kernel_prctl(int option, unsigned long value)
{
	return prctl(option, value, 0, 0, 0) ? -errno : 0;
}

int confine_capabilities(void)
{
	for (int one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; one++)
		if (prctl(PR_CAPBSET_DROP, one, 0, 0, 0) && errno != EPERM) /* who may not gains none with no_new_privs */
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

/* Landlock without a rule: nothing can be opened, made or removed. The kernel answers EINVAL to rights that it does not
 * know, so the widest set that it takes is all of them. */
int confine_files(void)
{
	enum { MOST_RIGHTS = 24, FIRST_RIGHTS = 13 };
	int ruleset = -1;
	for (int count = MOST_RIGHTS; ruleset < 0 && count >= FIRST_RIGHTS; count--) {
		uint64_t rights = (1ull << count) - 1;
		ruleset = syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0);
		if (ruleset < 0 && errno != EINVAL)
			break;
	}
	if (ruleset < 0)
		return -errno;
	int error = syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
	close(ruleset);
	return error;
}

/* A call, where (argument & mask) == value; mask 0: whatever its arguments are. */
struct rule {
	uint32_t call, argument, mask, value, action;
};

#define ALLOW(call) { SYS_##call, 0, 0, 0, SECCOMP_RET_ALLOW }
#define ALLOW_IF(call, argument, mask, value) { SYS_##call, argument, mask, value, SECCOMP_RET_ALLOW }
#define REFUSE(call, error) { SYS_##call, 0, 0, 0, SECCOMP_RET_ERRNO | (error) }
#define ALL UINT32_MAX
#define IOCTL_TYPE (_IOC_TYPEMASK << _IOC_TYPESHIFT)

enum { RULE_LENGTH = 6 };

static size_t put_rule(struct sock_filter *to, const struct rule *rule)
{
	struct sock_filter any[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, rule->action),
	};
	struct sock_filter some[RULE_LENGTH] = {
		any[0],
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * rule->argument), /* its low half */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1),
		any[2],
	};
	size_t size = rule->mask ? sizeof some : sizeof any;
	memcpy(to, rule->mask ? some : any, size);
	return size / sizeof *to;
}

/* What a running VM, its reboot in place, its reports and its teardown need, for all threads. Whatever else is called,
 * by another number or from 32-bit code, kills the process. */
int confine_calls(void)
{
	const struct rule rules[] = {
		ALLOW_IF(ioctl, 1, IOCTL_TYPE, KVMIO << _IOC_TYPESHIFT),
		ALLOW_IF(ioctl, 1, IOCTL_TYPE, VFIO_TYPE << _IOC_TYPESHIFT),
		ALLOW(read), ALLOW(write), ALLOW(pread64), ALLOW(pwrite64), ALLOW(lseek), ALLOW(close),
		ALLOW(poll), ALLOW(ppoll), ALLOW(futex), ALLOW(eventfd2),
		ALLOW(recvfrom), ALLOW_IF(sendto, 5, ALL, 0), /* to whom it is connected */

		ALLOW_IF(mmap, 2, PROT_EXEC, 0), ALLOW_IF(mprotect, 2, PROT_EXEC, 0),
		ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(brk),

		ALLOW_IF(clone, 0, CLONE_THREAD, CLONE_THREAD), /* in clone3 the flags cannot be seen: */
		REFUSE(clone3, ENOSYS), /* glibc takes clone then */
		ALLOW(set_robust_list), ALLOW(rseq), ALLOW(exit), ALLOW(exit_group), ALLOW(gettid), ALLOW(getpid),
		ALLOW(sched_yield), ALLOW(sched_getaffinity), ALLOW_IF(sched_setaffinity, 0, ALL, 0),
		ALLOW_IF(prctl, 0, ALL, PR_SET_NAME),
		ALLOW_IF(tgkill, 0, ALL, getpid()), ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn),
		ALLOW(sigaltstack), ALLOW(restart_syscall),
		ALLOW(clock_gettime), ALLOW(gettimeofday), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(getrandom),

		/* Python looks for source when it words a traceback, and for modules; libc for the number of CPUs. */
		REFUSE(open, EACCES), REFUSE(openat, EACCES), REFUSE(openat2, EACCES), REFUSE(stat, EACCES),
		REFUSE(lstat, EACCES), REFUSE(newfstatat, EACCES), REFUSE(statx, EACCES), REFUSE(access, EACCES),
		REFUSE(faccessat, EACCES), REFUSE(faccessat2, EACCES), REFUSE(readlink, EACCES), REFUSE(readlinkat, EACCES),
		REFUSE(getcwd, EACCES),
	};
	enum { COUNT = sizeof rules / sizeof *rules };
	struct sock_filter filter[3 + COUNT * RULE_LENGTH + 1] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	size_t length = 3;
	for (size_t n = 0; n < COUNT; n++)
		length += put_rule(filter + length, &rules[n]);
	filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	struct sock_fprog program = { .len = length, .filter = filter };
	long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
	return result < 0 ? -errno : result ? -EBUSY : 0; /* above 0: a thread that has a filter of its own */
}

/* The version of Landlock's interface, at least 1; -errno where there is none. Nothing is given up. */
int confine_landlock(void)
{
	enum { VERSION = 1 }; /* LANDLOCK_CREATE_RULESET_VERSION */
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
	return version < 0 ? -errno : version;
}

/* 0 where a seccomp filter may kill whoever makes a call. Nothing is given up. */
int confine_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ? -errno : 0;
}
