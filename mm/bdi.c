// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/bdi.c - the devices dirty pages go to: which there are, how fast they are
 *
 * Locks:  bdis.lock, a leaf: the list of devices.
 * Source: Linux mm/backing-dev.c.
 */
#include <pthread.h>
#include <time.h>

#include "page.h"

/*
 * A walk holds no lock while it is at a device, but bdi->walkers: such a
 * device stays on the list, so the walk can go on from it.
 */
static struct {
	struct mutex lock;		/* guards list and walkers */
	pthread_cond_t left;		/* a device has no walkers any more */
	struct list_head list;
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

/* ---- devices ---- */

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
	atomic_store(&bdi->bw_stamp_ms, mm_msecs());
	mutex_lock(&bdis.lock);
	list_add_tail(&bdi->bdi_list, &bdis.list);
	mutex_unlock(&bdis.lock);
	return 0;
}

void bdi_destroy(struct backing_dev_info *bdi)
{
	mutex_lock(&bdis.lock);
	while (bdi->walkers)
		pthread_cond_wait(&bdis.left, &bdis.lock.m);
	list_del(&bdi->bdi_list);
	mutex_unlock(&bdis.lock);
	BUG_ON(bdi->nr_dirty_mappings);
	mutex_destroy(&bdi->list_lock);
	BUG_ON(pthread_cond_destroy(&bdi->turn_ended));
}

/*
 * Pages a second over at least 200 ms of work, smoothed over about 1 s. Called
 * by whoever writes or waits; one of them wins the exchange and measures.
 */
void backing_dev_update_bandwidth(struct backing_dev_info *bdi)
{
	unsigned long now = mm_msecs();
	unsigned long then = atomic_load(&bdi->bw_stamp_ms);
	unsigned long written, elapsed = now - then, bw, old;

	if (elapsed < 200 ||
	    !atomic_compare_exchange_strong(&bdi->bw_stamp_ms, &then, now))
		return;
	written = atomic_load(&bdi->nr_written);
	bw = written - atomic_exchange(&bdi->bw_written, written);
	if (elapsed > 2000 || !bw)
		return;		/* the device was idle: says nothing */
	bw = bw * 1000 / elapsed;
	old = atomic_load(&bdi->write_bandwidth);
	atomic_store(&bdi->write_bandwidth,
		     max_t(unsigned long, (old * 3 + bw) / 4, 1));
}

/* ---- all devices ---- */

void for_each_bdi(void (*fn)(struct backing_dev_info *bdi, void *arg), void *arg)
{
	struct backing_dev_info *bdi;

	mutex_lock(&bdis.lock);
	list_for_each_entry(bdi, &bdis.list, bdi_list) {
		bdi->walkers++;
		mutex_unlock(&bdis.lock);
		fn(bdi, arg);
		mutex_lock(&bdis.lock);
		if (!--bdi->walkers)
			pthread_cond_broadcast(&bdis.left);
	}
	mutex_unlock(&bdis.lock);
}

struct wb_pass {
	struct writeback_control *wbc;
	uint32_t older_than;
};

static void writeback_pass(struct backing_dev_info *bdi, void *arg)
{
	struct wb_pass *pass = arg;

	writeback_bdi(bdi, pass->wbc, pass->older_than);
}

void writeback_mappings(struct writeback_control *wbc, uint32_t older_than)
{
	struct wb_pass pass = { .wbc = wbc, .older_than = older_than };

	for_each_bdi(writeback_pass, &pass);
}

static void count_dirty_mappings(struct backing_dev_info *bdi, void *arg)
{
	*(unsigned int *)arg += READ_ONCE(bdi->nr_dirty_mappings);
}

unsigned int nr_dirty_mappings(void)
{
	unsigned int nr = 0;

	for_each_bdi(count_dirty_mappings, &nr);
	return nr;
}
