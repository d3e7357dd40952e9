// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/bdi.c - the devices dirty pages go to: how fast they are, how busy, and
 *            what is wanted of flushers for them
 *
 *   pages in flight     ____      ________         __
 *                    __|    |____|        |_______|  |__
 *   busy_us             ++++      ++++++++         ++     bandwidth = pages
 *                                                         ended / busy time
 *
 * The time a device has nothing to write says nothing of its speed, so it is
 * left out: else a burst after a quiet minute would be paced by a fraction of
 * what the device can do.
 *
 *   wanted    bdi A | BACKGROUND | PERIODIC |      bdi_want_work() sets bits,
 *             bdi B |            | PERIODIC |      flushers take them one each
 *
 * I1. A device that has a flusher and as much in flight as does it good is
 *     congested: no other flusher comes to it. The work waits, for the one that
 *     is there looks for more when it is done.
 * I2. While a thread is at a device (walkers, flushers) it stays on the list.
 *
 * Locks:  bdis.lock, a leaf: the list and the fields (D).
 * Source: Linux mm/backing-dev.c, wb_update_write_bandwidth of
 *         mm/page-writeback.c; laptop mode as in block/blk-core.c. Differs: the
 *         bandwidth is that of busy time.
 */
#include <pthread.h>
#include <time.h>

#include "page.h"
#include "vmstat.h"

/* Busy time a measurement takes at least, and what it is smoothed over. */
#define BW_INTERVAL_US	200000ul	/* Linux's BANDWIDTH_INTERVAL */
#define BW_SMOOTH_US	500000ul	/* arbitrary */

/*
 * What is queued is what an fsync that comes now waits behind: as many pages as
 * are written in 100 ms. Arbitrary; enough for any device to sort.
 */
#define QUEUE_MS	100ul
/* And on fast ones half of what one flusher has in flight (RING_PAGES). */
#define CONGESTED_PAGES	1024ul

static struct {
	struct mutex lock;		/* guards the list, and (D) */
	pthread_cond_t left;		/* a device has no walkers any more */
	struct list_head list;
	unsigned long served;		/* bits taken, ever */
} bdis = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.left = PTHREAD_COND_INITIALIZER,
	.list = LIST_HEAD_INIT(bdis.list),
};

/* ---- time ---- */

static uint64_t clock_start_ms;

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void mm_clock_init(void)
{
	clock_start_ms = monotonic_ms();
}

uint64_t mm_msecs(void)
{
	return monotonic_ms() - clock_start_ms;
}

uint64_t mm_usecs(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000 - clock_start_ms) * 1000 +
		ts.tv_nsec / 1000;
}

uint32_t mm_centisecs(void)
{
	return mm_msecs() / 10 + 1;
}

/* ---- lifetime ---- */

int bdi_init(struct backing_dev_info *bdi)
{
	*bdi = (struct backing_dev_info){ .stable_writes = false };
	mutex_init(&bdi->list_lock, LOCK_WB_LIST);
	BUG_ON(pthread_cond_init(&bdi->turn_ended, NULL));
	INIT_LIST_HEAD(&bdi->b_dirty);
	INIT_LIST_HEAD(&bdi->b_io);
	INIT_LIST_HEAD(&bdi->b_more_io);
	INIT_LIST_HEAD(&bdi->b_syncing);
	INIT_LIST_HEAD(&bdi->b_sync);
	/* 100 MB/s to begin with, as Linux's INIT_BW; soon measured. */
	atomic_store(&bdi->write_bandwidth, 100 * SZ_1M / PAGE_SIZE);
	mutex_lock(&bdis.lock);
	list_add_tail(&bdi->bdi_list, &bdis.list);
	mutex_unlock(&bdis.lock);
	return 0;
}

void bdi_destroy(struct backing_dev_info *bdi)
{
	mutex_lock(&bdis.lock);
	while (bdi->walkers)
		pthread_cond_wait(&bdis.left, &bdis.lock.m);	/* I2 */
	list_del(&bdi->bdi_list);
	mutex_unlock(&bdis.lock);
	BUG_ON(bdi->nr_dirty_mappings || atomic_load(&bdi->nr_writeback));
	mutex_destroy(&bdi->list_lock);
	BUG_ON(pthread_cond_destroy(&bdi->turn_ended));
}

