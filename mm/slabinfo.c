// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/slabinfo.c - the text of slabinfo, and the walk that verifies all slabs
 *
 * Locks:   slab_chain_lock, then each cache's.
 * Source:  Linux mm/slab_common.c (cache_show): format 2.1.
 */
#include "slab_def.h"

static const char header[] =
	"slabinfo - version: 2.1\n"
	"# name            <active_objs> <num_objs> <objsize> <objperslab> "
	"<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> "
	": slabdata <active_slabs> <num_slabs> <sharedavail>\n";

/* Context: caller holds slab_chain_lock. */
static size_t cache_show(struct kmem_cache *s, char *buf, size_t size)
{
	unsigned long active, nr_slabs, nr_empty, cached = magazines_count(s);

	mutex_lock(&s->lock);
	active = s->inuse > cached ? s->inuse - cached : 0;
	nr_slabs = s->nr_slabs;
	nr_empty = s->nr_empty;
	mutex_unlock(&s->lock);
	return scnprintf(buf, size, "%-17s %6lu %6lu %6u %4u %4d"
			 " : tunables %4u %4u %4u : slabdata %6lu %6lu %6lu\n",
			 s->name, active, nr_slabs * s->nr_objs, s->size,
			 s->nr_objs, 1 << s->order, s->capacity,
			 s->capacity / 2, 0, nr_slabs - nr_empty, nr_slabs,
			 cached);
}

size_t slabinfo_show(char *buf, size_t size)
{
	size_t len = scnprintf(buf, size, "%s", header);

	mutex_lock(&slab_chain_lock);
	for (unsigned int i = 0; i < MAX_CACHES; i++)
		if (kmem_caches[i].used)
			len += cache_show(&kmem_caches[i], buf + len,
					  size - len);
	mutex_unlock(&slab_chain_lock);
	return len;
}

/* Context: caller holds s->lock. */
static void check_slab(struct kmem_cache *s, struct slab *slab)
{
	unsigned int nr_free = 0;

	BUG_ON(slab->magic != SLAB_MAGIC);
	BUG_ON(slab->cache != s || slab->order != s->order);
	for (unsigned int i = 0; i < s->nr_objs; i++) {
		bool in_slab = slab_obj_is_free(slab, i);

		nr_free += in_slab;
		slab_debug_check(s, slab_obj(slab, i), in_slab);
	}
	for (unsigned int i = 0; i < 1U << s->order; i++)
		BUG_ON(pfn_to_frame(virt_to_pfn(slab) + i)->mark !=
		       MARK_SLAB + s->order);
	BUG_ON(nr_free + slab->inuse != s->nr_objs);	/* slab.c I1 */
}

static void check_cache(struct kmem_cache *s)
{
	unsigned long nr_slabs = 0, nr_empty = 0, inuse = 0;
	struct slab *slab;

	mutex_lock(&s->lock);
	list_for_each_entry(slab, &s->partial, list) {	/* slab.c I2 */
		check_slab(s, slab);
		BUG_ON(slab->inuse == 0 || slab->inuse == s->nr_objs);
		inuse += slab->inuse;
		nr_slabs++;
	}
	list_for_each_entry(slab, &s->full, list) {
		check_slab(s, slab);
		BUG_ON(slab->inuse != s->nr_objs);
		inuse += slab->inuse;
		nr_slabs++;
	}
	list_for_each_entry(slab, &s->empty, list) {
		check_slab(s, slab);
		BUG_ON(slab->inuse != 0);
		nr_empty++;
	}
	BUG_ON(nr_slabs + nr_empty != s->nr_slabs);
	BUG_ON(nr_empty != s->nr_empty || inuse != s->inuse);
	mutex_unlock(&s->lock);
}

void slab_check(void)
{
	mutex_lock(&slab_chain_lock);
	for (unsigned int i = 0; i < MAX_CACHES; i++)
		if (kmem_caches[i].used)
			check_cache(&kmem_caches[i]);
	mutex_unlock(&slab_chain_lock);
}
