// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/swapfile.c - swap areas: turned on, turned off, and whose turn it is
 *
 *   swap_active   prio 10: /a, /b      in turns, a cluster each
 *                 prio -2: /c          when these are full
 *
 *   swap_off():  OFF          nobody gets a slot of it any more
 *                unuse        everybody gives back those he has
 *                wait         what is on its way to the device, or from it
 *                FREE         the device is closed
 *
 * I1. swap_active has the areas that are ON, the highest priority first.
 * I2. A swap_info_struct whose area has slots in use is not FREE: who has an
 *     entry may look at it without a lock.
 * I3. While an area is OFF, its slots only become fewer.
 *
 * Locks:  swap_lock (LOCK_SWAP), then si->lock (LOCK_LEAF). None is held while
 *         a device is read, nor in unuse.
 * Source: Linux mm/swapfile.c (swapon, swapoff). Differs: what brings pages back
 *         is not known here but registered, as mm/shmem.c is above.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "slab.h"
#include "swapfile_i.h"

/* Passes that bring nothing before a swapoff is given up: 2 s. Arbitrary; who is
 * waited for is on a CPU, or would like to be. */
#define UNUSE_VAIN	2000u
#define UNUSE_PAUSE_US		1000

static struct mutex swap_lock = MUTEX_INITIALIZER(LOCK_SWAP);
static LIST_HEAD(swap_active);			/* swap_lock; I1 */
static int least_priority;			/* swap_lock */
static swap_unuse_t unuse;			/* constant after init */

void swap_set_unuse(swap_unuse_t fn)
{
	unuse = fn;
}

/* ---- states ---- */

/* Behind those of its priority. Context: swap_lock. */
static void active_insert(struct swap_info_struct *si)
{
	struct swap_info_struct *pos;

	lockdep_assert_held(&swap_lock);
	list_for_each_entry(pos, &swap_active, list)
		if (pos->prio < si->prio)
			break;
	list_add_tail(&si->list, &pos->list);	/* the head, past the last */
}

static void count_area(const struct swap_info_struct *si, long sign)
{
	atomic_fetch_add(&swap_total, sign * (long)si->pages);
	atomic_fetch_add(&swap_avail, sign * (long)(si->pages - si->inuse));
}

/* SETUP or OFF becomes ON. Context: swap_lock. */
static void __area_enable(struct swap_info_struct *si)
{
	mutex_lock(&si->lock);
	WRITE_ONCE(si->state, AREA_ON);
	count_area(si, 1);
	mutex_unlock(&si->lock);
	active_insert(si);
}

/* ON becomes OFF. Context: swap_lock. */
static void __area_disable(struct swap_info_struct *si)
{
	list_del(&si->list);
	mutex_lock(&si->lock);
	count_area(si, -1);
	WRITE_ONCE(si->state, AREA_OFF);
	mutex_unlock(&si->lock);
}

static void area_enable(struct swap_info_struct *si)
{
	mutex_lock(&swap_lock);
	__area_enable(si);
	mutex_unlock(&swap_lock);
}

static void area_release(struct swap_info_struct *si)
{
	mutex_lock(&swap_lock);
	mutex_lock(&si->lock);
	si->dev = NULL;
	WRITE_ONCE(si->state, AREA_FREE);
	mutex_unlock(&si->lock);
	mutex_unlock(&swap_lock);
}

/* ---- on ---- */

static bool same_device(const struct swap_info_struct *si,
			const struct swap_device *dev)
{
	return si->state != AREA_FREE && si->dev &&
		(si->dev == dev || !strcmp(si->dev->path, dev->path));
}

/* FREE becomes SETUP. Return: ERR_PTR(-EBUSY, -EPERM). */
static struct swap_info_struct *area_reserve(struct swap_device *dev)
{
	struct swap_info_struct *si, *found = NULL;
	long err = -EPERM;

	mutex_lock(&swap_lock);
	for (si = swap_info; si < swap_info + MAX_SWAPFILES; si++) {
		if (same_device(si, dev)) {
			err = -EBUSY;
			goto out_unlock;
		}
		if (si->state == AREA_FREE && !found)
			found = si;
	}
	if (!found)
		goto out_unlock;
	err = 0;
	mutex_lock(&found->lock);
	found->state = AREA_SETUP;
	found->dev = dev;
	mutex_unlock(&found->lock);
	dev->si = found;
	atomic_store(&found->nr_read, 0);
	atomic_store(&found->nr_written, 0);
	atomic_store(&found->nr_errors, 0);
out_unlock:
	mutex_unlock(&swap_lock);
	return err ? ERR_PTR(err) : found;
}

