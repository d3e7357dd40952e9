// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/vmstat.c - event counters and states, and their text
 *
 *   thread A: vm_events { event[] } --\
 *   thread B: vm_events { event[] } ---+-- event_threads     sum of all
 *   threads gone: folded[]  -----------+                     less zero_point[]
 *
 * I1. A thread's counters are written by that thread only, so counting is an
 *     untorn add without a locked instruction.
 * I2. A block leaves the list and is added to folded[] in one critical section:
 *     a sum never misses or doubles an exiting thread.
 *
 * A thread registers with its first event, whoever made the thread; it is
 * folded by the destructor of a pthread key. Destructors of other keys may
 * count later still: such events go to folded[] directly.
 *
 * Locks:   vm_event_lock (LOCK_VMSTAT): event_threads. Innermost of all, as
 *          events are counted under any lock.
 * Source:  Linux mm/vmstat.c. Differs: per thread, not per CPU; states are
 *          exact because limits are enforced with them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"
#include "vmstat.h"

enum vm_events_state {
	EVENTS_NEW,		/* zero: a thread that has counted nothing */
	EVENTS_LIVE,		/* on event_threads */
	EVENTS_GONE,		/* the destructor ran, or there is none */
};

/* Fields: (A) atomic, written by the owner; (O) owner; (V) vm_event_lock. */
struct vm_events {
	unsigned long event[NR_VM_EVENT_ITEMS];	/* (A) */
	enum vm_events_state state;		/* (O) */
	pid_t tid;				/* (V) */
	struct list_head link;			/* (V) */
};

atomic_long vm_stat[NR_VM_STAT_ITEMS];

static __thread struct vm_events vm_events;

static struct mutex vm_event_lock = MUTEX_INITIALIZER(LOCK_VMSTAT);
static LIST_HEAD(event_threads);			/* (V) */
static unsigned long folded[NR_VM_EVENT_ITEMS];		/* (A) */
static unsigned long zero_point[NR_VM_EVENT_ITEMS];	/* (V) */

static pthread_key_t vm_event_key;
static pthread_once_t vm_event_once = PTHREAD_ONCE_INIT;
static int vm_event_key_err;

static void vm_events_fold(void *arg)
{
	struct vm_events *ev = arg;

	mutex_lock(&vm_event_lock);
	list_del(&ev->link);		/* I2 */
	for (int i = 0; i < NR_VM_EVENT_ITEMS; i++)
		__atomic_fetch_add(&folded[i], ev->event[i], __ATOMIC_RELAXED);
	mutex_unlock(&vm_event_lock);
	ev->state = EVENTS_GONE;
}

/* The other threads do not exist in a child, nor does their memory for long. */
static void vm_events_forked(void)
{
	mutex_init(&vm_event_lock, LOCK_VMSTAT);
	INIT_LIST_HEAD(&event_threads);
	if (vm_events.state != EVENTS_LIVE)
		return;
	vm_events.tid = gettid();
	list_add(&vm_events.link, &event_threads);
}

static void vm_event_key_init(void)
{
	vm_event_key_err = pthread_key_create(&vm_event_key, vm_events_fold);
	if (!vm_event_key_err)
		vm_event_key_err = pthread_atfork(NULL, NULL, vm_events_forked);
}

/* Without a destructor the block would dangle: then count in folded[]. */
static void vm_events_register(struct vm_events *ev)
{
	pthread_once(&vm_event_once, vm_event_key_init);
	if (vm_event_key_err || pthread_setspecific(vm_event_key, ev)) {
		ev->state = EVENTS_GONE;
		return;
	}
	mutex_lock(&vm_event_lock);
	ev->tid = gettid();
	list_add(&ev->link, &event_threads);
	mutex_unlock(&vm_event_lock);
	ev->state = EVENTS_LIVE;
}

static void __cold count_vm_events_slow(struct vm_events *ev,
					enum vm_event_item item,
					unsigned long nr)
{
	if (ev->state == EVENTS_NEW)
		vm_events_register(ev);
	if (ev->state == EVENTS_LIVE)
		WRITE_ONCE(ev->event[item], ev->event[item] + nr);
	else
		__atomic_fetch_add(&folded[item], nr, __ATOMIC_RELAXED);
}

void count_vm_events(enum vm_event_item item, unsigned long nr)
{
	struct vm_events *ev = &vm_events;

	if (likely(ev->state == EVENTS_LIVE))
		WRITE_ONCE(ev->event[item], ev->event[item] + nr); /* I1 */
	else
		count_vm_events_slow(ev, item, nr);
}

