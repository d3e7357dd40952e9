// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/radix-node.c - nodes of radix trees: where they come from, where they go
 *
 *   slab --> the thread's store --> the insertion's --> the tree
 *    | ^     radix_tree_preload()       ^                  |
 *    | |                                |                  |
 *    +-|----------- GFP_NOWAIT ---------+                  |
 *      +------------------ grace period -------------------+
 *
 * An insertion takes all the nodes it may need before it changes anything, so
 * that what was preloaded without locks cannot fail under them.
 *
 * Locks:  none: a store belongs to its thread, or to one insertion.
 * Source: Linux lib/radix-tree.c (4.19, the way nodes are counted for preload).
 */
#include <errno.h>
#include <pthread.h>

#include "radix_i.h"
#include "slab.h"

/*
 * What one insertion may need: one path but for the root, and the levels by
 * which a tree can grow. Several adjacent ones may need a second path.
 */
#define PRELOAD_ONE	(2 * (MAX_PATH - 1))
#define PRELOAD_MORE	(3 * (MAX_PATH - 1))

static struct kmem_cache *node_cache;	/* constant between init and exit */
static pthread_key_t store_key;		/* constant between init and exit */
static __thread struct node_store preloads;

/* ---- freeing ---- */

static void node_free_cb(struct rcu_head *head)
{
	rcu_tsan_gp_done();
	kmem_cache_free(node_cache,
			container_of(head, struct radix_tree_node, rcu_head));
}

void radix_node_free(struct radix_tree_node *node)
{
	/* What we did with it happened before the callback, too. */
	mm_call_rcu(&node->rcu_head, node_free_cb);
}

/* ---- the preload store ---- */

static void store_push(struct node_store *store, struct radix_tree_node *node)
{
	node->parent = store->head;
	store->head = node;
	store->nr++;
}

struct radix_tree_node *radix_node_pop(struct node_store *store)
{
	struct radix_tree_node *node = store->head;

	BUG_ON(!node);		/* radix_nodes_take() counted wrongly */
	store->head = node->parent;
	store->nr--;
	node->parent = NULL;
	return node;
}

static void store_drain(struct node_store *store)
{
	while (store->nr)
		kmem_cache_free(node_cache, radix_node_pop(store));
}

/* pthread_key destructor: the thread's own store, as its value says. */
static void store_exit(void *store)
{
	store_drain(store);
}

int radix_tree_preload(gfp_t gfp, unsigned int nr)
{
	struct node_store *store = &preloads;
	unsigned int want = nr > 1 ? PRELOAD_MORE : PRELOAD_ONE;

	/*
	 * @nr adjacent indices lie in at most this many more leaves than the
	 * two paths counted above, and in 64 times fewer nodes a level up.
	 */
	for (unsigned int n = nr / RADIX_TREE_MAP_SIZE; n;
	     n /= RADIX_TREE_MAP_SIZE)
		want += n;
	gfp = (gfp & ~__GFP_MOVABLE) | __GFP_ZERO;
	if (!store->head && pthread_setspecific(store_key, store))
		return -ENOMEM;
	while (store->nr < want) {
		void *node = kmem_cache_alloc(node_cache, gfp);

		if (!node)
			return -ENOMEM;
		store_push(store, node);
	}
	return 0;
}

int radix_nodes_take(struct node_store *taken, unsigned int nr)
{
	struct radix_tree_node *node;

	while (taken->nr < nr) {
		if (preloads.nr)
			node = radix_node_pop(&preloads);
		else
			node = kmem_cache_alloc(node_cache,
						GFP_NOWAIT | __GFP_ZERO);
		if (!node) {
			store_drain(taken);
			return -ENOMEM;
		}
		store_push(taken, node);
	}
	return 0;
}

int radix_tree_init(void)
{
	int err = pthread_key_create(&store_key, store_exit);

	if (err)
		return -err;
	node_cache = kmem_cache_create("radix_tree_node",
				       sizeof(struct radix_tree_node), 0, 0, NULL);
	if (!node_cache) {
		pthread_key_delete(store_key);
		return -ENOMEM;
	}
	return 0;
}

/*
 * => every tree is empty
 * => every other thread that called radix_tree_preload() has been joined
 */
void radix_tree_exit(void)
{
	store_drain(&preloads);
	pthread_key_delete(store_key);
	urcu_bp_barrier();
	rcu_tsan_gp_done();
	kmem_cache_destroy(node_cache);
	node_cache = NULL;
}