/* By what the device's header says. */
static int area_setup(struct swap_info_struct *si)
{
	void *header = kmalloc(PAGE_SIZE, GFP_KERNEL);
	struct swap_area_desc desc;
	int err;

	if (!header)
		return -ENOMEM;
	err = si->dev->ops->read_header(si->dev, header);
	if (!err)
		err = swap_parse_header(header, si->dev->size, &desc);
	if (!err)
		err = swap_area_alloc(si, desc.max, desc.badpages,
				      desc.nr_badpages);
	kfree(header);
	return err;
}

int swap_on(struct swap_device *dev, int prio)
{
	struct swap_info_struct *si;
	int err;

	if (prio < -1 || prio > SWAP_PRIO_MAX)
		return -EINVAL;
	si = area_reserve(dev);
	if (IS_ERR(si))
		return (int)PTR_ERR(si);
	err = area_setup(si);
	if (err) {
		area_release(si);
		return err;
	}
	mutex_lock(&swap_lock);
	si->prio = prio >= 0 ? prio : --least_priority;
	__area_enable(si);
	mutex_unlock(&swap_lock);
	return 0;
}

int swap_memory_prepare(void)
{
	struct swap_info_struct *si = &swap_info[SWP_TYPE_MEMORY];
	int err;

	/* pairs with below: who sees it ON sees its map */
	if (smp_load_acquire(&si->state) == AREA_ON)
		return 0;
	err = swap_area_alloc(si, totalram_frames() + 1, NULL, 0);
	if (err)
		return err;
	/* Not on swap_active, nor counted: nothing is swapped there. */
	mutex_lock(&si->lock);
	smp_store_release(&si->state, AREA_ON);
	mutex_unlock(&si->lock);
	return 0;
}

/* ---- slots ---- */

/*
 * Nobody else takes slots, and those that are given back only make room: the
 * answer stays true. Context: swap_lock.
 */
static struct swap_info_struct *area_with_room(void)
{
	struct swap_info_struct *si;
	bool room;

	list_for_each_entry(si, &swap_active, list) {
		mutex_lock(&si->lock);
		room = si->inuse < si->pages;
		mutex_unlock(&si->lock);
		if (room)
			return si;
	}
	return NULL;
}

unsigned int get_swap_pages(unsigned int nr, swp_entry_t *entries)
{
	struct swap_info_struct *si;
	unsigned int got = 0;
	bool ended;

	if (!nr_swap_pages())
		return 0;
	mutex_lock(&swap_lock);
	while (got < nr && (si = area_with_room())) {
		got += swap_area_take(si, nr - got, entries + got, &ended);
		if (ended) {			/* others of its priority */
			list_del(&si->list);
			active_insert(si);
		}
	}
	mutex_unlock(&swap_lock);
	return got;
}

/* ---- off ---- */

/* ON becomes OFF. Return: ERR_PTR(-ENOENT, -EBUSY). */
static struct swap_info_struct *area_retire(const char *path)
{
	struct swap_info_struct *si;
	long err = -ENOENT;

	mutex_lock(&swap_lock);
	for (si = swap_info; si < swap_info + MAX_SWAPFILES; si++)
		if (si->state != AREA_FREE && !strcmp(si->dev->path, path))
			break;
	if (si < swap_info + MAX_SWAPFILES) {
		err = si->state == AREA_ON ? 0 : -EBUSY;
		if (!err)
			__area_disable(si);
	}
	mutex_unlock(&swap_lock);
	return err ? ERR_PTR(err) : si;
}

static unsigned long area_inuse(struct swap_info_struct *si)
{
	unsigned long inuse;

	mutex_lock(&si->lock);
	inuse = si->inuse;
	mutex_unlock(&si->lock);
	return inuse;
}

/*
 * Until no slot is in use. One pass may not do: a page whose last user went while
 * it was being written keeps its slot until the I/O has ended; an object that is
 * being freed is passed over, and so is an entry that somebody has taken out of
 * its object and not yet freed. They take no new ones (I3), so it comes to an end.
 */
static int area_empty(struct swap_info_struct *si, swap_progress_t progress,
		      void *arg)
{
	unsigned long left = area_inuse(si), before;
	unsigned int vain = 0;
	int err;

	while (left) {
		before = left;
		err = swap_memory_prepare();
		if (!err && unuse)
			err = unuse((unsigned int)(si - swap_info), progress,
				    arg);
		if (err)
			return err;
		swap_wait_idle(si);
		left = area_inuse(si);
		if (left < before)
			vain = 0;
		else if (++vain == UNUSE_VAIN)
			return -EBUSY;
		else
			usleep(UNUSE_PAUSE_US);
	}
	return 0;
}

