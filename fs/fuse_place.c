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
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blocking.h"
#include "fuse_i.h"

#define PLACE_WINDOW	32u	/* requests between decisions; by experiment */
#define PLACE_SWITCHES	3u	/* thread changes in a window: several callers */
#define PLACE_CALM	4u	/* calm windows before one reader is tried again */
#define FOLLOW_EVERY	16u	/* requests between looks at the caller's CPU */
#define TICK_MS		20u	/* while requests come; arbitrary */
#define QUIET_TICKS	5u	/* of fewer requests, then CPUs may sleep again */
#define IDLE_TICKS	50u	/* of none, then ticking ends */
#define BUSY_REQUESTS	20u	/* in a tick: 1,000 a second */

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
	atomic_uint last_tid;		/* (A) who made the last request */
	atomic_uint seen, switches;	/* (A) in this window */
	atomic_uint calm;		/* (A) windows */
	atomic_uint total;		/* (A) requests, ever */
	atomic_bool ticking;		/* (A) */
	atomic_int target_cpu;		/* (A) */
	cpu_set_t all_cpus;		/* (C) */
	bool enabled;			/* (C) more than one CPU */
	unsigned int tick_total, tick_served;	/* (M) at the last tick */
	unsigned int quiet, idle;	/* (M) ticks */
	int qos_fd;			/* (M) -1: not allowed */
	bool qos_held;			/* (M) */
} place;

/* This worker's id + 1; the CPU it is pinned to, or -1. */
static __thread unsigned int my_id;
static __thread int my_cpu = -1;

/* Whose /proc/TID/stat this worker has open, if any. */
static __thread struct {
	uint32_t tid;
	int fd;			/* or -1 */
	unsigned int since;	/* requests since the last look */
} followed;

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

/* ---- one caller or several ---- */

static void decide(unsigned int switches)
{
	if (switches >= PLACE_SWITCHES) {
		atomic_store(&place.calm, 0);
		if (atomic_load(&place.mode) == PLACE_ONE)
			set_mode(PLACE_ALL);
	} else if (switches > 1) {
		atomic_store(&place.calm, 0);
	} else if (atomic_load(&place.mode) == PLACE_ALL &&
		   atomic_fetch_add(&place.calm, 1) + 1 >= PLACE_CALM) {
		set_mode(PLACE_ONE);
	}
}

/* Racy among readers in PLACE_ALL; a window more or less decides nothing. */
static void note_caller(uint32_t tid)
{
	const memory_order relaxed = memory_order_relaxed;

	if (atomic_exchange_explicit(&place.last_tid, tid, relaxed) != tid)
		atomic_fetch_add_explicit(&place.switches, 1, relaxed);
	if (atomic_fetch_add_explicit(&place.seen, 1, relaxed) + 1 < PLACE_WINDOW)
		return;
	atomic_store_explicit(&place.seen, 0, relaxed);
	decide(atomic_exchange_explicit(&place.switches, 0, relaxed));
}

/* ---- the caller's CPU ---- */

