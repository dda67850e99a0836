/* Guest memory on the host. 0 or -errno. */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif
#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

enum { ALIGNMENT = 2 << 20, SMALL_PAGE = 4096, BIND_POLICY = 2 /* MPOL_BIND */ };

static int bind_to(void *memory, size_t size, int node)
{
	unsigned long nodes[16] = { 0 };
	unsigned bits = 8 * sizeof *nodes;
	if (node >= (int)(8 * sizeof nodes))
		return -EINVAL;
	nodes[node / bits] = 1ul << node % bits;
	return syscall(SYS_mbind, memory, size, BIND_POLICY, nodes, 8 * sizeof nodes, 0) ? -errno : 0;
}

static void *map_huge(size_t size, size_t page_size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | __builtin_ctzl(page_size) << MAP_HUGE_SHIFT;
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
}

/* The memory is aligned to 2 MiB, so that every part of it can be a transparent huge page. */
static void *map_aligned(size_t size)
{
	if (size > SIZE_MAX - ALIGNMENT) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	uint8_t *whole = mmap(NULL, size + ALIGNMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (whole == MAP_FAILED)
		return whole;
	size_t before = -(uintptr_t)whole % ALIGNMENT;
	if (before)
		munmap(whole, before);
	munmap(whole + before + size, ALIGNMENT - before);
	return whole + before;
}

/* page_size 0: transparent huge pages; 4096: small ones; else a hugetlb size. node -1: anywhere. */
int memory_take(size_t size, size_t page_size, int node, void **ret)
{
	bool huge = page_size > SMALL_PAGE;
	void *memory = huge ? map_huge(size, page_size) : map_aligned(size);
	if (memory == MAP_FAILED)
		return -errno;
	if (!huge)
		madvise(memory, size, page_size == SMALL_PAGE ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	madvise(memory, size, MADV_DONTFORK); /* pinned private pages must not become copy-on-write */
	madvise(memory, size, MADV_DONTDUMP);
	int error = node < 0 ? 0 : bind_to(memory, size, node);
	if (error) {
		munmap(memory, size);
		return error;
	}
	*ret = memory;
	return 0;
}

/* The mapping is shared, and placed so that huge pages can back it: `alignment` is a power of two, at least a page. */
int memory_map_file(int fd, uint64_t offset, size_t size, size_t alignment, void **ret)
{
	size_t room = size + alignment;
	uint8_t *whole = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (whole == MAP_FAILED)
		return -errno;
	size_t before = -(uintptr_t)whole % alignment;
	void *memory = mmap(whole + before, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset);
	int error = memory == MAP_FAILED ? -errno : 0;
	if (error) {
		munmap(whole, room);
		return error;
	}
	if (before)
		munmap(whole, before);
	munmap(whole + before + size, alignment - before);
	madvise(memory, size, MADV_DONTFORK);
	*ret = memory;
	return 0;
}

static int take_shared(int file, size_t size, size_t page_size, int node, void **ret)
{
	if (ftruncate(file, size))
		return -errno;
	size_t alignment = page_size > ALIGNMENT ? page_size : ALIGNMENT;
	int error = memory_map_file(file, 0, size, alignment, ret);
	if (error)
		return error;
	if (page_size <= SMALL_PAGE)
		madvise(*ret, size, page_size == SMALL_PAGE ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	madvise(*ret, size, MADV_DONTDUMP);
	error = node < 0 ? 0 : bind_to(*ret, size, node);
	if (error)
		munmap(*ret, size);
	return error;
}

/* Nobody who has it may execute it as a program, where the kernel knows of that; a host may allow no other. */
static int make_file(unsigned flags)
{
	int file = memfd_create("guest", flags | MFD_NOEXEC_SEAL);
	return file < 0 && errno == EINVAL ? memfd_create("guest", flags) : file;
}

/* As memory_take, of a file in memory that other processes may map. Nobody who has it can change its size, but where it
 * is `late`, to be touched by the guest only, and gets transparent huge pages then: its file system takes no seals. */
int memory_take_shared(size_t size, size_t page_size, int node, bool late, int *ret_file, void **ret)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	if (page_size > SMALL_PAGE)
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzl(page_size) << MAP_HUGE_SHIFT;
	int file = late && !page_size ? memory_make_huge_file(size) : -1;
	bool sealed = file < 0;
	if (sealed)
		file = make_file(flags);
	if (file < 0)
		return -errno;
	int error = take_shared(file, size, page_size, node, ret);
	if (!error && sealed && fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		error = -errno;
		munmap(*ret, size);
	}
	if (error) {
		close(file);
		return error;
	}
	*ret_file = file;
	return 0;
}

void memory_release(void *memory, size_t size)
{
	munmap(memory, size);
}

static int touch(volatile uint8_t *memory, size_t size)
{
	for (size_t at = 0; at < size; at += SMALL_PAGE)
		memory[at] = memory[at];
	return 0;
}

static int populate(void *memory, size_t size)
{
	if (!madvise(memory, size, MADV_POPULATE_WRITE))
		return 0;
	return errno == EINVAL ? touch(memory, size) : -errno; /* before Linux 5.14 */
}

/* A file in memory has no huge pages by itself, whatever it is advised (shmem_enabled is `never`): it has them where a
 * page is there already and is collapsed. The rest, or where the kernel cannot do that, is populated as it is. */
static int populate_collapsed(void *memory, size_t size)
{
	for (size_t at = 0; at < size; at += ALIGNMENT)
		((volatile uint8_t *)memory)[at] = ((volatile uint8_t *)memory)[at];
	madvise(memory, size, MADV_COLLAPSE);
	return populate(memory, size);
}

static int populate_chunks(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done,
			   int (*way)(void *, size_t))
{
	for (;;) {
		uint64_t start = __atomic_fetch_add(cursor, chunk, __ATOMIC_RELAXED);
		if (start >= size)
			return 0;
		size_t length = size - start < chunk ? size - start : chunk;
		int error = way((uint8_t *)memory + start, length);
		if (error)
			return error;
		__atomic_fetch_add(done, length, __ATOMIC_RELAXED);
	}
}

/* Several threads may call it with the same cursor: each takes the next chunk until there is none. */
int memory_populate(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done)
{
	return populate_chunks(memory, size, chunk, cursor, done, populate);
}

/* The same of a file in memory whose pages are to be transparent huge ones. */
int memory_populate_shared(void *memory, size_t size, size_t chunk, uint64_t *cursor, uint64_t *done)
{
	return populate_chunks(memory, size, chunk, cursor, done, populate_collapsed);
}

/* Code that ran once, at the start, is a file's and need not stay mapped: what is used again comes back page by page. */
static int unmap_code(struct dl_phdr_info *object, size_t size, void *page_size)
{
	for (int n = 0; n < object->dlpi_phnum; n++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[n];
		uintptr_t page = *(uintptr_t *)page_size, start = object->dlpi_addr + part->p_vaddr, end = start + part->p_memsz;
		start = (start + page - 1) / page * page;
		end = end / page * page;
		if (part->p_type == PT_LOAD && !(part->p_flags & PF_W) && start < end)
			madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

/* poll(2) without what is not needed for it. What this process has freed is the host's again: malloc keeps blocks that were
 * as large as a kernel for the next. Of whoever called, an interpreter, no code is mapped meanwhile. */
int memory_rest(struct pollfd *waits, size_t count, int milliseconds)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	malloc_trim(0);
	dl_iterate_phdr(unmap_code, &page);
	int found = poll(waits, count, milliseconds);
	return found < 0 ? -errno : found;
}
