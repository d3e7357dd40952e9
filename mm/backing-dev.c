// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/backing-dev.c - which mappings of a device are dirty, and turns among them
 *
 *   dirtied                 expired, or all          out of its turn
 *   --------> b_dirty ----------------------> b_io ----------------> b_more_io
 *              ^ newest first                  |   clean: off             |
 *              +--- dirty again, or failed <---+<------ next pass --------+
 *
 * sync(2) takes all three lists over into b_sync, so that no flusher comes in
 * between, and gives each mapping a turn there.
 *
 * I1. WB_DIRTY is set exactly while the mapping is on a list; on b_syncing
 *     exactly while WB_SYNCING is set too.
 * I2. A mapping with pages dirty or under writeback, or WB_DIRTY_META, has
 *     WB_DIRTY: whoever clears it looks at all three under list_lock, and
 *     whoever dirties takes list_lock after counting the page. So sync finds
 *     what is in flight as well.
 * I3. One flusher at a time works on a mapping (WB_SYNCING). fsync does not
 *     take that turn: page locks and PG_writeback keep the two apart.
 *
 * A turn is WB_TURN_PAGES, so a file being written without end and a small
 * one get to the disk alternately.
 *
 * Locks:  list_lock > tree_lock (to read counts). No I/O under either.
 * Source: Linux fs/fs-writeback.c (queue_io, requeue_inode,
 *         writeback_sb_inodes). Differs: lists hold mappings, not inodes.
 */
#include <pthread.h>

#include "page.h"
#include "window_i.h"

#define WB_TURN_PAGES	1024L	/* 4 MiB; Linux's MIN_WRITEBACK_PAGES */

/* ---- getting on and off the lists ---- */

/* Context: list_lock. */
static void bdi_list_mapping(struct backing_dev_info *bdi,
			     struct address_space *mapping)
{
	mapping->dirtied_when = mm_centisecs();
	list_add(&mapping->io_list, &bdi->b_dirty);
}

void __mark_mapping_dirty(struct address_space *mapping, uint32_t state)
{
	struct backing_dev_info *bdi = mapping->bdi;

	mutex_lock(&bdi->list_lock);
	mapping->wb_state |= state;
	if (!(mapping->wb_state & WB_DIRTY)) {
		mapping->wb_state |= WB_DIRTY;
		WRITE_ONCE(bdi->nr_dirty_mappings, bdi->nr_dirty_mappings + 1);
		bdi_list_mapping(bdi, mapping);
	}
	mutex_unlock(&bdi->list_lock);
}

void mark_mapping_dirty_meta(struct address_space *mapping)
{
	__mark_mapping_dirty(mapping, WB_DIRTY_META);
}

/*
 * The counts are read together: a page on its way from dirty to writeback is
 * in neither for an instant, and sync must not miss it (I2).
 * Context: list_lock.
 */
static bool mapping_has_work(struct address_space *mapping)
{
	bool pages;

	mutex_lock(&mapping->tree_lock);
	pages = mapping->nrdirty || mapping->nrwriteback;
	mutex_unlock(&mapping->tree_lock);
	return pages || (mapping->wb_state & WB_DIRTY_META) ||
		window_wants_recheck(mapping);
}

/* Off its list. Context: list_lock; not SYNCING. */
static void __mapping_clean(struct address_space *mapping)
{
	list_del_init(&mapping->io_list);
	if (mapping->wb_state & WB_DIRTY)
		WRITE_ONCE(mapping->bdi->nr_dirty_mappings,
			   mapping->bdi->nr_dirty_mappings - 1);
	mapping->wb_state &= ~(WB_DIRTY | WB_SYNC_NEXT);
}

void mapping_maybe_clean(struct address_space *mapping)
{
	struct backing_dev_info *bdi = mapping->bdi;

	mutex_lock(&bdi->list_lock);
	if (!(mapping->wb_state & WB_SYNCING) && !mapping_has_work(mapping))
		__mapping_clean(mapping);
	mutex_unlock(&bdi->list_lock);
}

