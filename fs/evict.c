// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/evict.c - inodes go: which, when, and in what order
 *
 *   LRU  [ newest ... oldest ]   unused inodes with their page cache
 *                        |
 *                        +-- clean ----> evict: pages, descriptors, names, out
 *                        |                      of the table, grace period
 *                        +-- dirty: back to the newest end
 *
 * Unlinked inodes are evicted with their last reference, and so are clean ones
 * whose names we do not know. Others stay until memory is short (the shrinker),
 * or inodes take more than their share of it.
 *
 * E1. Only clean inodes are evicted, except for unlinked ones and at the end.
 *     An unused inode that is clean stays clean while icache.lock is held:
 *     dirtying it takes a reference, and igrab() comes to dirty ones only.
 * E2. The inode is its evictor's alone (inode.c I2), so what its locks would
 *     keep out cannot happen. No lock is taken that others hold over I/O, and
 *     nothing is allocated: the shrinker runs in any thread, under its locks.
 * E3. An evicted inode's names are put by the outermost caller, one after the
 *     other: their parents may go with it, and so on up to the root.
 *
 * Locks:  icache.lock; the invalidate_lock of the victim, which nobody holds.
 * Source: Linux fs/inode.c (evict, prune_icache_sb).
 */
#include <limits.h>
#include <unistd.h>

#include "icache.h"
#include "mmzone.h"
#include "vmstat.h"

/* Inodes evicted at a time when there are too many. Arbitrary. */
#define PRUNE_BATCH	64u
/*
 * Shares of the arena, as divisors: unused inodes go when all of them take
 * more than the first; the kernel is asked to forget some when those it knows
 * take more than the second. Chosen to leave most memory to file data.
 */
#define UNUSED_SHARE	12u
#define KNOWN_SHARE	6u
/*
 * Bytes an inode takes with a name, its place in the tree and, when its file
 * has data, the one node that a small file's pages hang on: estimated, a name
 * being 32 to 64, a place 9 to 600, by how dense the numbers are, and a node
 * 568. All of it comes from ZONE_NORMAL, which is 1/4 of the arena.
 */
#define INODE_COST	(sizeof(struct inode) + 128 + 568)

/* ---- going ---- */

static void evict_pages(struct inode *inode)
{
	struct address_space *mapping = &inode->i_data;

	/* E2: whoever could hold it would need a reference. */
	BUG_ON(!down_write_trylock(&mapping->invalidate_lock));
	truncate_inode_pages_range(mapping, 0, LLONG_MAX);
	up_write(&mapping->invalidate_lock);
	mapping_forget_dirty(mapping);
	/* Reclaim may be on its way out of here with the last page. */
	mutex_lock(&mapping->tree_lock);
	BUG_ON(mapping->nrpages);
	mutex_unlock(&mapping->tree_lock);
}

/* Linked inodes with times to store are met here at the end only (E1). */
static void evict_times(struct inode *inode)
{
	bool due;

	mutex_lock(&inode->i_lock);
	due = (inode->i_state & I_MTIME) && !(inode->i_state & I_UNLINKED);
	mutex_unlock(&inode->i_lock);
	if (due)
		inode_store_times(inode);
}

static void leave_table(struct inode *inode)
{
	mutex_lock(&icache.lock);
	itable_delete(inode);
	WRITE_ONCE(icache.nr, icache.nr - 1);
	icache.nr_left++;
	pthread_cond_broadcast(&icache.gone);
	mutex_unlock(&icache.lock);
}

void evict(struct inode *inode, struct list_head *names)
{
	if (S_ISREG(inode->i_mode)) {
		evict_times(inode);
		evict_pages(inode);
	}
	inode_drop_file(inode);
	mutex_lock(&inode->i_lock);
	list_splice_init(&inode->i_aliases, names);
	mutex_unlock(&inode->i_lock);
	if (inode->i_pathfd >= 0)
		close(inode->i_pathfd);
	leave_table(inode);
	inode_destroy(inode);
}

bool inode_wait_evictions(void)
{
	unsigned long until;
	bool wait;

	blk_flush_plug();	/* an evictor may wait for what we write */
	thread_will_block();
	mutex_lock(&icache.lock);
	until = atomic_load(&icache.nr_evicted);
	wait = icache.nr_left != until;
	while ((long)(icache.nr_left - until) < 0)
		pthread_cond_wait(&icache.gone, &icache.lock.m);
	mutex_unlock(&icache.lock);
	return wait;
}

void put_names(struct list_head *names)
{
	while (!list_empty(names)) {
		struct alias *alias = list_first_entry(names, struct alias,
						       list);
		list_del(&alias->list);
		__iput(alias->parent, names);
		kfree(alias);
	}
}

/* ---- too many of them ---- */

bool inode_is_dirty(struct inode *inode)
{
	struct address_space *mapping = &inode->i_data;
	bool dirty;

	mutex_lock(&inode->i_lock);
	dirty = inode->i_state & (I_MTIME | I_STORING);
	mutex_unlock(&inode->i_lock);
	if (dirty)
		return true;
	mutex_lock(&mapping->bdi->list_lock);
	dirty = mapping->wb_state;
	mutex_unlock(&mapping->bdi->list_lock);
	if (dirty)
		return true;
	mutex_lock(&mapping->tree_lock);
	dirty = mapping->nrdirty || mapping->nrwriteback;
	mutex_unlock(&mapping->tree_lock);
	return dirty;
}

/*
 * Up to @nr clean inodes from the LRU's old end to @dispose, looking at no
 * more than twice as many, for it may be full of dirty ones.
 */
