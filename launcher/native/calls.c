/* Which calls a process or one of its threads may still make, for good: seccomp (seccomp(2)). 0 or -errno. */
#include "native.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_rseq
#define SYS_rseq 334
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* A call, where (argument & mask) == value; mask 0: whatever its arguments are. The first rule that fits counts. */
struct rule {
	uint32_t call, argument, mask, value, action;
};

#define ALL UINT32_MAX
#define ALLOW(call) { SYS_##call, 0, 0, 0, SECCOMP_RET_ALLOW }
#define ALLOW_IF(call, argument, mask, value) { SYS_##call, argument, mask, value, SECCOMP_RET_ALLOW }
#define REFUSE(call, error) { SYS_##call, 0, 0, 0, SECCOMP_RET_ERRNO | (error) }
#define REFUSE_IF(call, argument, value, error) { SYS_##call, argument, ALL, value, SECCOMP_RET_ERRNO | (error) }
#define IOCTL(request) ALLOW_IF(ioctl, 1, ALL, request)
#define FCNTL(request) ALLOW_IF(fcntl, 1, ALL, request)

/* A vCPU of a guest without devices: it runs, serves the console, wakes other threads, and ends. */
static const struct rule of_vcpus[] = {
	IOCTL(KVM_RUN), IOCTL(KVM_IRQ_LINE), IOCTL(KVM_GET_MP_STATE), ALLOW(timer_create), ALLOW(timer_settime),
	ALLOW(read), ALLOW(write), ALLOW(writev), ALLOW(futex),
	ALLOW_IF(mmap, 2, PROT_EXEC, 0), ALLOW_IF(mprotect, 2, PROT_EXEC, 0), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
	ALLOW(brk), ALLOW(clock_gettime), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(sched_yield), ALLOW(getrandom),
	ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(restart_syscall), ALLOW(gettid), ALLOW(getpid),
	ALLOW(sigaltstack), ALLOW(rseq), ALLOW(exit), ALLOW(exit_group), /* the first of a thread that sanitizers watch */
};

/* What a guest does to its devices: trapped accesses, BARs that move, vectors that come and go; and to its flash. */
static const struct rule of_devices[] = {
	ALLOW(pread64), ALLOW(pwrite64), ALLOW(fdatasync), ALLOW(poll), ALLOW(eventfd2), ALLOW(close),
	IOCTL(KVM_IRQFD), IOCTL(KVM_SET_GSI_ROUTING), IOCTL(KVM_SET_USER_MEMORY_REGION),
	IOCTL(VFIO_DEVICE_SET_IRQS), IOCTL(VFIO_DEVICE_GET_IRQ_INFO), IOCTL(VFIO_IOMMU_MAP_DMA), IOCTL(VFIO_IOMMU_UNMAP_DMA),
	IOCTL(VFIO_GROUP_GET_STATUS), IOCTL(IOMMU_IOAS_MAP_FILE), IOCTL(IOMMU_IOAS_UNMAP),
};

/* What a guest does to its virtio functions: engines are told of rings and eventfds when a driver starts. */
static const struct rule of_virtio[] = {
	ALLOW(sendmsg), ALLOW(recvfrom), IOCTL(KVM_IOEVENTFD),
	IOCTL(VHOST_SET_FEATURES), IOCTL(VHOST_SET_MEM_TABLE), IOCTL(VHOST_SET_VRING_NUM), IOCTL(VHOST_SET_VRING_BASE),
	IOCTL(VHOST_SET_VRING_ADDR), IOCTL(VHOST_SET_VRING_KICK), IOCTL(VHOST_SET_VRING_CALL),
	IOCTL(VHOST_NET_SET_BACKEND), IOCTL(VHOST_VSOCK_SET_RUNNING), IOCTL(TUNSETOFFLOAD),
};

