// Preloaded into QEMU. The emulation of CR8 (target/i386/tcg/sysemu/misc_helper.c) raises a nested guest's virtual interrupt
// without QEMU's big lock; tcg_handle_interrupt asserts that it is held, and QEMU dies. Seen with 7.2 when the guest is OVMF,
// whose handlers write CR8. Debian has that function in a module, so that this one comes first; it takes the lock before it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

typedef void raise_fn(void *cpu, int mask);

static struct {
	bool (*held)(void);
	void (*take)(const char *file, int line);
	void (*give)(void);
	raise_fn *raise;
} qemu;

static void *either(const char *first, const char *second)
{
	void *found = dlsym(RTLD_DEFAULT, first);
	return found ? found : dlsym(RTLD_DEFAULT, second);
}

// Later names are those of QEMU 9.
static void find(void)
{
	void *module = dlopen(MODULE, RTLD_LAZY | RTLD_NOLOAD);
	qemu.held = either("qemu_mutex_iothread_locked", "bql_locked");
	qemu.take = either("qemu_mutex_lock_iothread_impl", "bql_lock_impl");
	qemu.give = either("qemu_mutex_unlock_iothread", "bql_unlock");
	qemu.raise = dlsym(module, "tcg_handle_interrupt");
}

void tcg_handle_interrupt(void *cpu, int mask)
{
	if (!qemu.raise)
		find();
	bool ours = !qemu.held();
	if (ours)
		qemu.take(__FILE__, __LINE__);
	qemu.raise(cpu, mask);
	if (ours)
		qemu.give();
}