static void isolate_unused(struct list_head *dispose, unsigned long nr)
{
	unsigned long scan = 2 * nr;

	mutex_lock(&icache.lock);
	while (nr && scan-- && !list_empty(&icache.lru)) {
		struct inode *inode = list_last_entry(&icache.lru,
						      struct inode, i_lru);

		if (atomic_load(&inode->i_count)) {
			__lru_del(inode);	/* inode.c I3 */
		} else if (inode_is_dirty(inode)) {
			list_move(&inode->i_lru, &icache.lru);
		} else if (__begin_evict(inode)) {
			list_add_tail(&inode->i_lru, dispose);
			nr--;
		}
	}
	mutex_unlock(&icache.lock);
}

/* Context: any locks outside LOCK_ICACHE. Return: how many went. */
static unsigned long prune_icache(unsigned long nr)
{
	struct inode *inode, *n;
	LIST_HEAD(dispose);
	LIST_HEAD(names);
	unsigned long done = 0;

	isolate_unused(&dispose, nr);
	list_for_each_entry_safe(inode, n, &dispose, i_lru) {
		list_del_init(&inode->i_lru);
		evict(inode, &names);
		done++;
	}
	put_names(&names);
	count_vm_events(INODE_SHRUNK, done);
	return done;
}

static unsigned long count_unused(void *arg)
{
	(void)arg;
	return nr_unused_inodes();
}

static unsigned long scan_unused(void *arg, unsigned long nr)
{
	(void)arg;
	return prune_icache(nr);
}

/* Do @nr inodes take more than 1/@share of the arena? */
static bool over_share(unsigned long nr, unsigned int share)
{
	return nr * INODE_COST > totalram_frames() * PAGE_SIZE / share;
}

void icache_trim(void)
{
	/* Not each time: a batch goes at a time. */
	if (READ_ONCE(icache.nr_unused) % PRUNE_BATCH == 0 &&
	    over_share(READ_ONCE(icache.nr), UNUSED_SHARE))
		prune_icache(PRUNE_BATCH);
}

/* ---- what only the kernel knows ---- */

#define GANG	64u	/* inodes at a time; arbitrary */

/* The one reference it has is that of i_nlookup. */
static bool is_prunable(struct inode *inode)
{
	return atomic_load(&inode->i_nlookup) &&
		atomic_load(&inode->i_count) == 1 &&
		!S_ISDIR(READ_ONCE(inode->i_mode));
}

/*
 * Of the next inodes in the table those to prune, as long as there is room in
 * @out. Context: icache.lock. Return: false at the table's end.
 */
static bool __prune_gang(struct inode **out, unsigned int *nrp, unsigned int max)
{
	struct inode *inodes[GANG];
	unsigned int nr;

	lockdep_assert_held(&icache.lock);
	nr = itable_gang(&icache.prune_next, inodes, min(max - *nrp, GANG));
	for (unsigned int i = 0; i < nr; i++)
		if (is_prunable(inodes[i]) && __iget(inodes[i]))
			out[(*nrp)++] = inodes[i];
	return nr;
}

unsigned int inode_prune_candidates(struct inode **out, unsigned int max)
{
	unsigned int nr = 0, ends = 0;

	/* To the end from where the last call stopped, then once all over. */
	while (nr < max && ends < 2) {
		mutex_lock(&icache.lock);
		if (!__prune_gang(out, &nr, max)) {
			icache.prune_next = 0;
			ends++;
		}
		mutex_unlock(&icache.lock);
	}
	return nr;
}

void icache_known(unsigned long nr)
{
	if (nr % PRUNE_BATCH == 0 && over_share(nr, KNOWN_SHARE))
		notify_prune_inodes(nr / KNOWN_SHARE);
}

void shrinker_init(void)
{
	icache.shrinker.count_objects = count_unused;
	icache.shrinker.scan_objects = scan_unused;
	register_shrinker(&icache.shrinker);
}

void shrinker_exit(void)
{
	unregister_shrinker(&icache.shrinker);
}

/* ---- the end ---- */

void evict_unused(void)
{
	struct inode *inode;
	LIST_HEAD(names);

	for (;;) {
		mutex_lock(&icache.lock);
		inode = list_empty(&icache.lru) ? NULL :
			list_last_entry(&icache.lru, struct inode, i_lru);
		if (inode && !__begin_evict(inode)) {
			__lru_del(inode);			/* inode.c I3 */
			mutex_unlock(&icache.lock);
			continue;
		}
		mutex_unlock(&icache.lock);
		if (!inode)
			return;
		evict(inode, &names);
		put_names(&names);
	}
}

static void strip_names(struct inode *inode, void *arg)
{
	LIST_HEAD(names);

	(void)arg;
	mutex_lock(&inode->i_lock);
	list_splice_init(&inode->i_aliases, &names);
	mutex_unlock(&inode->i_lock);
	put_names(&names);
}

void evict_leaked(void)
{
	struct inode *inode;
	LIST_HEAD(names);
	uint64_t nodeid = 0;

	VM_BUG_ON(icache.nr);	/* a leak of ours */
	for_each_inode(strip_names, NULL);
	for (;;) {
		bool found;

		mutex_lock(&icache.lock);
		found = itable_gang(&nodeid, &inode, 1);
		if (found) {
			__lru_del(inode);
			atomic_store(&inode->i_count, COUNT_FREEING);
			atomic_fetch_add(&icache.nr_evicted, 1);
		}
		mutex_unlock(&icache.lock);
		if (!found)
			return;
		evict(inode, &names);
	}
}