/* The rest of a life: a reboot in place makes VM and devices anew, the teardown, talk with the keeper. */
static const struct rule of_runners[] = {
	IOCTL(KVM_CHECK_EXTENSION), IOCTL(KVM_GET_VCPU_MMAP_SIZE), IOCTL(KVM_CREATE_VM), IOCTL(KVM_GET_SUPPORTED_CPUID),
	IOCTL(KVM_SET_TSS_ADDR), IOCTL(KVM_SET_IDENTITY_MAP_ADDR), IOCTL(KVM_CREATE_IRQCHIP), IOCTL(KVM_CREATE_PIT2),
	IOCTL(KVM_CREATE_DEVICE), IOCTL(KVM_SET_DEVICE_ATTR), IOCTL(KVM_CREATE_VCPU), IOCTL(KVM_SET_CPUID2),
	IOCTL(KVM_SET_MSRS), IOCTL(KVM_GET_LAPIC), IOCTL(KVM_SET_LAPIC), IOCTL(KVM_GET_REGS), IOCTL(KVM_SET_REGS),
	IOCTL(KVM_GET_SREGS), IOCTL(KVM_SET_SREGS), IOCTL(KVM_GET_PIT2), IOCTL(KVM_REINJECT_CONTROL),
	IOCTL(KVM_REGISTER_COALESCED_MMIO), ALLOW(timer_delete),
	IOCTL(VFIO_GROUP_GET_DEVICE_FD), IOCTL(VFIO_GROUP_UNSET_CONTAINER), IOCTL(VFIO_DEVICE_GET_INFO),
	IOCTL(VFIO_DEVICE_GET_REGION_INFO), IOCTL(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO), IOCTL(VFIO_DEVICE_PCI_HOT_RESET),
	IOCTL(VFIO_DEVICE_RESET), IOCTL(VFIO_DEVICE_DETACH_IOMMUFD_PT), IOCTL(IOMMU_DESTROY),

	ALLOW(lseek), ALLOW(ppoll), ALLOW(recvfrom), ALLOW_IF(sendto, 5, ALL, 0), /* to whom it is connected */
	ALLOW_IF(clone, 0, CLONE_THREAD, CLONE_THREAD), ALLOW(set_robust_list), ALLOW(sigaltstack), ALLOW(rt_sigaction),
	ALLOW(sched_getaffinity), ALLOW_IF(sched_setaffinity, 0, ALL, 0), ALLOW_IF(prctl, 0, ALL, PR_SET_NAME),
	ALLOW(gettimeofday), ALLOW_IF(seccomp, 1, ALL, 0), /* each vCPU has a filter on top */
};

/* What Python and libc do by themselves and can do without: they look for source when they word a traceback, ask stderr
 * whether it is a terminal, read their limits. In clone3 the flags cannot be seen: glibc takes clone then. */
static const struct rule refused[] = {
	REFUSE(clone3, ENOSYS), REFUSE(membarrier, ENOSYS),
	REFUSE_IF(ioctl, 1, TCGETS, ENOTTY), REFUSE_IF(ioctl, 1, TCGETS2, ENOTTY), REFUSE_IF(ioctl, 1, TIOCGWINSZ, ENOTTY),
	REFUSE_IF(ioctl, 1, TIOCGPGRP, ENOTTY), REFUSE_IF(ioctl, 1, FIOCLEX, ENOTTY), REFUSE_IF(ioctl, 1, FIONCLEX, ENOTTY),
	REFUSE_IF(ioctl, 1, FIONBIO, ENOTTY),
	REFUSE(open, EACCES), REFUSE(openat, EACCES), REFUSE(openat2, EACCES), REFUSE(stat, EACCES), REFUSE(lstat, EACCES),
	REFUSE(fstat, EACCES), REFUSE(newfstatat, EACCES), REFUSE(statx, EACCES), REFUSE(statfs, EACCES),
	REFUSE(fstatfs, EACCES), REFUSE(access, EACCES), REFUSE(faccessat, EACCES), REFUSE(faccessat2, EACCES),
	REFUSE(readlink, EACCES), REFUSE(readlinkat, EACCES), REFUSE(getcwd, EACCES), REFUSE(getdents64, EACCES),
	REFUSE(fcntl, EACCES), REFUSE(dup, EACCES), REFUSE(dup2, EACCES), REFUSE(dup3, EACCES), REFUSE(fadvise64, EACCES),
	REFUSE(getsockname, EACCES), REFUSE(getpeername, EACCES), REFUSE(getsockopt, EACCES),
	REFUSE_IF(prctl, 0, PR_SET_VMA, EINVAL), REFUSE_IF(prctl, 0, PR_GET_NAME, EACCES),
	REFUSE(getrlimit, EACCES), REFUSE_IF(prlimit64, 2, 0, EACCES), /* nothing is to be set */
	REFUSE(getrusage, EACCES), REFUSE(times, EACCES), REFUSE(uname, EACCES), REFUSE(sysinfo, EACCES),
	REFUSE(clock_getres, EACCES), REFUSE(getpriority, EACCES), REFUSE(sched_getparam, EACCES),
	REFUSE(sched_getscheduler, EACCES),
	ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid), ALLOW(getegid), ALLOW(getppid), ALLOW(getpgrp), /* cannot fail */
};

