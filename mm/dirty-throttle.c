// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/dirty-throttle.c - pacing those who make pages dirty
 *
 * balance_dirty_pages: below freerun = (background + limit) / 2 nobody waits.
 * Between there and the limit a writer is slowed to its share of the device's
 * measured bandwidth, the more the nearer the limit. What it has dirtied is a
 * debt, which it sleeps off in as many pauses as that takes: if one short pause
 * were all, many writers of large pieces would drive the dirty pages to the
 * limit, where who gets on is a matter of luck. At the limit it also sleeps
 * until there is room, and pays meanwhile. There its own pages do not stand in
 * its way, and as many of others no more when it has waited for long: else those
 * that come later would take the room from it time and again. A debt too small
 * for a pause is put off below the limit only: at a device that was fast and
 * has stopped it would grow without a bound.
 *
 *   rate    2x |*                    what a writer pays, in parts of its share
 *              |   *
 *           1x |       *
 *        0.75x |         *******
 *            0 +---------------+---> dirty pages
 *            freerun  setpoint  limit
 *
 * I1. A pause is at most MAX_PAUSE_MS, after which limits and bandwidth are
 *     read anew.
 * I2. Nobody waits for a device that fails and takes nothing: the writer gets
 *     the error.
 *
 * Locks:  none; callers hold none either.
 * Source: Linux mm/page-writeback.c (Fengguang Wu's balance_dirty_pages).
 *         Differs: a linear instead of a cubic curve; writers are counted
 *         instead of estimated.
 */
#include <errno.h>
#include <time.h>

#include "internal.h"
#include "page.h"
#include "trace.h"
#include "vmstat.h"

#define MAX_PAUSE_MS	200u	/* Linux's MAX_PAUSE */
#define MIN_PAUSE_MS	10u	/* shorter sleeps cost more than they pace */
#define LIMIT_PAUSE_MS	50u	/* the least at the limit; arbitrary */
#define PATIENCE_MS	400u	/* then a writer goes before others; arbitrary */

/* ---- limits ---- */

/*
 * Pages that could be dirty at all: free frames and the page cache. Frames on
 * threads' lists are left out, since every write asks and they cost a lock.
 */
static unsigned long dirtyable_pages(void)
{
	unsigned long pages = vm_stat_read(NR_FILE_PAGES);
	struct zone *zone;

	for_each_zone(zone)
		pages += zone_free_frames(zone);
	return pages;
}

/* Bytes, if they are given, rule; but no more than could be dirty. */
static unsigned long one_limit(unsigned long pages, atomic_ulong *bytesp,
			       atomic_uint *ratiop)
{
	unsigned long bytes = atomic_load(bytesp);

	if (bytes)
		return min((bytes - 1) / PAGE_SIZE + 1, pages);
	return pages * atomic_load(ratiop) / 100;
}

void global_dirty_limits(unsigned long *background, unsigned long *dirty)
{
	unsigned long pages = dirtyable_pages();

	*dirty = max(one_limit(pages, &vm_tunables.dirty_bytes,
			       &vm_tunables.dirty_ratio), 32UL);
	*background = one_limit(pages, &vm_tunables.dirty_background_bytes,
				&vm_tunables.dirty_background_ratio);
	if (*background >= *dirty)
		*background = *dirty / 2;
}

static unsigned long nr_unstable_pages(void)
{
	return vm_stat_read(NR_FILE_DIRTY) + vm_stat_read(NR_WRITEBACK);
}

bool over_background_thresh(void)
{
	unsigned long background, dirty;

	global_dirty_limits(&background, &dirty);
	return vm_stat_read(NR_FILE_DIRTY) > background;
}

/* ---- pacing writers ---- */

/* Pages this thread has dirtied since it was last looked at. */
static __thread unsigned long nr_dirtied;

static atomic_uint nr_throttled;	/* threads inside a pause */

/* How often a thread looks: the nearer the limit, the more often. */
static unsigned long ratelimit_pages(unsigned long room)
{
	return clamp_t(unsigned long, room / 64, 1, 64);
}

bool writers_wait(void)
{
	return atomic_load(&nr_throttled);
}

/*
 * Pages a second a writer pays off now.
 *   share = bandwidth / writers;  rate = share * 2 (limit - dirty) / (limit - freerun)
 * but 3/4 of a share at least: what it has waited at the limit is not for
 * nothing, and the dirty pages become fewer all the same.
 */
static unsigned long writer_rate(struct backing_dev_info *bdi,
				 unsigned long dirty, unsigned long freerun,
				 unsigned long limit)
{
	unsigned long bw = atomic_load(&bdi->write_bandwidth);
	unsigned long writers = atomic_load(&nr_throttled) + 1;

	unsigned long room = dirty < limit ? limit - dirty : 0;

	return max(2 * bw * room / (limit - freerun), bw * 3 / 4) / writers + 1;
}

/* How long until the device has made room at the limit. */
static unsigned long ms_to_limit(struct backing_dev_info *bdi,
				 unsigned long dirty, unsigned long limit)
{
	unsigned long bw = atomic_load(&bdi->write_bandwidth);

	return (dirty - limit) * 1000 / bw + LIMIT_PAUSE_MS;
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/*
 * What is written meanwhile is written for us: laptop mode has not even begun.
 * Return: ms slept, which on a busy machine is more than @ms.
 */
static unsigned long pause_writer(unsigned int ms)
{
	uint64_t start = mm_usecs(), slept;

	blk_flush_plug();
	thread_will_block();
	atomic_fetch_add(&nr_throttled, 1);
	wakeup_flusher_threads(WB_REASON_THROTTLED);
	sleep_ms(ms);
	atomic_fetch_sub(&nr_throttled, 1);
	slept = (mm_usecs() - start) / 1000;
	count_vm_event(BALANCE_PAUSED);
	count_vm_events(BALANCE_PAUSED_MS, slept);
	vm_stat_max(BALANCE_PAUSE_MAX_MS, slept);
	return slept;
}

/*
 * The device fails and took nothing since *@writtenp was read: waiting for it
 * would be for ever. What it did take starts the count anew. Return: the
 * error, or 0.
 */
static int device_refuses(struct address_space *mapping,
			  unsigned long *writtenp, unsigned long *failedp)
{
	struct backing_dev_info *bdi = mapping->bdi;
	unsigned long written = atomic_load(&bdi->nr_written);
	unsigned long failed = atomic_load(&bdi->nr_failed);

	if (written != *writtenp) {
		*writtenp = written;
		*failedp = failed;
		return 0;
	}
	if (failed == *failedp)
		return 0;
	return atomic_load(&mapping->nr_wb_errors) ?
		atomic_load(&mapping->last_wb_error) : -EIO;
}

/* In laptop mode the disk sleeps until writers must wait for it. */
static bool background_may_start(void)
{
	return !atomic_load(&vm_tunables.laptop_mode);
}

/* @own pages are the debt. Return: 0 or the device's error. */
static int sleep_off(struct address_space *mapping, unsigned long own,
		     unsigned long *stallp)
{
	struct backing_dev_info *bdi = mapping->bdi;
	unsigned long pages = own;		/* not yet paid */
	unsigned long written = atomic_load(&bdi->nr_written);
	unsigned long failed = atomic_load(&bdi->nr_failed);

	for (;;) {
		unsigned long background, limit, freerun, dirty, rate, ms;
		unsigned long top;
		int err;

		global_dirty_limits(&background, &limit);
		freerun = (background + limit) / 2;
		dirty = nr_unstable_pages();
		if (dirty > background && background_may_start())
			wakeup_flusher_threads(WB_REASON_BACKGROUND);
		if (dirty <= freerun)
			return 0;
		backing_dev_update_bandwidth(bdi);
		rate = writer_rate(bdi, dirty, freerun, limit);
		ms = pages * 1000 / rate;
		top = limit + own * (*stallp < PATIENCE_MS ? 1 : 2);
		if (dirty >= top)
			ms = max(ms, ms_to_limit(bdi, dirty, top));
		if (ms < MIN_PAUSE_MS && dirty < limit) {
			nr_dirtied = pages;	/* pay later, in one piece */
			return 0;
		}
		ms = clamp_t(unsigned long, ms, MIN_PAUSE_MS, MAX_PAUSE_MS);
		trace_balance_dirty_pages(ms, dirty, limit);
		ms = pause_writer(ms);
		*stallp += ms;
		pages -= min(pages, DIV_ROUND_UP(rate * ms, 1000));
		if (!pages && dirty < top)
			return 0;
		err = dirty < limit ? 0 :
			device_refuses(mapping, &written, &failed);
		if (err)
			return err;
	}
}

static int balance_dirty_pages(struct address_space *mapping,
			       unsigned long pages)
{
	unsigned long stall = 0;
	int err = sleep_off(mapping, pages, &stall);

	if (stall)
		vm_stat_max(BALANCE_STALL_MAX_MS, stall);
	return err;
}

int balance_dirty_pages_ratelimited(struct address_space *mapping,
				    unsigned long nr)
{
	unsigned long background, limit, dirty, pages;

	nr_dirtied += nr;
	global_dirty_limits(&background, &limit);
	dirty = nr_unstable_pages();
	if (dirty < limit && nr_dirtied < ratelimit_pages(limit - dirty))
		return 0;
	pages = nr_dirtied;
	nr_dirtied = 0;
	return balance_dirty_pages(mapping, pages);
}