/* Context: caller holds vm_event_lock. */
static unsigned long __vm_event(enum vm_event_item item)
{
	unsigned long sum = READ_ONCE(folded[item]);
	struct vm_events *ev;

	lockdep_assert_held(&vm_event_lock);
	list_for_each_entry(ev, &event_threads, link)
		sum += READ_ONCE(ev->event[item]);
	return sum;
}

unsigned long vm_event(enum vm_event_item item)
{
	unsigned long sum;

	mutex_lock(&vm_event_lock);
	sum = __vm_event(item) - zero_point[item];
	mutex_unlock(&vm_event_lock);
	return sum;
}

/* Other threads' counters are not ours to write (I1): move where zero is. */
void vmstat_init(void)
{
	mutex_lock(&vm_event_lock);
	for (int i = 0; i < NR_VM_EVENT_ITEMS; i++)
		zero_point[i] = __vm_event(i);
	mutex_unlock(&vm_event_lock);
	for (int i = 0; i < NR_VM_STAT_ITEMS; i++)
		atomic_store_explicit(&vm_stat[i], 0, memory_order_relaxed);
}

void vm_stat_max(enum vm_stat_item item, long value)
{
	long old = atomic_load(&vm_stat[item]);

	while (old < value &&
	       !atomic_compare_exchange_weak(&vm_stat[item], &old, value))
		;
}

size_t scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	if (!size)
		return 0;
	va_start(ap, fmt);
	len = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (len < 0)
		return 0;
	return min_t(size_t, len, size - 1);
}

/* Linux's name where the meaning is Linux's. */
static const char *const event_names[NR_VM_EVENT_ITEMS] = {
	[PGPGIN]		= "pgpgin",
	[PGPGOUT]		= "pgpgout",
	[PGALLOC]		= "pgalloc",
	[PGFREE]		= "pgfree",
	[PGALLOC_FAIL]		= "pgalloc_fail",
	[PGCACHE_HIT]		= "pgcache_hit",
	[PGCACHE_MISS]		= "pgcache_miss",
	[PGREADAHEAD]		= "pgreadahead",
	[RA_SYNC]		= "ra_sync",
	[RA_ASYNC]		= "ra_async",
	[PGACTIVATE]		= "pgactivate",
	[PGDEACTIVATE]		= "pgdeactivate",
	[PGROTATED]		= "pgrotated",
	[PGSCAN_KSWAPD]		= "pgscan_kswapd",
	[PGSCAN_DIRECT]		= "pgscan_direct",
	[PGSTEAL_KSWAPD]	= "pgsteal_kswapd",
	[PGSTEAL_DIRECT]	= "pgsteal_direct",
	[PAGEOUTRUN]		= "pageoutrun",
	[ALLOCSTALL]		= "allocstall",
	[DROP_PAGECACHE]	= "drop_pagecache",
	[DROP_SLAB]		= "drop_slab",
	[PGDIRTIED]		= "nr_dirtied",
	[PGWRITTEN]		= "nr_written",
	[PGWRITE_ERROR]		= "pgwrite_error",
	[WB_BACKGROUND]		= "wb_background",
	[WB_PERIODIC]		= "wb_periodic",
	[WB_SYNC]		= "wb_sync",
	[WB_RECLAIM]		= "wb_reclaim",
	[WB_THROTTLED]		= "wb_throttled",
	[WB_LAPTOP]		= "wb_laptop",
	[WB_BACKGROUND_RUNS]	= "wb_background_runs",
	[WB_PERIODIC_RUNS]	= "wb_periodic_runs",
	[WB_SYNC_RUNS]		= "wb_sync_runs",
	[WB_RECLAIM_RUNS]	= "wb_reclaim_runs",
	[WB_THROTTLED_RUNS]	= "wb_throttled_runs",
	[WB_LAPTOP_RUNS]	= "wb_laptop_runs",
	[BALANCE_PAUSED]	= "balance_paused",
	[BALANCE_PAUSED_MS]	= "balance_paused_ms",
	[INODE_SHRUNK]		= "inode_shrunk",
	[PGFAULT]		= "pgfault",
	[PGMAJFAULT]		= "pgmajfault",
	[PGSOFTFAULT]		= "pgsoftfault",
	[PGWPFAULT]		= "pgwpfault",
	[PGFAULT_ERROR]		= "pgfault_error",
	[PGFAULTAROUND]		= "pgfaultaround",
	[PGPROMOTE]		= "pgpromote",
	[PGDEMOTE]		= "pgdemote",
	[PGDEMOTE_DROP]		= "pgdemote_drop",
	[PGDEMOTE_FAIL]		= "pgdemote_fail",
	[PGMKCLEAN]		= "pgmkclean",
	[PGSTORED]		= "pgstored",
	[WINDOW_SCANS]		= "window_scans",
	[WINDOW_FOREIGN]	= "window_foreign",
	[PSWPIN]		= "pswpin",
	[PSWPOUT]		= "pswpout",
	[PSWPERR]		= "pswperr",
	[SWAP_RA]		= "swap_ra",
	[SWAPCACHE_HIT]		= "swapcache_hit",
	[PGZEROED]		= "pgzeroed",
	[PGCOW]			= "pgcow",
	[PGREUSE]		= "pgreuse",
	[PGSTOREAHEAD]		= "pgstoreahead",
	[PGDUP]			= "pgdup",
	[PGSCAN_ANON]		= "pgscan_anon",
	[PGSCAN_FILE]		= "pgscan_file",
	[PGSTEAL_ANON]		= "pgsteal_anon",
	[PGSTEAL_FILE]		= "pgsteal_file",
	[WORKINGSET_REFAULT_ANON] = "workingset_refault_anon",
	[WORKINGSET_REFAULT_FILE] = "workingset_refault_file",
	[OOM_FAULT]		= "oom_fault",
};