/* A keeper while its guest runs and when it puts the host back. Landlock says which files, its uids say which processes:
 * so what changes files by their names without opening them (chmod, rename from elsewhere) is not here. */
static const struct rule of_keepers[] = {
	ALLOW(read), ALLOW(readv), ALLOW(write), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64), ALLOW(lseek), ALLOW(close),
	ALLOW(close_range), ALLOW(poll), ALLOW(ppoll), ALLOW(select), ALLOW(pselect6), ALLOW(futex), ALLOW(eventfd2),
	ALLOW(pipe2), ALLOW(fcntl), ALLOW(dup), ALLOW(dup2), ALLOW(dup3), ALLOW(flock),
	ALLOW(epoll_create1), ALLOW(epoll_ctl), ALLOW(epoll_wait), ALLOW(epoll_pwait), ALLOW(timerfd_create),
	ALLOW(timerfd_settime),

	ALLOW(accept), ALLOW(accept4), ALLOW(recvfrom), ALLOW(recvmsg), ALLOW_IF(sendto, 5, ALL, 0), ALLOW(sendmsg),
	ALLOW(setsockopt), ALLOW(getsockopt), ALLOW(getsockname), ALLOW(getpeername), ALLOW(shutdown),

	ALLOW(open), ALLOW(openat), ALLOW(openat2), ALLOW(stat), ALLOW(lstat), ALLOW(fstat), ALLOW(newfstatat), ALLOW(statx),
	ALLOW(statfs), ALLOW(fstatfs), ALLOW(access), ALLOW(faccessat), ALLOW(faccessat2), ALLOW(readlink),
	ALLOW(readlinkat), ALLOW(getcwd), ALLOW(getdents64), ALLOW(ftruncate), ALLOW(fsync), ALLOW(fdatasync),
	ALLOW(rename), ALLOW(renameat), ALLOW(renameat2), ALLOW(unlink), ALLOW(unlinkat), ALLOW(mkdir), ALLOW(mkdirat),
	ALLOW(rmdir), ALLOW(umask), ALLOW(fadvise64),

	ALLOW_IF(mmap, 2, PROT_EXEC, 0), ALLOW_IF(mprotect, 2, PROT_EXEC, 0), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
	ALLOW(brk), ALLOW(membarrier),

	/* The child that writes to a driver's file for it; threads. No name space of its own. */
	ALLOW_IF(clone, 0, CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
		 CLONE_NEWNET, 0),
	REFUSE(clone3, ENOSYS),
	ALLOW(set_robust_list), ALLOW(set_tid_address), ALLOW(rseq), ALLOW(exit), ALLOW(exit_group), ALLOW(wait4),
	ALLOW(waitid), ALLOW(gettid), ALLOW(getpid), ALLOW(getppid), ALLOW(getuid), ALLOW(geteuid), ALLOW(getgid),
	ALLOW(getegid), ALLOW(getresuid), ALLOW(getresgid), ALLOW(getpgrp), ALLOW(sched_yield), ALLOW(sched_getaffinity),
	ALLOW_IF(prlimit64, 0, ALL, 0), ALLOW(getrlimit), ALLOW(getrusage), ALLOW(times), ALLOW(uname), ALLOW(sysinfo),
	ALLOW_IF(prctl, 0, ALL, PR_SET_NAME), ALLOW_IF(prctl, 0, ALL, PR_SET_PDEATHSIG), REFUSE_IF(ioctl, 1, TCGETS, ENOTTY),
	REFUSE_IF(ioctl, 1, TCGETS2, ENOTTY), IOCTL(FIONBIO), IOCTL(FIOCLEX), IOCTL(FIONCLEX), IOCTL(FIONREAD),

	ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(sigaltstack), ALLOW(restart_syscall),
	ALLOW(setitimer), ALLOW(alarm), ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(gettimeofday), ALLOW(time),
	ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(getrandom),
};

/* Who sets virtual functions back when the runner has gone: one socket to the keeper, one to rtnetlink, and a pidfd. */
static const struct rule of_standbys[] = {
	ALLOW(poll), ALLOW(recvfrom), ALLOW_IF(sendto, 5, ALL, 0), /* to whom it is connected */
	ALLOW(futex), ALLOW_IF(mmap, 2, PROT_EXEC, 0), ALLOW_IF(mprotect, 2, PROT_EXEC, 0), ALLOW(munmap), ALLOW(mremap),
	ALLOW(madvise), ALLOW(brk), ALLOW(clock_gettime), ALLOW(getrandom), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn),
	ALLOW(restart_syscall), ALLOW(sched_yield), ALLOW(gettid), ALLOW(getpid), ALLOW(exit), ALLOW(exit_group),
};

