// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_place.c - which worker reads the next request, and on which CPU
 *
 * The kernel wakes the worker that has waited longest, on whatever CPU it last
 * ran. With one program at work that is mostly the other, idle CPU, and waking
 * an idle CPU costs more than most requests: 40 us against 9 (measured).
 *
 *   PLACE_ONE   one thread makes the requests. One worker reads: the reader.
 *               The others are parked. The reader follows the caller: it pins
 *               itself to the CPU the caller last ran on, so that the caller's
 *               sleep is its turn, and serves what it has read itself. Before
 *               it sleeps (thread_blocks) a parked worker takes over.
 *   PLACE_ALL   several threads do: everybody reads, on any CPU.
 *
 *              3 changes of thread in 32 requests
 *   PLACE_ONE ------------------------------------> PLACE_ALL
 *             <------------------------------------
 *              1 change at most in each of 4 x 32
 *
 * While requests come at more than 1,000 a second, root's daemon also keeps
 * the CPUs from deep sleep through /dev/cpu_dma_latency: what still has to wake
 * an idle CPU (the caller, when the answer is there) then costs less. The
 * kernel forgets that wish when the descriptor is closed, however we die.
 *
 * Measured with bench/run, one thread, this file's choices off and on (two runs
 * each, medians): 4k writes through the mount 33-46k and 82-84k requests a
 * second, cold stat 60k and 113k, rename 17-18k and 35k, create 12k and 25k.
 * What each of the two halves is good for was not measured apart.
 *
 * P1. reader is 0 or the id of the one worker that may be in read() by right,
 *     and whether it is serving instead, in one word: only its owner turns
 *     SERVING on and off, whoever takes the duty away takes both. Others may
 *     still be in read() after a change to PLACE_ONE; each leaves with its next
 *     request.
 * P2. If reader is 0 in PLACE_ONE, a parked worker has been woken, or none is
 *     parked and the pool adds one (its nr_idle is 0).
 * P3. A reader that serves one request for longer than a tick has its duty
 *     taken away by place_tick(): it sleeps somewhere that did not say so. So
 *     it may be any thread's at any time, and what a reader keeps between
 *     requests is its thread's own.
 *
 * Locks:  place.lock, a leaf. The rest is atomics; counters are estimates.
 * Source: leader/followers, Schmidt et al. (2000).
 */
#include <linux/fuse.h>
#include <sched.h>
#include <string.h>

#include "blocking.h"
#include "callers.h"
#include "fuse_i.h"

#define FOLLOW_EVERY	16u	/* requests between looks at the caller's CPU */

#define SERVING		0x80000000u	/* in place.reader, P1 */

enum place_mode { PLACE_ALL, PLACE_ONE };

/* Fields: (A) atomic; (C) constant while it runs; (L) lock; (M) manager's. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;		/* reader became 0, mode or orders changed */
	unsigned int nr_parked;		/* (L) */
	atomic_int mode;		/* (A) enum place_mode */
	atomic_uint reader;		/* (A) worker id + 1 | SERVING; P1 */
	atomic_uint served;		/* (A) requests the readers have begun */
	struct callers callers;		/* (A) */
	struct ticker ticker;		/* (A,M) of requests */
	atomic_int target_cpu;		/* (A) */
	cpu_set_t all_cpus;		/* (C) */
	bool enabled;			/* (C) more than one CPU */
	unsigned int tick_served;	/* (M) at the last tick */
} place;

/* This worker's id + 1; the CPU it is pinned to, or -1. */
static __thread unsigned int my_id;
static __thread int my_cpu = -1;

static __thread struct followed_caller followed;

/* ---- the reader's duty ---- */

static void wake_parked(void)
{
	mutex_lock(&place.lock);
	if (place.nr_parked)
		pthread_cond_signal(&place.cond);
	mutex_unlock(&place.lock);
}

/* If reader is still @word, the duty goes to whoever takes it. */
static void pass_on(unsigned int word)
{
	if (atomic_compare_exchange_strong(&place.reader, &word, 0))
		wake_parked();
}

/* Also the hook thread_blocks. */
static void give_up_duty(void)
{
	unsigned int word = atomic_load_explicit(&place.reader,
						 memory_order_relaxed);

	if ((word & ~SERVING) == my_id)
		pass_on(word);			/* P1: fails if it is gone */
}

/* From @from to @to, if it is ours and @from. Return: whether it was. */
static bool change_duty(unsigned int from, unsigned int to)
{
	if (atomic_load_explicit(&place.reader, memory_order_relaxed) != from)
		return false;
	return atomic_compare_exchange_strong(&place.reader, &from, to);
}

static bool take_duty(void)
{
	unsigned int none = 0;

	return atomic_compare_exchange_strong(&place.reader, &none, my_id);
}