/* OFF becomes FREE. */
static void area_close(struct swap_info_struct *si)
{
	struct swap_device *dev = si->dev;

	swap_area_free(si);
	area_release(si);
	dev->ops->close(dev);
}

int swap_off(const char *path, swap_progress_t progress, void *arg)
{
	struct swap_info_struct *si = area_retire(path);
	int err;

	if (IS_ERR(si))
		return (int)PTR_ERR(si);
	err = area_empty(si, progress, arg);
	if (err) {
		area_enable(si);
		return err;
	}
	swap_wait_idle(si);
	area_close(si);
	return 0;
}

void swap_off_all(void)
{
	struct swap_info_struct *si;

	for (si = swap_info; si < swap_info + MAX_SWAPFILES; si++) {
		mutex_lock(&swap_lock);
		BUG_ON(si->state == AREA_SETUP || si->state == AREA_OFF);
		if (si->state == AREA_ON)
			__area_disable(si);
		mutex_unlock(&swap_lock);
		if (si->state != AREA_OFF)
			continue;
		swap_wait_idle(si);
		/* The swap cache may have pages nobody shares any more. */
		BUG_ON(area_empty(si, NULL, NULL));
		area_close(si);
	}
}

/* ---- seen from outside ---- */

unsigned long total_swap_pages(void)
{
	return (unsigned long)max(0L, atomic_load(&swap_total));
}

unsigned long nr_swap_pages(void)
{
	return (unsigned long)max(0L, atomic_load(&swap_avail));
}

static void fill_info(struct swap_info_struct *si, struct swap_area_info *info)
{
	mutex_lock(&si->lock);
	*info = (struct swap_area_info){
		.is_file = si->dev->is_file,
		.going = si->state == AREA_OFF,
		.nr_slots = si->pages,
		.nr_used = si->inuse,
		.nr_bad = si->nr_bad,
		.prio = si->prio,
		.nr_read = atomic_load(&si->nr_read),
		.nr_written = atomic_load(&si->nr_written),
		.nr_errors = atomic_load(&si->nr_errors),
	};
	snprintf(info->path, sizeof(info->path), "%s", si->dev->path);
	mutex_unlock(&si->lock);
}

bool swap_area_info(unsigned int nth, struct swap_area_info *info)
{
	struct swap_info_struct *si;
	bool found = false;

	mutex_lock(&swap_lock);
	for (si = swap_info; si < swap_info + MAX_SWAPFILES && !found; si++) {
		if (si->state < AREA_ON || nth--)
			continue;
		fill_info(si, info);
		found = true;
	}
	mutex_unlock(&swap_lock);
	return found;
}

void swapfile_check(void)
{
	unsigned long total = 0, avail = 0, active = 0;
	struct swap_info_struct *si;
	int prio = SWAP_PRIO_MAX;

	mutex_lock(&swap_lock);
	list_for_each_entry(si, &swap_active, list) {
		BUG_ON(si->state != AREA_ON || si->prio > prio);	/* I1 */
		prio = si->prio;
		active++;
	}
	for (si = swap_info; si <= swap_info + SWP_TYPE_MEMORY; si++) {
		if (si->state >= AREA_ON)
			swap_area_check(si);
		if (si->state != AREA_ON || !si->dev)
			continue;
		total += si->pages;
		avail += si->pages - si->inuse;
		active--;
	}
	BUG_ON(active);
	BUG_ON(total != total_swap_pages() || avail != nr_swap_pages());
	mutex_unlock(&swap_lock);
}

/* ---- up and down ---- */

int swap_init(void)
{
	least_priority = -1;		/* the first is -2, as in Linux */
	for (unsigned int i = 0; i <= MAX_SWAPFILES; i++) {
		struct swap_info_struct *si = &swap_info[i];

		mutex_init(&si->lock, LOCK_LEAF);
		BUG_ON(pthread_cond_init(&si->idle, NULL));
		si->state = AREA_FREE;
		si->dev = NULL;
	}
	return 0;
}

void swap_exit(void)
{
	struct swap_info_struct *memory = &swap_info[SWP_TYPE_MEMORY];

	if (memory->state == AREA_ON)
		swap_area_free(memory);
	memory->state = AREA_FREE;
	for (unsigned int i = 0; i <= MAX_SWAPFILES; i++) {
		BUG_ON(swap_info[i].state != AREA_FREE);
		mutex_destroy(&swap_info[i].lock);
		BUG_ON(pthread_cond_destroy(&swap_info[i].idle));
	}
	unuse = NULL;
}