static const char *const stat_names[NR_VM_STAT_ITEMS] = {
	[NR_FILE_PAGES]		= "nr_file_pages",
	[NR_FILE_DIRTY]		= "nr_dirty",
	[NR_WRITEBACK]		= "nr_writeback",
	[NR_WINDOW_PAGES]	= "nr_window_pages",
	[NR_PAGETABLE]		= "nr_page_table_pages",
	[NR_BALLOON]		= "nr_balloon",
	[NR_SLAB_RECLAIMABLE]	= "nr_slab_reclaimable",
	[NR_SLAB_UNRECLAIMABLE]	= "nr_slab_unreclaimable",
	[NR_PDFLUSH_THREADS]	= "nr_pdflush_threads",
	[BALANCE_PAUSE_MAX_MS]	= "balance_pause_max_ms",
	[BALANCE_STALL_MAX_MS]	= "balance_stall_max_ms",
	[NR_ANON_PAGES]		= "nr_anon_pages",
	[NR_SWAPCACHE]		= "nr_swapcached",
	[NR_VMALLOC]		= "nr_vmalloc",
	[COMMITTED_AS]		= "nr_committed_as",
};

size_t vmstat_show(char *buf, size_t size)
{
	size_t len = 0;

	len += scnprintf(buf + len, size - len,
			 "nr_free_pages %lu\nnr_inactive_anon %lu\n"
			 "nr_active_anon %lu\nnr_inactive_file %lu\n"
			 "nr_active_file %lu\nnr_mapped %lu\n",
			 nr_free_frames(), lru_pages(LRU_INACTIVE_ANON),
			 lru_pages(LRU_ACTIVE_ANON),
			 lru_pages(LRU_INACTIVE_FILE),
			 lru_pages(LRU_ACTIVE_FILE),
			 vm_stat_read(NR_WINDOW_PAGES));
	for (int i = 0; i < NR_VM_STAT_ITEMS; i++)
		len += scnprintf(buf + len, size - len, "%s %lu\n",
				 stat_names[i], vm_stat_read(i));
	for (int i = 0; i < NR_VM_EVENT_ITEMS; i++)
		len += scnprintf(buf + len, size - len, "%s %lu\n",
				 event_names[i], vm_event(i));
	return len;
}

size_t throttled_show(char *buf, size_t size)
{
	struct vm_events *ev;
	size_t len;

	len = scnprintf(buf, size, "tid balance_paused balance_paused_ms\n");
	mutex_lock(&vm_event_lock);
	list_for_each_entry(ev, &event_threads, link) {
		unsigned long nr = READ_ONCE(ev->event[BALANCE_PAUSED]);

		if (nr)
			len += scnprintf(buf + len, size - len, "%d %lu %lu\n",
				ev->tid, nr,
				READ_ONCE(ev->event[BALANCE_PAUSED_MS]));
	}
	mutex_unlock(&vm_event_lock);
	return len;
}
