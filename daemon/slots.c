// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/slots.c - which fault threads wait for messages, and on which CPUs
 *
 * A slot is the duty to wait for messages, on one CPU; who has it is pinned
 * there. The other threads are parked.
 *
 *   PLACE_ONE   one thread of one client does the faulting. There is one slot,
 *               on the CPU that thread last ran on: its sleep is our turn.
 *   PLACE_ALL   several do. There is a slot for each CPU.
 *
 *        slot_enter            slot_serving              about to sleep
 *   parked ----> has the slot, -----------> has it, and ---------------> has none
 *     ^          waits          <---------- serves                         |
 *     |                                       slot_enter                   |
 *     +--------------------------------------------------------------------+
 *
 * While faults come at more than 1,000 a second, CPUs are also kept from deep
 * sleep (callers.h).
 *
 * Measured: 16,384 pages that were in the cache, touched at random, 2 CPUs busy
 * with other things as well, medians of 5 runs: one thread 8.4 us a fault, four
 * threads 66k faults a second. With all threads waiting, and not pinned: 10.0 us
 * and 57k. With PLACE_ALL alone: one thread 29 us; with PLACE_ONE alone: four
 * threads 32k.
 *
 * F1. A slot's owner is 0, or a thread's number and whether it is serving a
 *     fault just now, in one word: only the owner turns SERVING on and off,
 *     whoever takes the slot away takes both.
 * F2. If an enabled slot has no owner, a parked thread has been woken, or none
 *     is parked and faultd.c has been asked for one more.
 * F3. An owner that serves one fault for longer than a tick loses its slot: it
 *     sleeps somewhere that did not say so (thread_blocks). So it may be any
 *     thread's at any time.
 *
 * Locks:  slots.lock, a leaf. The rest is atomics; counters are estimates.
 * Source: fs/fuse_place.c, which does this for FUSE requests; leader/followers,
 *         Schmidt et al. (2000).
 */
#include <sched.h>
#include <string.h>

#include "blocking.h"
#include "callers.h"
#include "internal.h"

#define FOLLOW_EVERY	8u	/* faults between looks at the thread's CPU */
#define MAX_SLOTS	64u

#define SERVING		0x80000000u	/* in slot->owner, F1 */

enum place_mode { PLACE_ALL, PLACE_ONE };

/* Fields: (A) atomic; (C) constant; (M) the manager's. */
struct slot {
	atomic_uint owner;	/* (A) F1 */
	atomic_uint served;	/* (A) faults begun */
	unsigned int tick_served;	/* (M) at the last tick */
	int cpu;		/* (C) -1: any */
};

/* Fields: (A) atomic; (C) constant while it runs; (L) lock; (M) manager's. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;		/* a slot is free, or all shall leave */
	unsigned int nr_parked;		/* (L) */
	atomic_bool stopping;		/* (A) */
	struct slot slot[MAX_SLOTS];
	unsigned int nr;		/* (C) CPUs we may use */
	atomic_int mode;		/* (A) enum place_mode */
	atomic_int target_cpu;		/* (A) of the slot in PLACE_ONE; or -1 */
	struct callers callers;		/* (A) */
	struct ticker ticker;		/* (A,M) of faults */
	cpu_set_t all_cpus;		/* (C) */
} slots;

/* This thread's number from 1 on; its slot, or NULL; the CPU it is pinned to. */
static __thread unsigned int my_id;
static __thread struct slot *my_slot;
static __thread int my_cpu = -1;

static __thread struct followed_caller followed;

/* ---- slots ---- */

static unsigned int nr_enabled(void)
{
	return atomic_load(&slots.mode) == PLACE_ONE ? 1 : slots.nr;
}

/* A slot is free: somebody must take it. F2 */
static void slot_is_free(void)
{
	bool parked;

	mutex_lock(&slots.lock);
	parked = slots.nr_parked;
	if (parked)
		pthread_cond_signal(&slots.cond);
	mutex_unlock(&slots.lock);
	if (!parked)
		faultd_want_thread();
}

/* If @slot's owner is still @word. */
static void slot_take_away(struct slot *slot, unsigned int word)
{
	if (atomic_compare_exchange_strong(&slot->owner, &word, 0))
		slot_is_free();
}

/* Also the hook thread_blocks. */
static void give_up_slot(void)
{
	struct slot *slot = my_slot;
	unsigned int word;

	if (!slot)
		return;
	my_slot = NULL;
	word = atomic_load_explicit(&slot->owner, memory_order_relaxed);
	if ((word & ~SERVING) == my_id)
		slot_take_away(slot, word);	/* F1: fails if it is gone */
}

/* From @from to @to, if it is still ours. */
static bool slot_change(struct slot *slot, unsigned int from, unsigned int to)
{
	if (atomic_load_explicit(&slot->owner, memory_order_relaxed) != from)
		return false;
	return atomic_compare_exchange_strong(&slot->owner, &from, to);
}

static bool still_mine(void)
{
	if (!my_slot)
		return false;
	if (my_slot >= slots.slot + nr_enabled())
		give_up_slot();
	else if (atomic_load(&my_slot->owner) != my_id)
		my_slot = NULL;
	return my_slot;
}

static bool take_slot(void)
{
	unsigned int nr = nr_enabled();

	for (unsigned int i = 0; i < nr; i++) {
		unsigned int none = 0;

		if (atomic_load_explicit(&slots.slot[i].owner,
					 memory_order_relaxed))
			continue;
		if (atomic_compare_exchange_strong(&slots.slot[i].owner,
						   &none, my_id)) {
			my_slot = &slots.slot[i];
			return true;
		}
	}
	return false;
}