/* qemu-storage-daemon, from its first line on: so its libraries are mapped, too, and there is one execve, to which
 * Landlock leaves the program alone. It makes no socket and no process; io_uring is refused, and it does without. */
static const struct rule of_disk_engines[] = {
	ALLOW(execve), ALLOW(arch_prctl), ALLOW(set_tid_address), ALLOW(set_robust_list), ALLOW(rseq), ALLOW(prlimit64),
	ALLOW(access), ALLOW(open), ALLOW(openat), ALLOW(newfstatat), ALLOW(stat), ALLOW(fstat), ALLOW(lstat), ALLOW(statx),
	ALLOW(statfs), ALLOW(fstatfs), ALLOW(readlink), ALLOW(readlinkat), ALLOW(getdents64), ALLOW(getcwd), ALLOW(unlink),
	ALLOW(mmap), ALLOW(mprotect), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(brk), ALLOW(get_mempolicy),
	ALLOW(set_mempolicy), ALLOW(membarrier), REFUSE(memfd_create, ENOSYS), /* a file in memory has no limit */

	ALLOW(read), ALLOW(write), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64), ALLOW(preadv),
	ALLOW(pwritev), ALLOW(preadv2), ALLOW(pwritev2), ALLOW(lseek), ALLOW(close), ALLOW(close_range),
	FCNTL(F_DUPFD), FCNTL(F_GETFD), FCNTL(F_SETFD), FCNTL(F_GETFL), FCNTL(F_SETFL), FCNTL(F_GETLK), FCNTL(F_SETLK),
	FCNTL(F_SETLKW), FCNTL(F_OFD_GETLK), FCNTL(F_OFD_SETLK), FCNTL(F_OFD_SETLKW), FCNTL(F_DUPFD_CLOEXEC),
	ALLOW(dup), ALLOW(dup2), ALLOW(dup3), ALLOW(flock), ALLOW(fsync), ALLOW(fdatasync), ALLOW(sync_file_range),
	ALLOW(fallocate), ALLOW(ftruncate), ALLOW(fadvise64), ALLOW(copy_file_range), ALLOW(io_setup), ALLOW(io_submit),
	ALLOW(io_getevents), ALLOW(io_pgetevents), ALLOW(io_destroy), ALLOW(io_cancel),
	IOCTL(BLKGETSIZE64), IOCTL(BLKSSZGET), IOCTL(BLKPBSZGET), IOCTL(BLKSECTGET), IOCTL(BLKROGET), IOCTL(BLKDISCARD),
	IOCTL(BLKZEROOUT), IOCTL(BLKFLSBUF), IOCTL(FS_IOC_FIEMAP), IOCTL(FIGETBSZ), IOCTL(FIONBIO), IOCTL(FIOCLEX),
	IOCTL(FIONCLEX), REFUSE(ioctl, ENOTTY),

	ALLOW(accept), ALLOW(accept4), ALLOW(listen), ALLOW(getsockname), ALLOW(getpeername), ALLOW(getsockopt),
	ALLOW(setsockopt), ALLOW(recvmsg), ALLOW(recvfrom), ALLOW(sendmsg), ALLOW_IF(sendto, 5, ALL, 0), ALLOW(shutdown),

	ALLOW(poll), ALLOW(ppoll), ALLOW(select), ALLOW(pselect6), ALLOW(epoll_create1), ALLOW(epoll_ctl),
	ALLOW(epoll_wait), ALLOW(epoll_pwait), ALLOW(eventfd2), ALLOW(signalfd4), ALLOW(pipe2), ALLOW(timerfd_create),
	ALLOW(timerfd_settime), ALLOW(futex), ALLOW(restart_syscall), ALLOW(sched_yield), ALLOW(sched_getaffinity),
	ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(gettimeofday),
	ALLOW(getrandom), ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(rt_sigtimedwait),
	ALLOW(sigaltstack), ALLOW_IF(prctl, 0, ALL, PR_SET_NAME), ALLOW_IF(prctl, 0, ALL, PR_SET_TIMERSLACK),
	ALLOW_IF(clone, 0, CLONE_THREAD, CLONE_THREAD), REFUSE(clone3, ENOSYS), REFUSE(io_uring_setup, ENOSYS),
	ALLOW(exit), ALLOW(exit_group), ALLOW(gettid), ALLOW(getpid), ALLOW(getppid), ALLOW(getuid), ALLOW(geteuid),
	ALLOW(getgid), ALLOW(getegid), ALLOW(getrlimit), ALLOW(getrusage), ALLOW(uname), ALLOW(sysinfo), ALLOW(umask),
};