void mapping_forget_dirty(struct address_space *mapping)
{
	struct backing_dev_info *bdi = mapping->bdi;

	mutex_lock(&bdi->list_lock);
	while (mapping->wb_state & WB_SYNCING)
		pthread_cond_wait(&bdi->turn_ended, &bdi->list_lock.m);
	mapping->wb_state &= ~WB_DIRTY_META;
	__mapping_clean(mapping);
	mutex_unlock(&bdi->list_lock);
}

/* ---- a flusher's turn on one mapping ---- */

/* Data, then the owner's metadata if that was due and the data is out. */
static void write_mapping(struct address_space *mapping,
			  struct writeback_control *wbc)
{
	bool meta;

	do_writepages(mapping, wbc);
	if (!mapping->a_ops->write_inode || READ_ONCE(mapping->nrdirty))
		return;
	mutex_lock(&mapping->bdi->list_lock);
	meta = mapping->wb_state & WB_DIRTY_META;
	mapping->wb_state &= ~WB_DIRTY_META;
	mutex_unlock(&mapping->bdi->list_lock);
	if (!meta)
		return;
	/* A write still in flight would set the file's times once more. */
	blk_flush_plug();
	if (mapping->a_ops->write_inode(mapping, wbc))
		mark_mapping_dirty_meta(mapping);
}

/*
 * Where a mapping goes after its turn. One that is dirty again, or whose pages
 * failed, waits for the next expiry instead of being tried in a loop.
 * Context: list_lock.
 */
static void requeue_mapping(struct backing_dev_info *bdi,
			    struct address_space *mapping, bool out_of_turn)
{
	if (!mapping_has_work(mapping)) {
		__mapping_clean(mapping);
		return;
	}
	list_del(&mapping->io_list);
	if (mapping->wb_state & WB_SYNC_NEXT) {
		list_add_tail(&mapping->io_list, &bdi->b_sync);
	} else if (out_of_turn) {
		list_add_tail(&mapping->io_list, &bdi->b_more_io);
	} else {
		bdi_list_mapping(bdi, mapping);
	}
	mapping->wb_state &= ~WB_SYNC_NEXT;
}

/*
 * Makes it the calling thread's turn. False when @mapping is being evicted:
 * then its owner takes it off the lists for good. Context: list_lock.
 */
static bool begin_turn(struct backing_dev_info *bdi,
		       struct address_space *mapping)
{
	if (!mapping->a_ops->grab(mapping)) {
		mapping->dirtied_when = mm_centisecs();
		list_move(&mapping->io_list, &bdi->b_dirty);
		return false;
	}
	mapping->wb_state |= WB_SYNCING;
	list_move(&mapping->io_list, &bdi->b_syncing);
	return true;
}

/* Context: list_lock, dropped meanwhile: put may tear the mapping down. */
static void end_turn(struct backing_dev_info *bdi,
		     struct address_space *mapping, bool out_of_turn)
{
	mapping->wb_state &= ~WB_SYNCING;
	requeue_mapping(bdi, mapping, out_of_turn);
	pthread_cond_broadcast(&bdi->turn_ended);
	mutex_unlock(&bdi->list_lock);
	mapping->a_ops->put(mapping);
	mutex_lock(&bdi->list_lock);
}

/* Context: list_lock, dropped meanwhile. */
static void writeback_single_mapping(struct backing_dev_info *bdi,
				     struct address_space *mapping,
				     struct writeback_control *wbc)
{
	struct writeback_control turn = *wbc;

	if (!begin_turn(bdi, mapping))
		return;
	mutex_unlock(&bdi->list_lock);

	/* What writers wait for is written for them, whoever began it. */
	if (turn.reason == WB_REASON_BACKGROUND && writers_wait())
		turn.reason = WB_REASON_THROTTLED;
	turn.nr_to_write = min(wbc->nr_to_write, WB_TURN_PAGES);
	turn.pages_written = 0;
	write_mapping(mapping, &turn);
	wbc->nr_to_write -= turn.pages_written;
	wbc->pages_written += turn.pages_written;

	mutex_lock(&bdi->list_lock);
	end_turn(bdi, mapping, turn.nr_to_write <= 0);
}

/*
 * Also of what another pass has queued and left. Context: list_lock.
 */