/* Without waiting. */
static bool has_slot(void)
{
	if (my_slot)
		slot_change(my_slot, my_id | SERVING, my_id);
	return still_mine() || take_slot();
}

static bool wait_for_slot(void)
{
	if (atomic_load(&slots.stopping))
		return false;
	if (likely(has_slot()))
		return true;
	mutex_lock(&slots.lock);
	slots.nr_parked++;
	while (!atomic_load(&slots.stopping) && !take_slot())
		pthread_cond_wait(&slots.cond, &slots.lock.m);
	slots.nr_parked--;
	mutex_unlock(&slots.lock);
	return my_slot;
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
	sched_setaffinity(0, sizeof(set), cpu >= 0 ? &set : &slots.all_cpus);
	my_cpu = cpu;
}

static void pin_to_slot(void)
{
	struct slot *slot = my_slot;

	if (slot)
		pin_to(atomic_load(&slots.mode) == PLACE_ONE ?
		       atomic_load(&slots.target_cpu) : slot->cpu);
}

bool slot_enter(void)
{
	if (!wait_for_slot())
		return false;
	pin_to_slot();
	return true;
}

bool slot_try_enter(void)
{
	if (atomic_load(&slots.stopping) || !has_slot())
		return false;
	pin_to_slot();
	return true;
}

bool slot_is_mine(void)
{
	return my_slot;
}

bool slot_may_go_on(void)
{
	return my_slot && atomic_load(&slots.mode) == PLACE_ALL;
}

/* ---- the threads that fault ---- */

static void wake_all_parked(void)
{
	mutex_lock(&slots.lock);
	pthread_cond_broadcast(&slots.cond);
	mutex_unlock(&slots.lock);
}

static void note_faulter(uint32_t tid)
{
	int mode = atomic_load(&slots.mode);

	switch (callers_note(&slots.callers, tid)) {
	case CALLERS_ONE:	/* whoever has another slot leaves with his next */
		if (mode == PLACE_ALL)
			atomic_store(&slots.mode, PLACE_ONE);
		break;
	case CALLERS_SEVERAL:
		if (mode == PLACE_ONE) {
			atomic_store(&slots.mode, PLACE_ALL);
			wake_all_parked();
		}
		break;
	default:
		break;
	}
}

void slot_serving(uint32_t tid)
{
	int cpu;

	if (ticker_call(&slots.ticker))
		faultd_wake_manager();
	if (my_slot) {
		slot_change(my_slot, my_id, my_id | SERVING);
		atomic_fetch_add_explicit(&my_slot->served, 1,
					  memory_order_relaxed);
	}
	if (slots.nr < 2)
		return;
	note_faulter(tid);
	if (atomic_load(&slots.mode) == PLACE_ALL || !my_slot)
		return;
	cpu = caller_cpu(&followed, tid, FOLLOW_EVERY);
	if (cpu >= 0)
		atomic_store(&slots.target_cpu, cpu);
	pin_to_slot();
}

/* ---- the manager's part ---- */

/* F3 */
static void check_slots(void)
{
	for (unsigned int i = 0; i < slots.nr; i++) {
		struct slot *slot = &slots.slot[i];
		unsigned int served = atomic_load(&slot->served);
		unsigned int owner = atomic_load(&slot->owner);

		if ((owner & SERVING) && served == slot->tick_served)
			slot_take_away(slot, owner);
		slot->tick_served = served;
	}
}

static bool anyone_serving(void)
{
	for (unsigned int i = 0; i < slots.nr; i++)
		if (atomic_load(&slots.slot[i].owner) & SERVING)
			return true;
	return false;
}

void slots_tick(void)
{
	if (!ticker_tick(&slots.ticker))
		return;
	check_slots();
	if (ticker_is_idle(&slots.ticker) && !anyone_serving())
		ticker_stop(&slots.ticker);
}

unsigned int slots_tick_ms(void)
{
	return ticker_ms(&slots.ticker);
}

/* ---- begin and end ---- */

void slots_thread_begin(unsigned int id)
{
	my_id = id + 1;
	my_slot = NULL;
	my_cpu = -1;
	followed = FOLLOWED_NOBODY;
	thread_blocks = give_up_slot;
}

void slots_thread_end(void)
{
	thread_blocks = NULL;
	give_up_slot();
	followed_close(&followed);
}

static void find_cpus(void)
{
	if (!sched_getaffinity(0, sizeof(slots.all_cpus), &slots.all_cpus))
		for (int cpu = 0; cpu < CPU_SETSIZE && slots.nr < MAX_SLOTS; cpu++)
			if (CPU_ISSET(cpu, &slots.all_cpus))
				slots.slot[slots.nr++].cpu = cpu;
	if (!slots.nr)
		slots.slot[slots.nr++].cpu = -1;
}

unsigned int slots_init(bool low_latency)
{
	memset(&slots, 0, sizeof(slots));
	mutex_init(&slots.lock, LOCK_LEAF);
	BUG_ON(pthread_cond_init(&slots.cond, NULL));
	find_cpus();
	atomic_store(&slots.target_cpu, -1);
	atomic_store(&slots.mode, slots.nr > 1 ? PLACE_ONE : PLACE_ALL);
	ticker_init(&slots.ticker, slots.nr > 1 && low_latency);
	return slots.nr;
}

void slots_stop(void)
{
	atomic_store(&slots.stopping, true);
	wake_all_parked();
}

void slots_exit(void)
{
	ticker_exit(&slots.ticker);
	pthread_cond_destroy(&slots.cond);
	mutex_destroy(&slots.lock);
}
