/* The KVM_RUN loop: serve what C can serve, return an event for the rest (Documentation/virt/kvm/api.rst, 5). */
#include "native.h"

#include <errno.h>
#include <string.h>

/* Serves the access, or says what to ask. */
static int serve_access(struct vcpu *vcpu, struct access *access)
{
	if (vcpu->unfinished) { /* it was asked about, and this is the answer */
		vcpu->unfinished = false;
		access->value = vcpu->reply;
		return 0;
	}
	int event = access_serve(vcpu->machine, access);
	if (event == EVENT_READ || event == EVENT_WRITE) {
		uint64_t data[EVENT_WORDS] = { access->space, access->address, access->size, access->value };
		memcpy(vcpu->data, data, sizeof data);
		vcpu->reply = UINT64_MAX;
		vcpu->unfinished = true;
	}
	return event;
}

/* `rep ins` and `rep outs` are one exit with a count: the port is fixed, the data is an array. */
static int serve_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t size = run->io.size;
	if ((run->io.port & ~3u) == CONFIG_DATA)
		vcpu->holds = true;
	for (; vcpu->item < run->io.count; vcpu->item++) {
		uint8_t *data = (uint8_t *)run + run->io.data_offset + (uint64_t)vcpu->item * size;
		bool write = run->io.direction == KVM_EXIT_IO_OUT;
		struct access access = { SPACE_PORT, run->io.port, size, write, write ? 0 : UINT64_MAX };
		if (write)
			memcpy(&access.value, data, size);
		int event = serve_access(vcpu, &access);
		if (event)
			return event;
		if (!write)
			memcpy(data, &access.value, size);
	}
	return 0;
}

static int serve_memory(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	bool write = run->mmio.is_write;
	struct access access = { SPACE_MEMORY, run->mmio.phys_addr, run->mmio.len, write, write ? 0 : UINT64_MAX };
	if (write)
		memcpy(&access.value, run->mmio.data, run->mmio.len);
	int event = serve_access(vcpu, &access);
	if (!event && !write)
		memcpy(run->mmio.data, &access.value, sizeof access.value);
	return event;
}

static int describe(struct vcpu *vcpu, int event)
{
	struct kvm_run *run = vcpu->run;
	memset(vcpu->data, 0, sizeof vcpu->data);
	if (event == EVENT_INTERNAL) {
		vcpu->data[0] = run->internal.suberror;
		for (uint32_t n = 0; n + 1 < EVENT_WORDS && n < run->internal.ndata; n++)
			vcpu->data[n + 1] = run->internal.data[n];
	} else if (event == EVENT_FAIL_ENTRY) {
		vcpu->data[0] = run->fail_entry.hardware_entry_failure_reason;
	} else if (event == EVENT_UNKNOWN) {
		vcpu->data[0] = run->exit_reason;
	}
	return event;
}

static int serve(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		return serve_port(vcpu);
	case KVM_EXIT_MMIO:
		return serve_memory(vcpu);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return 0;
	case KVM_EXIT_SHUTDOWN:
		return EVENT_SHUTDOWN;
	case KVM_EXIT_INTERNAL_ERROR:
		return describe(vcpu, EVENT_INTERNAL);
	case KVM_EXIT_FAIL_ENTRY:
		return describe(vcpu, EVENT_FAIL_ENTRY);
	default:
		return describe(vcpu, EVENT_UNKNOWN);
	}
}

/* EAGAINs of KVM_RUN in a row until the host is meant by it, which has no thread left for KVM's own. */
enum { MOST_AGAIN = 10000 };

/* An access that C does not serve is asked about: this returns EVENT_READ or EVENT_WRITE with the access in vcpu->data,
 * and leaves vcpu->unfinished set. The caller says what a read is to give (vcpu_reply; without it, all ones) and calls
 * vcpu_run again, which first serves the same exit once more: run still has it, and serve_access takes vcpu->reply for
 * the access that was asked about. An exit may hold several accesses (`rep ins`, `rep outs`): vcpu->item is the one in
 * hand, so those before it are not done again, and each may be asked about in its turn. Only then is it time for a kick
 * and for KVM_RUN, which completes the guest's instruction. */
int vcpu_run_until_event(struct vcpu *vcpu)
{
	for (uint32_t again = 0;;) {
		if (vcpu->unfinished) {
			int event = serve(vcpu);
			if (event)
				return event;
		}
		if (atomic_load(&vcpu->kicked))
			return EVENT_KICKED;
		if (vcpu->holds) {
			vcpu->holds = false;
			vcpu_hold_writes(vcpu);
		}
		vcpu->item = 0;
		int result = ioctl(vcpu->fd, KVM_RUN, 0);
		atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
		int error = result < 0 ? errno : 0;
		int event = coalesced_take(vcpu->machine);
		if (event)
			return event;
		if (error) {
			vcpu->run->immediate_exit = 0;
			if (error == EINTR) { /* a kick, or a look */
				vcpu_look_at_writes(vcpu);
				vcpu_answer_look(vcpu);
				continue;
			}
			if (error == EAGAIN && ++again < MOST_AGAIN) /* a vCPU that waits for its start-up IPI */
				continue;
			vcpu->data[0] = error;
			return EVENT_ERROR;
		}
		again = 0;
		event = serve(vcpu);
		if (event)
			return event;
	}
}