static bool is_younger(const struct address_space *mapping, uint32_t age)
{
	return mm_centisecs() - mapping->dirtied_when < age;
}

/* b_dirty's expired ones and what ran out of its turn. Context: list_lock. */
static void queue_io(struct backing_dev_info *bdi, uint32_t older_than)
{
	list_splice_init(&bdi->b_more_io, &bdi->b_io);
	while (!list_empty(&bdi->b_dirty)) {
		struct address_space *oldest =
			list_last_entry(&bdi->b_dirty, struct address_space,
					io_list);

		if (is_younger(oldest, older_than))
			break;
		list_move(&oldest->io_list, &bdi->b_io);
	}
}

/*
 * One pass over what is queued now. Mappings that come back to a list during
 * the pass wait for the next one, so the pass ends.
 */
void writeback_bdi(struct backing_dev_info *bdi, struct writeback_control *wbc,
		   uint32_t older_than)
{
	struct address_space *mapping;
	unsigned int turns;

	mutex_lock(&bdi->list_lock);
	queue_io(bdi, older_than);
	turns = bdi->nr_dirty_mappings;
	while (!list_empty(&bdi->b_io) && wbc->nr_to_write > 0 && turns--) {
		mapping = list_last_entry(&bdi->b_io, struct address_space,
					  io_list);
		if (is_younger(mapping, older_than))
			list_move(&mapping->io_list, &bdi->b_more_io);
		else
			writeback_single_mapping(bdi, mapping, wbc);
	}
	mutex_unlock(&bdi->list_lock);
	blk_flush_plug();
	backing_dev_update_bandwidth(bdi);
}

/* ---- sync ---- */

/* All mappings that are dirty now are this sync's. Context: list_lock. */
static void queue_sync(struct backing_dev_info *bdi)
{
	struct address_space *mapping;

	list_splice_tail_init(&bdi->b_io, &bdi->b_sync);
	list_splice_tail_init(&bdi->b_more_io, &bdi->b_sync);
	list_splice_tail_init(&bdi->b_dirty, &bdi->b_sync);
	list_for_each_entry(mapping, &bdi->b_syncing, io_list)
		mapping->wb_state |= WB_SYNC_NEXT;
}

static bool sync_still_waits(struct backing_dev_info *bdi)
{
	struct address_space *mapping;

	list_for_each_entry(mapping, &bdi->b_syncing, io_list)
		if (mapping->wb_state & WB_SYNC_NEXT)
			return true;
	return false;
}

/*
 * The next mapping of this sync, or NULL. Waits for flushers that hold one.
 * Context: list_lock.
 */
static struct address_space *next_to_sync(struct backing_dev_info *bdi)
{
	while (list_empty(&bdi->b_sync)) {
		if (!sync_still_waits(bdi))
			return NULL;
		pthread_cond_wait(&bdi->turn_ended, &bdi->list_lock.m);
	}
	return list_first_entry(&bdi->b_sync, struct address_space, io_list);
}

/*
 * One sync at a time: b_sync is of the one that runs, and what a mapping is
 * dirtied with after its turn goes to b_dirty, so a sync meets each mapping
 * once. The next one starts with all that is dirty by then.
 */
int sync_bdi(struct backing_dev_info *bdi)
{
	struct address_space *mapping;
	int err = 0, once;

	window_scan_all();	/* what is dirty and on no list yet */
	mutex_lock(&bdi->list_lock);
	while (bdi->sync_running)
		pthread_cond_wait(&bdi->turn_ended, &bdi->list_lock.m);
	bdi->sync_running = true;
	queue_sync(bdi);
	while ((mapping = next_to_sync(bdi))) {
		if (!begin_turn(bdi, mapping))
			continue;
		mutex_unlock(&bdi->list_lock);
		once = sync_mapping(mapping, false);
		err = err ? err : once;
		mutex_lock(&bdi->list_lock);
		end_turn(bdi, mapping, false);
	}
	bdi->sync_running = false;
	laptop_sync_completion(bdi);
	pthread_cond_broadcast(&bdi->turn_ended);
	mutex_unlock(&bdi->list_lock);
	return err;
}