unsigned int nr_dirty_mappings(void)
{
	struct backing_dev_info *bdi;
	unsigned int nr = 0;

	mutex_lock(&bdis.lock);
	list_for_each_entry(bdi, &bdis.list, bdi_list)
		nr += READ_ONCE(bdi->nr_dirty_mappings);
	mutex_unlock(&bdis.lock);
	return nr;
}

/* ---- speed ---- */

/*
 * What has passed since busy_since_us is busy time; it goes on from @since_us,
 * or ends with 0. A start and an end that overlap may lose or add the time
 * between their two steps, which is no measurable part of it.
 */
static void note_busy(struct backing_dev_info *bdi, uint64_t now_us,
		      uint64_t since_us)
{
	uint64_t since = atomic_exchange(&bdi->busy_since_us, since_us);

	if (since && now_us > since)
		atomic_fetch_add(&bdi->busy_us, now_us - since);
}

void bdi_start_writeback(struct backing_dev_info *bdi, unsigned int nr)
{
	uint64_t now;

	if (atomic_fetch_add(&bdi->nr_writeback, nr))
		return;
	now = mm_usecs();
	note_busy(bdi, now, now);
}

void bdi_end_writeback(struct backing_dev_info *bdi, int err)
{
	atomic_fetch_add(err ? &bdi->nr_failed : &bdi->nr_written, 1);
	laptop_io_completion(bdi);
	if (atomic_fetch_sub(&bdi->nr_writeback, 1) == 1)
		note_busy(bdi, mm_usecs(), 0);
}

/*
 * Pages a second of at least 200 ms in which the device was busy, smoothed over
 * 500 ms of such time. While nothing has ended there is nothing to measure: the
 * time stays for when it has. Called by whoever writes or waits; one of them
 * wins the exchange and measures.
 */
void backing_dev_update_bandwidth(struct backing_dev_info *bdi)
{
	unsigned long then = atomic_load(&bdi->bw_busy_us);
	unsigned long written = atomic_load(&bdi->nr_written);
	unsigned long busy, bw, old, weight;
	uint64_t now = mm_usecs();

	if (atomic_load(&bdi->nr_writeback) > 0)
		note_busy(bdi, now, now);
	busy = atomic_load(&bdi->busy_us) - then;
	if (busy < BW_INTERVAL_US || written == atomic_load(&bdi->bw_written) ||
	    !atomic_compare_exchange_strong(&bdi->bw_busy_us, &then,
					    then + busy))
		return;
	bw = (written - atomic_exchange(&bdi->bw_written, written)) * 1000000 /
		busy;
	weight = min(busy, BW_SMOOTH_US);
	old = atomic_load(&bdi->write_bandwidth);
	bw = (old * (BW_SMOOTH_US - weight) + bw * weight) / BW_SMOOTH_US;
	atomic_store(&bdi->write_bandwidth, max(bw, 1UL));
}

/* ---- queues ---- */

static unsigned long queue_limit(struct backing_dev_info *bdi)
{
	return max_t(unsigned long, MAX_RUN_PAGES,
		     atomic_load(&bdi->write_bandwidth) * QUEUE_MS / 1000);
}

bool bdi_queue_full(struct backing_dev_info *bdi)
{
	return atomic_load(&bdi->nr_writeback) >= (long)queue_limit(bdi);
}

static bool bdi_congested(struct backing_dev_info *bdi)
{
	return atomic_load(&bdi->nr_writeback) >=
		(long)min(queue_limit(bdi), CONGESTED_PAGES);
}

/* ---- flushers' work ---- */

/* Context: bdis.lock. Return: true if that is new. */
static bool __want_work(struct backing_dev_info *bdi, enum wb_reason reason)
{
	if (!READ_ONCE(bdi->nr_dirty_mappings) || (bdi->wanted & 1u << reason))
		return false;
	bdi->wanted |= 1u << reason;
	return true;
}