/* What a virtiofsd, which has a filter of its own once it serves, is refused in any case: signals to others. An owner of a
 * descriptor gets them by fcntl(2), from a process of root's folder whoever he is (sigio_perm in the kernel's fcntl.c). */
static const struct rule of_share_engines[] = {
	REFUSE(kill, EPERM), REFUSE(tkill, EPERM), REFUSE(pidfd_send_signal, EPERM), REFUSE(rt_sigqueueinfo, EPERM),
	REFUSE(rt_tgsigqueueinfo, EPERM), REFUSE(ptrace, EPERM), REFUSE(io_uring_setup, ENOSYS),
	REFUSE(memfd_create, ENOSYS),
	REFUSE_IF(fcntl, 1, F_SETOWN, EPERM), REFUSE_IF(fcntl, 1, F_SETOWN_EX, EPERM), REFUSE_IF(fcntl, 1, F_SETSIG, EPERM),
	REFUSE_IF(ioctl, 1, FIOSETOWN, EPERM), REFUSE_IF(ioctl, 1, SIOCSPGRP, EPERM),
};

#ifndef SYS_fchmodat2 /* Linux 6.6 */
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat /* Linux 6.13 */
#define SYS_setxattrat 463
#define SYS_removexattrat 466
#endif
#ifndef SYS_file_setattr /* Linux 6.17 */
#define SYS_file_setattr 469
#endif

/* What one is refused besides whose guest only reads: Landlock has no word for rights, owners, times and attributes, and
 * none for truncate(2) before Linux 6.2. */
static const struct rule of_readonly_share_engines[] = {
	REFUSE(chmod, EROFS), REFUSE(fchmod, EROFS), REFUSE(fchmodat, EROFS), REFUSE(fchmodat2, EROFS), REFUSE(chown, EROFS),
	REFUSE(lchown, EROFS), REFUSE(fchown, EROFS), REFUSE(fchownat, EROFS), REFUSE(utime, EROFS), REFUSE(utimes, EROFS),
	REFUSE(futimesat, EROFS), REFUSE(utimensat, EROFS), REFUSE(setxattr, EROFS), REFUSE(lsetxattr, EROFS),
	REFUSE(fsetxattr, EROFS), REFUSE(setxattrat, EROFS), REFUSE(removexattr, EROFS), REFUSE(lremovexattr, EROFS),
	REFUSE(fremovexattr, EROFS), REFUSE(removexattrat, EROFS), REFUSE(file_setattr, EROFS), REFUSE(truncate, EROFS),
	REFUSE_IF(ioctl, 1, FS_IOC_SETFLAGS, EROFS), REFUSE_IF(ioctl, 1, FS_IOC_FSSETXATTR, EROFS),
};

enum { RULE_LENGTH = 6, MOST_RULES = 256 };

/* The number of the call is in the accumulator before and, unless the rule has decided, after it. */
static size_t put_rule(struct sock_filter *to, const struct rule *rule)
{
	struct sock_filter any[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, rule->action),
	};
	struct sock_filter some[RULE_LENGTH] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * rule->argument), /* its low half */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1),
		any[1],
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	size_t size = rule->mask ? sizeof some : sizeof any;
	memcpy(to, rule->mask ? some : any, size);
	return size / sizeof *to;
}

struct filter {
	uint32_t length;
	struct sock_filter lines[3 + 1 + 2 + MOST_RULES * RULE_LENGTH + 1];
};

static void put(struct filter *filter, struct sock_filter line)
{
	filter->lines[filter->length++] = line;
}

/* A call from 32-bit code is decided right here; one of the x32 interface has a number that no rule has. */
static void filter_begin(struct filter *filter, uint32_t otherwise)
{
	filter->length = 0;
	put(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
	put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	put(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise));
	put(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
}

static void filter_add(struct filter *filter, const struct rule *rules, size_t count)
{
	for (size_t n = 0; n < count; n++)
		filter->length += put_rule(filter->lines + filter->length, &rules[n]);
}

#define ADD(filter, rules) filter_add(filter, rules, sizeof(rules) / sizeof *(rules))

static int filter_install(struct filter *filter, uint32_t otherwise, unsigned flags)
{
	put(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise));
	struct sock_fprog program = { .len = filter->length, .filter = filter->lines };
	long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return result < 0 ? -errno : result ? -EBUSY : 0; /* above 0: a thread that has a filter of its own */
}

