// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/dirty-throttle.c - pacing those who make pages dirty
 *
 * balance_dirty_pages: below freerun = (background + limit) / 2 nobody waits.
 * Between there and the limit a writer is slowed to its share of the device's
 * measured bandwidth, the more the nearer the limit; at the limit it sleeps
 * until there is room.
 *
 *   rate    2x |*                    rate a writer gets, in parts of its share
 *              |   *
 *           1x |       *
 *              |           *
 *            0 +---------------*---> dirty pages
 *            freerun  setpoint  limit
 *
 * I1. A pause is at most MAX_PAUSE_MS, after which the limits are read anew.
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
#include "vmstat.h"

#define MAX_PAUSE_MS	200u	/* Linux's MAX_PAUSE */
#define MIN_PAUSE_MS	10u	/* shorter sleeps cost more than they pace */

struct vm_tunables vm_tunables = {
	.dirty_background_ratio = 10,		/* Linux's defaults */
	.dirty_ratio = 20,
	.dirty_expire_centisecs = 3000,
	.dirty_writeback_centisecs = 500,
};

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

void global_dirty_limits(unsigned long *background, unsigned long *dirty)
{
	unsigned long pages = dirtyable_pages();
	unsigned int bg = atomic_load(&vm_tunables.dirty_background_ratio);
	unsigned int hard = atomic_load(&vm_tunables.dirty_ratio);

	*dirty = max(pages * hard / 100, 32UL);
	*background = pages * bg / 100;
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

/*
 * How long a writer that dirtied @pages sleeps, in ms: pages / its rate.
 *   share = bandwidth / writers;  rate = share * 2 (limit - dirty) / (limit - freerun)
 */
static unsigned int pause_ms(struct backing_dev_info *bdi, unsigned long pages,
			     unsigned long dirty, unsigned long freerun,
			     unsigned long limit)
{
	unsigned long bw = atomic_load(&bdi->write_bandwidth);
	unsigned long writers = atomic_load(&nr_throttled) + 1;
	unsigned long rate, ms;

	if (dirty >= limit)
		return MAX_PAUSE_MS;
	rate = 2 * bw * (limit - dirty) / (limit - freerun) / writers;
	ms = pages * 1000 / (rate + 1);
	return min_t(unsigned long, ms, MAX_PAUSE_MS);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	blk_flush_plug();
	thread_will_block();
	atomic_fetch_add(&nr_throttled, 1);
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
	atomic_fetch_sub(&nr_throttled, 1);
	count_vm_event(BALANCE_PAUSED);
	count_vm_events(BALANCE_PAUSED_MS, ms);
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

static int balance_dirty_pages(struct address_space *mapping,
			       unsigned long pages)
{
	struct backing_dev_info *bdi = mapping->bdi;
	unsigned long written = atomic_load(&bdi->nr_written);
	unsigned long failed = atomic_load(&bdi->nr_failed);

	for (;;) {
		unsigned long background, limit, freerun, dirty;
		unsigned int ms;
		int err;

		global_dirty_limits(&background, &limit);
		freerun = (background + limit) / 2;
		dirty = nr_unstable_pages();
		if (dirty > background)
			wakeup_flusher_threads(WB_REASON_BACKGROUND);
		if (dirty <= freerun)
			return 0;
		backing_dev_update_bandwidth(bdi);
		ms = pause_ms(bdi, pages, dirty, freerun, limit);
		if (ms < MIN_PAUSE_MS) {
			nr_dirtied = pages;	/* pay later, in one piece */
			return 0;
		}
		sleep_ms(ms);
		if (dirty < limit)
			return 0;
		err = device_refuses(mapping, &written, &failed);
		if (err)
			return err;
	}
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