unsigned int bdi_want_work(enum wb_reason reason)
{
	struct backing_dev_info *bdi;
	unsigned int nr = 0;

	mutex_lock(&bdis.lock);
	list_for_each_entry(bdi, &bdis.list, bdi_list)
		nr += __want_work(bdi, reason);
	mutex_unlock(&bdis.lock);
	return nr;
}

/*
 * The device to go to: the one with the fewest flushers, and of those the one
 * that was served the longest time ago. Context: bdis.lock.
 */
static struct backing_dev_info *bdi_to_serve(void)
{
	struct backing_dev_info *bdi, *best = NULL;

	list_for_each_entry(bdi, &bdis.list, bdi_list) {
		if (!bdi->wanted || (bdi->nr_flushers && bdi_congested(bdi)))
			continue;		/* I1 */
		if (!best || bdi->nr_flushers < best->nr_flushers ||
		    (bdi->nr_flushers == best->nr_flushers &&
		     bdi->served < best->served))
			best = bdi;
	}
	return best;
}

bool bdi_work_waits(void)
{
	bool waits;

	mutex_lock(&bdis.lock);
	waits = bdi_to_serve();
	mutex_unlock(&bdis.lock);
	return waits;
}

/* Memory first, then who waits. Context: bdis.lock. */
static enum wb_reason take_reason(struct backing_dev_info *bdi)
{
	static const enum wb_reason order[] = {
		WB_REASON_RECLAIM, WB_REASON_THROTTLED, WB_REASON_BACKGROUND,
		WB_REASON_LAPTOP, WB_REASON_PERIODIC,
	};
	unsigned int i = 0;

	while (!(bdi->wanted & 1u << order[i]))
		i++;
	bdi->wanted &= ~(1u << order[i]);
	return order[i];
}

struct backing_dev_info *bdi_take_work(enum wb_reason *reasonp)
{
	struct backing_dev_info *bdi;

	mutex_lock(&bdis.lock);
	bdi = bdi_to_serve();
	if (bdi) {
		*reasonp = take_reason(bdi);
		WRITE_ONCE(bdi->nr_flushers, bdi->nr_flushers + 1);
		bdi->walkers++;
		bdi->served = ++bdis.served;
	}
	mutex_unlock(&bdis.lock);
	return bdi;
}

void bdi_end_work(struct backing_dev_info *bdi)
{
	mutex_lock(&bdis.lock);
	WRITE_ONCE(bdi->nr_flushers, bdi->nr_flushers - 1);
	if (!--bdi->walkers)
		pthread_cond_broadcast(&bdis.left);
	mutex_unlock(&bdis.lock);
}

/* ---- laptop mode ---- */

/*
 * Each I/O puts the flush off, so that it comes when the device has been left
 * in peace for a moment and is still spinning.
 */
void laptop_io_completion(struct backing_dev_info *bdi)
{
	uint64_t now;

	if (likely(!atomic_load_explicit(&vm_tunables.laptop_mode,
					 memory_order_relaxed)))
		return;
	now = mm_msecs();
	if (!atomic_exchange(&bdi->laptop_stamp_ms, now ? now : 1))
		pdflush_poke();
}

void laptop_sync_completion(struct backing_dev_info *bdi)
{
	atomic_store(&bdi->laptop_stamp_ms, 0);
}

uint64_t bdi_laptop_due(uint64_t now_ms, uint64_t delay_ms, unsigned int *nrp)
{
	struct backing_dev_info *bdi;
	uint64_t next = NEVER_MS, stamp;

	mutex_lock(&bdis.lock);
	list_for_each_entry(bdi, &bdis.list, bdi_list) {
		stamp = atomic_load(&bdi->laptop_stamp_ms);
		if (stamp && delay_ms && now_ms < stamp + delay_ms) {
			next = min(next, stamp + delay_ms);
			continue;
		}
		atomic_store(&bdi->laptop_stamp_ms, 0);
		if (stamp && delay_ms)
			*nrp += __want_work(bdi, WB_REASON_LAPTOP);
	}
	mutex_unlock(&bdis.lock);
	return next;
}
