// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/shrinker.c - caches outside the page cache that can give memory back
 *
 * The lock keeps a shrinker registered while it runs; a thread that finds the list
 * being changed does without.
 *
 * Locks:  shrinkers.lock (LOCK_SHRINKER), over the shrinkers' own.
 * Source: Linux mm/shrinker.c.
 */
#include "internal.h"
#include "slab.h"
#include "swap.h"
#include "vmscan.h"
#include "vmstat.h"

static struct {
	struct rw_semaphore lock;
	struct list_head list;
} shrinkers;

void register_shrinker(struct shrinker *shrinker)
{
	down_write(&shrinkers.lock);
	list_add_tail(&shrinker->list, &shrinkers.list);
	up_write(&shrinkers.lock);
}

void unregister_shrinker(struct shrinker *shrinker)
{
	down_write(&shrinkers.lock);
	list_del(&shrinker->list);
	up_write(&shrinkers.lock);
}

unsigned long shrink_slab(int priority)
{
	struct shrinker *s;
	unsigned long freed = 0;

	if (!down_read_trylock(&shrinkers.lock))
		return 0;
	list_for_each_entry(s, &shrinkers.list, list) {
		unsigned long nr = s->count_objects(s->arg) >> priority;

		if (nr)
			freed += s->scan_objects(s->arg, nr);
	}
	up_read(&shrinkers.lock);
	count_vm_events(INODE_SHRUNK, freed);
	return freed;
}

unsigned long drop_slab(void)
{
	unsigned long freed = 0, once;

	while ((once = shrink_slab(0)))
		freed += once;
	kmem_cache_shrink_all();
	count_vm_event(DROP_SLAB);
	return freed;
}

void shrinkers_init(void)
{
	init_rwsem(&shrinkers.lock, LOCK_SHRINKER);
	INIT_LIST_HEAD(&shrinkers.list);
}

void shrinkers_exit(void)
{
	destroy_rwsem(&shrinkers.lock);
}