static bool may_read(void)
{
	return atomic_load(&place.mode) == PLACE_ALL ||
	       atomic_load(&place.reader) == my_id || take_duty();
}

void place_enter(bool (*stays)(void))
{
	change_duty(my_id | SERVING, my_id);
	if (likely(may_read()))
		return;
	mutex_lock(&place.lock);
	place.nr_parked++;
	while (stays() && !may_read())
		pthread_cond_wait(&place.cond, &place.lock.m);
	place.nr_parked--;
	mutex_unlock(&place.lock);
}

void place_kick(void)
{
	mutex_lock(&place.lock);
	pthread_cond_broadcast(&place.cond);
	mutex_unlock(&place.lock);
}

static void set_mode(enum place_mode mode)
{
	atomic_store(&place.mode, mode);
	place_kick();
}

/* ---- the callers ---- */

static void note_caller(uint32_t tid)
{
	int mode = atomic_load(&place.mode);

	switch (callers_note(&place.callers, tid)) {
	case CALLERS_ONE:
		if (mode == PLACE_ALL)
			set_mode(PLACE_ONE);
		break;
	case CALLERS_SEVERAL:
		if (mode == PLACE_ONE)
			set_mode(PLACE_ALL);
		break;
	default:
		break;
	}
}

static void look_at_caller(uint32_t tid)
{
	int cpu = caller_cpu(&followed, tid, FOLLOW_EVERY);

	if (cpu >= 0)
		atomic_store(&place.target_cpu, cpu);
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	if (cpu == my_cpu)
		return;
	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	/* Refused (a cpuset, more CPUs than the set has): stay where we are. */
	sched_setaffinity(0, sizeof(set), cpu >= 0 ? &set : &place.all_cpus);
	my_cpu = cpu;
}

/* Requests that are slow as a rule: no use in keeping the duty. */
static bool is_slow(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		return true;
	default:
		return false;
	}
}

/*
 * May its caller be in the middle of exec(2), closing what it must not hand on?
 * Then reading its /proc/PID/stat may wait until that is through (seen on Linux
 * 6.18), and that waits for our answer.
 */
static bool may_be_exec(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_SETATTR:	/* times, with what is gathered */
		return true;
	default:
		return false;
	}
}

void place_received(uint32_t opcode, uint32_t tid)
{
	bool reader = change_duty(my_id, my_id | SERVING);

	if (ticker_call(&place.ticker))
		fuse_loop_wake_manager();
	if (!place.enabled)
		return;
	if (reader)	/* in PLACE_ALL, too: that may end while it serves */
		atomic_fetch_add_explicit(&place.served, 1, memory_order_relaxed);
	if (tid)	/* 0: the kernel's own writeback */
		note_caller(tid);
	if (atomic_load(&place.mode) == PLACE_ALL) {
		pin_to(-1);
		return;
	}
	if (!reader)
		return;
	if (tid && !may_be_exec(opcode))
		look_at_caller(tid);
	pin_to(atomic_load(&place.target_cpu));
	if (is_slow(opcode))
		give_up_duty();
}

/* ---- the manager's part ---- */

/* P3 */
static void check_reader(void)
{
	unsigned int served = atomic_load(&place.served);
	unsigned int reader = atomic_load(&place.reader);

	if ((reader & SERVING) && served == place.tick_served)
		pass_on(reader);
	place.tick_served = served;
}

void place_tick(void)
{
	if (!ticker_tick(&place.ticker))
		return;
	check_reader();
	if (ticker_is_idle(&place.ticker) &&
	    !(atomic_load(&place.reader) & SERVING))
		ticker_stop(&place.ticker);
}

unsigned int place_tick_ms(void)
{
	return ticker_ms(&place.ticker);
}

/* ---- begin and end ---- */

void place_thread_begin(unsigned int id)
{
	my_id = id + 1;
	my_cpu = -1;
	followed = FOLLOWED_NOBODY;
	thread_blocks = give_up_duty;
}

void place_thread_end(void)
{
	thread_blocks = NULL;
	give_up_duty();
	followed_close(&followed);
}

void place_init(bool low_latency)
{
	memset(&place, 0, sizeof(place));
	mutex_init(&place.lock, LOCK_LEAF);
	BUG_ON(pthread_cond_init(&place.cond, NULL));
	if (!sched_getaffinity(0, sizeof(place.all_cpus), &place.all_cpus))
		place.enabled = CPU_COUNT(&place.all_cpus) > 1;
	atomic_store(&place.mode, place.enabled ? PLACE_ONE : PLACE_ALL);
	atomic_store(&place.target_cpu, -1);
	ticker_init(&place.ticker, place.enabled && low_latency);
}

void place_exit(void)
{
	ticker_exit(&place.ticker);
	pthread_cond_destroy(&place.cond);
	mutex_destroy(&place.lock);
}
