/* A vCPU's life: made, run on one thread, kicked from any other, asked why it came back, destroyed. */
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* as glibc 2.38 names it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { KICK = SIGUSR1 }; /* no real-time signal: those are refused where many wait (RLIMIT_SIGPENDING) */

static __thread struct vcpu *current;

static void on_kick(int signal, siginfo_t *about, void *context)
{
	(void)signal;
	(void)context;
	if (!current)
		return;
	current->ticked = current->ticked || about->si_code == SI_TIMER;
	current->run->immediate_exit = 1;
}

/* To be called before there is a vCPU; the handler is the process's. */
void vcpu_hear_kicks(void)
{
	struct sigaction action = { .sa_sigaction = on_kick, .sa_flags = SA_SIGINFO }; /* KVM_RUN must return: no SA_RESTART */
	sigaction(KICK, &action, NULL);
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
	coalesced_map(&machine->coalesced, vcpu->run, run_size);
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&vcpu->looked, &clock);
	pthread_condattr_destroy(&clock);
	*ret = vcpu;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->has_timer)
		timer_delete(vcpu->timer);
	pthread_cond_destroy(&vcpu->looked);
	pthread_mutex_destroy(&vcpu->lock);
	munmap(vcpu->run, vcpu->run_size);
	free(vcpu);
}

/* The lock is held, and the vCPU is inside. KVM_RUN returns EINTR, now or when it is next called. */
static void interrupt_run(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	pthread_kill(vcpu->thread, KICK);
}

/* The lock is held. */
static void look_is(struct vcpu *vcpu, int found)
{
	vcpu->look = found;
	pthread_cond_broadcast(&vcpu->looked);
}

/* Nobody is inside KVM_RUN, which has said how the guest is when it returned: one that was never started, or waits for its
 * start-up IPI, sleeps as deep as one in HLT without interrupts. */
static bool sleeps(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { KVM_MP_STATE_RUNNABLE };
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) < 0)
		return false;
	bool waits = state.mp_state == KVM_MP_STATE_UNINITIALIZED || state.mp_state == KVM_MP_STATE_INIT_RECEIVED;
	return waits || (state.mp_state == KVM_MP_STATE_HALTED && !vcpu->run->if_flag);
}

/* On the vCPU's own thread, right after a KVM_RUN that a signal ended. One that is found asleep does not go on before the
 * look is over. */
void vcpu_answer_look(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->look == LOOK_ASKED)
		look_is(vcpu, sleeps(vcpu) ? LOOK_ASLEEP : LOOK_AWAKE);
	while (vcpu->look == LOOK_ASLEEP)
		pthread_cond_wait(&vcpu->looked, &vcpu->lock);
	pthread_mutex_unlock(&vcpu->lock);
}

/* Once, for the thread that it runs on. */
static bool make_timer(struct vcpu *vcpu)
{
	struct sigevent kick = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK };
	kick.sigev_notify_thread_id = gettid();
	vcpu->has_timer = vcpu->has_timer || !timer_create(CLOCK_MONOTONIC, &kick, &vcpu->timer);
	return vcpu->has_timer;
}

/* The vCPU comes out of the guest after a while. */
static bool set_timer(struct vcpu *vcpu)
{
	const struct itimerspec time = { .it_value.tv_nsec = 200000000 };
	return make_timer(vcpu) && !timer_settime(vcpu->timer, 0, &time, NULL);
}

/* On the vCPU's own thread, before it goes on in the guest. */
void vcpu_hold_writes(struct vcpu *vcpu)
{
	if (!vcpu->machine->coalesced.ring)
		return;
	vcpu->looks = vcpu->looks || set_timer(vcpu);
	if (vcpu->looks)
		coalesced_open(&vcpu->machine->coalesced);
}

/* On the vCPU's own thread, after a KVM_RUN that a signal ended. It is over when the ring was closed for a whole while. */
void vcpu_look_at_writes(struct vcpu *vcpu)
{
	if (!vcpu->ticked)
		return;
	vcpu->ticked = 0;
	vcpu->looks = !coalesced_close(&vcpu->machine->coalesced) && set_timer(vcpu);
}

/* Outside of vcpu_run nobody hears the timer, whose signal waits: it would end what Python waits for. */
static void hear_timer(struct vcpu *vcpu, int how)
{
	sigset_t signals;
	if (!vcpu->has_timer)
		return;
	sigemptyset(&signals);
	sigaddset(&signals, KICK);
	pthread_sigmask(how, &signals, NULL);
}

static struct timespec from_now(uint32_t milliseconds)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	uint64_t nanoseconds = (uint64_t)time.tv_nsec + milliseconds * UINT64_C(1000000);
	time.tv_sec += (time_t)(nanoseconds / 1000000000);
	time.tv_nsec = (long)(nanoseconds % 1000000000);
	return time;
}

/* Whether no interrupt wakes it; if so, it stays out of the guest until vcpu_look_over. Any thread may ask, one at a time;
 * who does not answer in time is awake. */
bool vcpu_asleep(struct vcpu *vcpu, uint32_t milliseconds)
{
	struct timespec last = from_now(milliseconds);
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->inside) {
		look_is(vcpu, LOOK_ASKED);
		interrupt_run(vcpu);
	}
	while (vcpu->look == LOOK_ASKED && pthread_cond_timedwait(&vcpu->looked, &vcpu->lock, &last) == 0)
		;
	bool asleep = vcpu->look == LOOK_ASLEEP;
	if (!asleep)
		look_is(vcpu, LOOK_NONE);
	pthread_mutex_unlock(&vcpu->lock);
	return asleep;
}

/* Whether nobody has woken it since: another vCPU may have, before it was found asleep itself. */
bool vcpu_still_asleep(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	bool asleep = vcpu->look == LOOK_ASLEEP && sleeps(vcpu);
	pthread_mutex_unlock(&vcpu->lock);
	return asleep;
}

void vcpu_look_over(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	look_is(vcpu, LOOK_NONE);
	pthread_mutex_unlock(&vcpu->lock);
}

/* Runs on the calling thread until an event; to be called without the interpreter lock. */
int vcpu_run(struct vcpu *vcpu)
{
	current = vcpu;
	hear_timer(vcpu, SIG_UNBLOCK);
	pthread_mutex_lock(&vcpu->lock);
	vcpu->thread = pthread_self();
	vcpu->inside = true;
	pthread_mutex_unlock(&vcpu->lock);

	int event = vcpu_run_until_event(vcpu);

	pthread_mutex_lock(&vcpu->lock);
	vcpu->inside = false;
	if (vcpu->look == LOOK_ASKED)
		look_is(vcpu, LOOK_AWAKE);
	pthread_mutex_unlock(&vcpu->lock);
	hear_timer(vcpu, SIG_BLOCK);
	current = NULL;
	if (vcpu->looks) /* it may be long before it looks */
		coalesced_close(&vcpu->machine->coalesced);
	return event;
}

/* Makes vcpu_run return EVENT_KICKED, now and at every later call. Any thread may call it. */
void vcpu_kick(struct vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, true);
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->inside)
		interrupt_run(vcpu);
	look_is(vcpu, LOOK_NONE);
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
