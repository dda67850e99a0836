/* What a process gives up for good: its user, its capabilities, the file system. 0 or -errno. */
#include "native.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset /* Linux 5.13 */
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_add_rule
#define SYS_landlock_add_rule 445
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV /* Linux 6.10 */
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ull << 15)
#endif

/* Real and saved uid say who may send this process signals; what it may do and open still goes by the effective one. */
int take_user(uint32_t own)
{
	return setresuid(own, -1, own) ? -errno : 0;
}

static int capabilities_of_permitted(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &header, sets))
		return -errno;
	for (int n = 0; n < _LINUX_CAPABILITY_U32S_3; n++)
		sets[n].effective = sets[n].permitted;
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

static int change_user(uint32_t real, uint32_t effective, bool files)
{
	uid_t before = geteuid();
	if (setgroups(0, NULL) && errno != EPERM) /* a user name space may forbid it for good */
		return -errno;
	if (!files && setresgid(effective, effective, effective))
		return -errno;
	if (setresuid(real, effective, real))
		return -errno;
	int error = capabilities_of_permitted();
	if (files)
		setfsuid(before);
	return error;
}

/* The kernel judges signals by real and effective uid, files by a fourth one (credentials(7)): with `files` that stays,
 * else the gids go, too. Capabilities stay, for those who still have to drop them. */
int confine_user(uint32_t real, uint32_t effective, bool files)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	int error = change_user(real, effective, files);
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return error;
}

/* All capabilities but those `kept` that the process has, bits by their numbers. A program that it executes can have
 * those that are `bound`. */
int confine_capabilities(uint64_t kept, uint64_t bound)
{
	for (int one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; one++)
		if (!(bound >> one & 1) && prctl(PR_CAPBSET_DROP, one, 0, 0, 0) && errno != EPERM) /* no_new_privs: gains none */
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &header, sets))
		return -errno;
	for (int n = 0; n < _LINUX_CAPABILITY_U32S_3; n++) {
		sets[n].permitted &= (uint32_t)(kept >> 32 * n);
		sets[n].effective = sets[n].permitted;
		sets[n].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

static int allow(int ruleset, int path, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = path };
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
}

/* The process keeps the files in `folder` and these `files`, all given as descriptors; -1 and 0: it keeps none. */
static int allow_places(int ruleset, uint64_t known, int folder, const int *files, uint32_t count)
{
	uint64_t file = (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE) & known;
	uint64_t entries = LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
	int error = folder < 0 ? 0 : allow(ruleset, folder, file | entries);
	for (uint32_t n = 0; n < count && !error; n++)
		error = allow(ruleset, files[n], file);
	return error;
}

/* Rights to files, to ports of TCP, and to what is outside: sockets without a file, signals. Of later versions. */
struct ruleset {
	uint64_t files, ports, scoped;
};

/* Landlock: nothing else can be opened, made or removed. The kernel answers EINVAL to rights that it does not know, so
 * the widest set that it takes is all of them. */
static int open_ruleset(struct ruleset *rights, size_t size)
{
	enum { MOST_RIGHTS = 24, FIRST_RIGHTS = 13 };
	for (int known = MOST_RIGHTS; known >= FIRST_RIGHTS; known--) {
		rights->files = (1ull << known) - 1;
		int ruleset = syscall(SYS_landlock_create_ruleset, rights, size, 0);
		if (ruleset >= 0 || errno != EINVAL)
			return ruleset < 0 ? -errno : ruleset;
	}
	return -EINVAL;
}

static int restrict_self(int ruleset, int error)
{
	if (!error && syscall(SYS_landlock_restrict_self, ruleset, 0))
		error = -errno;
	close(ruleset);
	return error;
}

int confine_files(int folder, const int *files, uint32_t count)
{
	struct ruleset rights = { 0 };
	int ruleset = open_ruleset(&rights, sizeof rights.files);
	if (ruleset < 0)
		return ruleset;
	return restrict_self(ruleset, allow_places(ruleset, rights.files, folder, files, count));
}

/* Rights that only what is no folder can be given are an error of the kernel's, and so are those that it does not know. */
static uint64_t rights_of(const struct place *place)
{
	struct stat status;
	uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	uint64_t of_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			    LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV;
	bool folder = !fstat(place->fd, &status) && S_ISDIR(status.st_mode);
	uint64_t rights = place->kind == PLACE_EXECUTED	 ? read | LANDLOCK_ACCESS_FS_EXECUTE
			  : place->kind == PLACE_WRITTEN ? ~LANDLOCK_ACCESS_FS_EXECUTE
							 : read | LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return folder ? rights & ~LANDLOCK_ACCESS_FS_IOCTL_DEV : rights & of_files;
}

/* For an engine: these places and no others; no port, no signal to others. */
int confine_places(const struct place *places, uint32_t count)
{
	int version = confine_landlock();
	if (version < 0)
		return version;
	struct ruleset rights = { .ports = 3, .scoped = 3 }; /* all that are known of each */
	size_t size = version >= 6 ? sizeof rights : version >= 4 ? 2 * sizeof rights.files : sizeof rights.files;
	int ruleset = open_ruleset(&rights, size);
	if (ruleset < 0)
		return ruleset;
	int error = 0;
	for (uint32_t n = 0; n < count && !error; n++)
		error = allow(ruleset, places[n].fd, rights_of(&places[n]) & rights.files);
	return restrict_self(ruleset, error);
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