/* Holds for all threads of a runner. A call that is not in the tables kills it. */
int confine_calls(bool virtio)
{
	const struct rule own[] = { ALLOW_IF(tgkill, 0, ALL, getpid()) };
	struct filter filter;
	filter_begin(&filter, SECCOMP_RET_KILL_PROCESS);
	ADD(&filter, of_vcpus);
	ADD(&filter, of_devices);
	if (virtio)
		ADD(&filter, of_virtio);
	ADD(&filter, of_runners);
	ADD(&filter, own);
	ADD(&filter, refused);
	return filter_install(&filter, SECCOMP_RET_KILL_PROCESS, SECCOMP_FILTER_FLAG_TSYNC);
}

/* Holds for the calling thread, which will run a vCPU, on top of the filter of its process. */
int confine_vcpu(bool devices, bool virtio)
{
	struct filter filter;
	filter_begin(&filter, SECCOMP_RET_KILL_PROCESS);
	ADD(&filter, of_vcpus);
	if (devices || virtio)
		ADD(&filter, of_devices);
	if (virtio)
		ADD(&filter, of_virtio);
	ADD(&filter, refused);
	return filter_install(&filter, SECCOMP_RET_KILL_PROCESS, 0);
}

/* Holds for a keeper. A call that is not in the table is refused: a keeper must live to put the host back. It may send
 * signals to the process `only`, and by these `pidfds`; 0: to those that the kernel lets its uid. */
int confine_keeper(int only, const int *pidfds, uint32_t count)
{
	enum { MOST_PIDFDS = 64 };
	if (count > MOST_PIDFDS)
		return -E2BIG;
	const struct rule any[] = { ALLOW(kill), ALLOW(tgkill), ALLOW(pidfd_send_signal), ALLOW(pidfd_open) };
	const struct rule one[] = { ALLOW_IF(kill, 0, ALL, only), ALLOW_IF(tgkill, 0, ALL, getpid()) };
	struct filter filter;
	filter_begin(&filter, SECCOMP_RET_ERRNO | EPERM);
	ADD(&filter, of_keepers);
	if (only)
		ADD(&filter, one);
	else
		ADD(&filter, any);
	for (uint32_t n = 0; only && n < count; n++) {
		const struct rule by[] = { ALLOW_IF(pidfd_send_signal, 0, ALL, pidfds[n]) };
		ADD(&filter, by);
	}
	return filter_install(&filter, SECCOMP_RET_ERRNO | EPERM, SECCOMP_FILTER_FLAG_TSYNC);
}

/* Holds for what becomes a disk engine. A call that is not in its table is refused, as a kernel without it would. */
int confine_disk_engine(void)
{
	const struct rule own[] = { ALLOW_IF(tgkill, 0, ALL, getpid()) }; /* abort() */
	struct filter filter;
	filter_begin(&filter, SECCOMP_RET_ERRNO | EPERM);
	ADD(&filter, of_disk_engines);
	ADD(&filter, own);
	return filter_install(&filter, SECCOMP_RET_ERRNO | EPERM, SECCOMP_FILTER_FLAG_TSYNC);
}

/* Holds for what becomes a virtiofsd. Its table refuses, so it has to see the x32 interface, whose numbers it has not. */
int confine_share_engine(bool readonly)
{
	struct filter filter;
	filter_begin(&filter, SECCOMP_RET_ERRNO | EPERM);
	put(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, __X32_SYSCALL_BIT, 0, 1));
	put(&filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
	ADD(&filter, of_share_engines);
	if (readonly)
		ADD(&filter, of_readonly_share_engines);
	return filter_install(&filter, SECCOMP_RET_ALLOW, SECCOMP_FILTER_FLAG_TSYNC);
}

/* Holds for a process that waits to undo what takes a capability. A call that is not in its table kills it. */
int confine_standby(void)
{
	struct filter filter;
	filter_begin(&filter, SECCOMP_RET_KILL_PROCESS);
	ADD(&filter, of_standbys);
	ADD(&filter, refused);
	return filter_install(&filter, SECCOMP_RET_KILL_PROCESS, SECCOMP_FILTER_FLAG_TSYNC);
}
