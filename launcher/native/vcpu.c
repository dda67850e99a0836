/* A vCPU's life: made, run on one thread, kicked from any other, asked why it came back, destroyed. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

static __thread struct kvm_run *current_run;

static void on_kick(int signal)
{
	(void)signal;
	if (current_run)
		current_run->immediate_exit = 1;
}

static int kick_signal(void)
{
	return SIGRTMIN + 1;
}

/* To be called before there is a vCPU; the handler is the process's. */
void vcpu_hear_kicks(void)
{
	struct sigaction action = { .sa_handler = on_kick }; /* no SA_RESTART: KVM_RUN must return */
	sigaction(kick_signal(), &action, NULL);
}

int vcpu_create(struct machine *machine, int fd, size_t run_size, struct vcpu **ret)
{
	struct vcpu *vcpu = calloc(1, sizeof *vcpu);
	if (!vcpu)
		return -ENOMEM;
	vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (vcpu->run == MAP_FAILED) {
		free(vcpu);
		return -errno;
	}
	vcpu->fd = fd;
	vcpu->run_size = run_size;
	vcpu->machine = machine;
	pthread_mutex_init(&vcpu->lock, NULL);
	*ret = vcpu;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	pthread_mutex_destroy(&vcpu->lock);
	munmap(vcpu->run, vcpu->run_size);
	free(vcpu);
}

/* Runs on the calling thread until an event; to be called without the interpreter lock. */
int vcpu_run(struct vcpu *vcpu)
{
	current_run = vcpu->run;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->thread = pthread_self();
	vcpu->inside = true;
	pthread_mutex_unlock(&vcpu->lock);

	int event = vcpu_run_until_event(vcpu);

	pthread_mutex_lock(&vcpu->lock);
	vcpu->inside = false;
	pthread_mutex_unlock(&vcpu->lock);
	current_run = NULL;
	return event;
}

/* Makes vcpu_run return EVENT_KICKED, now and at every later call. Any thread may call it. */
void vcpu_kick(struct vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, true);
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->inside) {
		vcpu->run->immediate_exit = 1;
		pthread_kill(vcpu->thread, kick_signal());
	}
	pthread_mutex_unlock(&vcpu->lock);
}

uint64_t vcpu_exits(struct vcpu *vcpu)
{
	return atomic_load(&vcpu->exits);
}

uint64_t vcpu_data(struct vcpu *vcpu, uint32_t word)
{
	return word < EVENT_WORDS ? vcpu->data[word] : 0;
}

/* What the guest is to read, after EVENT_READ. Without a reply it reads all ones. */
void vcpu_reply(struct vcpu *vcpu, uint64_t value)
{
	vcpu->reply = value;
}