/* Field 39 of proc(5)'s stat; the name, field 2, may have blanks. -1: gone. */
static int parse_cpu(char *stat)
{
	char *p = strrchr(stat, ')');

	for (int field = 2; p && field < 39; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	return p ? atoi(p) : -1;
}

static void close_stat(void)
{
	if (followed.fd >= 0)
		close(followed.fd);
	followed.fd = -1;
}

static void open_stat(uint32_t tid)
{
	char path[32];

	close_stat();
	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	followed.fd = open(path, O_RDONLY | O_CLOEXEC);
	followed.tid = tid;
}

static void look_at_caller(uint32_t tid)
{
	char stat[512];
	ssize_t len;
	int cpu;

	if (tid == followed.tid && ++followed.since < FOLLOW_EVERY)
		return;
	followed.since = 0;
	if (tid != followed.tid || followed.fd < 0)
		open_stat(tid);
	len = pread(followed.fd, stat, sizeof(stat) - 1, 0);
	if (len <= 0) {
		close_stat();	/* gone, and the number may be another's soon */
		return;
	}
	stat[len] = '\0';
	cpu = parse_cpu(stat);
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

void place_received(uint32_t opcode, uint32_t tid)
{
	bool reader = change_duty(my_id, my_id | SERVING);

	atomic_fetch_add(&place.total, 1);	/* pairs with stop_ticking() */
	if (!atomic_load(&place.ticking) &&
	    !atomic_exchange(&place.ticking, true))
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
	if (tid)
		look_at_caller(tid);
	pin_to(atomic_load(&place.target_cpu));
	if (is_slow(opcode))
		give_up_duty();
}

/* ---- the manager's part ---- */

/* CPUs wake fast from now on, or as they like. */
static void set_qos(bool hold)
{
	/* Microseconds; the second is the kernel's PM_QOS default, no wish. */
	const int32_t us = hold ? 0 : 2000 * 1000 * 1000;

	if (place.qos_fd < 0 || hold == place.qos_held)
		return;
	if (write(place.qos_fd, &us, sizeof(us)) == sizeof(us))
		place.qos_held = hold;
}

/* P3 */
static void check_reader(void)
{
	unsigned int served = atomic_load(&place.served);
	unsigned int reader = atomic_load(&place.reader);

	if ((reader & SERVING) && served == place.tick_served)
		pass_on(reader);
	place.tick_served = served;
}

/* Nothing has come since there were @total requests. */
static void stop_ticking(unsigned int total)
{
	place.idle = 0;
	atomic_store(&place.ticking, false);
	/* Pairs with place_received(): it counted before it looked at ticking. */
	if (atomic_load(&place.total) != total)
		atomic_store(&place.ticking, true);
}

void place_tick(void)
{
	unsigned int total = atomic_load(&place.total);
	unsigned int came = total - place.tick_total;

	if (!atomic_load(&place.ticking))
		return;
	place.tick_total = total;
	place.quiet = came >= BUSY_REQUESTS ? 0 : place.quiet + 1;
	place.idle = came ? 0 : place.idle + 1;
	if (!place.quiet)
		set_qos(true);
	else if (place.quiet >= QUIET_TICKS)
		set_qos(false);
	check_reader();
	if (place.idle >= IDLE_TICKS &&
	    !(atomic_load(&place.reader) & SERVING))
		stop_ticking(total);
}

unsigned int place_tick_ms(void)
{
	return atomic_load(&place.ticking) ? TICK_MS : 0;
}

/* ---- begin and end ---- */

void place_thread_begin(unsigned int id)
{
	my_id = id + 1;
	my_cpu = -1;
	followed.tid = 0;
	followed.fd = -1;
	thread_blocks = give_up_duty;
}

void place_thread_end(void)
{
	thread_blocks = NULL;
	give_up_duty();
	close_stat();
}

void place_init(bool low_latency)
{
	memset(&place, 0, sizeof(place));
	mutex_init(&place.lock, LOCK_LEAF);
	BUG_ON(pthread_cond_init(&place.cond, NULL));
	place.qos_fd = -1;
	if (sched_getaffinity(0, sizeof(place.all_cpus), &place.all_cpus))
		return;
	place.enabled = CPU_COUNT(&place.all_cpus) > 1;
	atomic_store(&place.mode, place.enabled ? PLACE_ONE : PLACE_ALL);
	atomic_store(&place.target_cpu, -1);
	if (place.enabled && low_latency)
		place.qos_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
	if (place.qos_fd >= 0) {
		place.qos_held = true;	/* opening it is a wish for 0 */
		set_qos(false);
	}
}

void place_exit(void)
{
	if (place.qos_fd >= 0)
		close(place.qos_fd);
	pthread_cond_destroy(&place.cond);
	mutex_destroy(&place.lock);
}
