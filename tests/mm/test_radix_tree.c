// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_radix_tree.c - mm/radix-tree.c, radix-node.c by themselves
 *
 *   keys[]     the indices a run may use, sorted; each has its own item
 *   present[]  the model: which of them are in the tree
 *   tags[]     and with which tags
 *
 * A randomized run does one operation on tree and model, then compares what
 * that operation returned and lets radix_tree_check() walk the tree.
 *
 * Leaked nodes: every case ends in teardown(), whose kmem_cache_destroy() BUGs
 * when a node is still allocated.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "err.h"
#include "harness.h"
#include "lockdep.h"
#include "mmzone.h"
#include "radix-tree.h"
#include "rcu.h"
#include "slab.h"
#include "vmstat.h"

#define NR_KEYS		512

struct item {
	uint64_t index;
};

static struct item items[NR_KEYS];	/* items[i].index is keys[i] */
static uint64_t keys[NR_KEYS];
static bool present[NR_KEYS];
static unsigned char tags[NR_KEYS];	/* bit t: tag t */
static struct radix_tree_root root;
static uint64_t rnd;

static void setup(void)
{
	vmstat_init();
	CU_ASSERT_EQUAL_FATAL(page_alloc_init(16 * SZ_1M, 1), 0);
	CU_ASSERT_EQUAL_FATAL(slab_init(), 0);
	CU_ASSERT_EQUAL_FATAL(radix_tree_init(), 0);
	memset(&root, 0, sizeof(root));
	memset(present, 0, sizeof(present));
	memset(tags, 0, sizeof(tags));
	rnd = test_seed();
}

static void teardown(void)
{
	failslab(0, false);
	CU_ASSERT_PTR_NULL(root.rnode);
	radix_tree_exit();
	slab_check();
	slab_exit();
	page_alloc_exit();
}

/* Even, never NULL, and another one for any two indices below 2^62. */
static void *item_of(uint64_t index)
{
	return (void *)(uintptr_t)(index * 4 + 2);
}

static int insert(uint64_t index)
{
	return radix_tree_insert(&root, index, item_of(index));
}

static bool lookup_ok(uint64_t index)
{
	return radix_tree_lookup(&root, index) == item_of(index);
}

static bool delete_ok(uint64_t index)
{
	bool ok = radix_tree_delete(&root, index) == item_of(index);

	radix_tree_check(&root);
	return ok;
}

/* ---- single cases ---- */

/* 0, and the first and last index of every height. */
static unsigned int edge_indices(uint64_t *edges)
{
	unsigned int nr = 0;

	edges[nr++] = 0;
	edges[nr++] = RADIX_TREE_MAP_MASK;
	for (unsigned int shift = 6; shift < 64; shift += 6) {
		edges[nr++] = 1ull << shift;
		edges[nr++] = shift + 6 < 64 ? (1ull << (shift + 6)) - 1
					     : UINT64_MAX;
	}
	return nr;
}

static void an_empty_tree_has_nothing(void)
{
	uint64_t first = 0;
	void *found;

	setup();
	CU_ASSERT_PTR_NULL(radix_tree_lookup(&root, 0));
	CU_ASSERT_PTR_NULL(radix_tree_lookup(&root, UINT64_MAX));
	CU_ASSERT_PTR_NULL(radix_tree_delete(&root, 0));
	CU_ASSERT_EQUAL(radix_tree_gang_lookup(&root, &found, NULL, 0,
					       UINT64_MAX, 1), 0);
	CU_ASSERT_FALSE(radix_tree_tag_get(&root, 0, 0));
	CU_ASSERT_FALSE(radix_tree_tagged(&root, 0));
	radix_tree_tag_clear(&root, 7, 0);
	CU_ASSERT_EQUAL(radix_tree_range_tag_if_tagged(&root, &first, 99, 9,
						       0, 1), 0);
	CU_ASSERT_EQUAL(first, 100);
	radix_tree_check(&root);
	teardown();
}

static void every_height_holds_its_first_and_last_index(void)
{
	uint64_t edges[2 * 11];
	unsigned int nr = edge_indices(edges);

	setup();
	for (unsigned int i = 0; i < nr; i++) {
		CU_ASSERT_EQUAL(insert(edges[i]), 0);
		radix_tree_check(&root);
		CU_ASSERT_EQUAL(insert(edges[i]), -EEXIST);
	}
	for (unsigned int i = 0; i < nr; i++)
		CU_ASSERT(lookup_ok(edges[i]));
	CU_ASSERT_PTR_NULL(radix_tree_lookup(&root, 1));
	CU_ASSERT_PTR_NULL(radix_tree_lookup(&root, UINT64_MAX - 1));
	while (nr--)
		CU_ASSERT(delete_ok(edges[nr]));
	teardown();
}

static void a_lone_item_may_have_any_index(void)
{
	uint64_t edges[2 * 11], index;
	unsigned int nr = edge_indices(edges);
	void *found;

	setup();
	for (unsigned int i = 0; i < nr; i++) {
		CU_ASSERT_EQUAL(insert(edges[i]), 0);
		radix_tree_check(&root);
		CU_ASSERT(lookup_ok(edges[i]));
		found = NULL;
		CU_ASSERT_EQUAL(radix_tree_gang_lookup(&root, &found, &index, 0,
						       UINT64_MAX, 1), 1);
		CU_ASSERT(found == item_of(edges[i]) && index == edges[i]);
		CU_ASSERT(delete_ok(edges[i]));
		CU_ASSERT_PTR_NULL(root.rnode);
	}
	teardown();
}

static void a_tag_goes_with_its_item(void)
{
	setup();
	CU_ASSERT_EQUAL(insert(5), 0);
	CU_ASSERT_EQUAL(insert(5000), 0);
	radix_tree_tag_set(&root, 5000, PAGECACHE_TAG_DIRTY);
	radix_tree_check(&root);
	CU_ASSERT(radix_tree_tag_get(&root, 5000, PAGECACHE_TAG_DIRTY));
	CU_ASSERT_FALSE(radix_tree_tag_get(&root, 5, PAGECACHE_TAG_DIRTY));
	CU_ASSERT_FALSE(radix_tree_tag_get(&root, 5000, PAGECACHE_TAG_TOWRITE));
	CU_ASSERT(radix_tree_tagged(&root, PAGECACHE_TAG_DIRTY));
	CU_ASSERT(delete_ok(5000));
	CU_ASSERT_FALSE(radix_tree_tagged(&root, PAGECACHE_TAG_DIRTY));
	CU_ASSERT_EQUAL(insert(5000), 0);
	CU_ASSERT_FALSE(radix_tree_tag_get(&root, 5000, PAGECACHE_TAG_DIRTY));
	CU_ASSERT(delete_ok(5000) && delete_ok(5));
	teardown();
}

static void growing_keeps_the_tags_below(void)
{
	uint64_t index;
	void *found;

	setup();
	CU_ASSERT_EQUAL(insert(1), 0);
	radix_tree_tag_set(&root, 1, PAGECACHE_TAG_WRITEBACK);
	CU_ASSERT_EQUAL(insert(1ull << 40), 0);
	radix_tree_check(&root);
	CU_ASSERT(radix_tree_tagged(&root, PAGECACHE_TAG_WRITEBACK));
	CU_ASSERT_EQUAL(radix_tree_gang_lookup_tag(&root, &found, &index, 0,
						   UINT64_MAX, 1,
						   PAGECACHE_TAG_WRITEBACK), 1);
	CU_ASSERT_EQUAL(index, 1);
	CU_ASSERT(delete_ok(1ull << 40));
	CU_ASSERT(radix_tree_tag_get(&root, 1, PAGECACHE_TAG_WRITEBACK));
	CU_ASSERT(delete_ok(1));
	teardown();
}

static void tag_missing(void *arg)
{
	(void)arg;
	radix_tree_tag_set(&root, 4, PAGECACHE_TAG_DIRTY);
}

static void insert_odd(void *arg)
{
	radix_tree_insert(&root, 4, (char *)arg + 1);
}

static void insert_null(void *arg)
{
	(void)arg;
	radix_tree_insert(&root, 4, NULL);
}

static void misuse_is_a_bug(void)
{
	setup();
	CU_ASSERT_EQUAL(insert(3), 0);
	CU_ASSERT(dies(tag_missing, NULL));
	CU_ASSERT(dies(insert_odd, &items[0]));
	CU_ASSERT(dies(insert_null, NULL));
	CU_ASSERT(delete_ok(3));
	teardown();
}

static void check(void *arg)
{
	(void)arg;
	radix_tree_check(&root);
}

/*
 * The node's layout is its own; but its maps, one for the slots and one for
 * each tag, are 8 bytes each and lie in front of the slots.
 */
static void the_check_sees_a_flipped_bit_in_any_map(void)
{
	unsigned int seen = 0;

	setup();
	CU_ASSERT_EQUAL(insert(0), 0);
	CU_ASSERT_EQUAL(insert(64 * 63), 0);
	radix_tree_check(&root);
	for (unsigned int i = 0; i < 64; i++) {
		((char *)root.rnode)[i] ^= 2;
		seen += dies(check, NULL);
		((char *)root.rnode)[i] ^= 2;
	}
	CU_ASSERT(seen >= 8 * (1 + RADIX_TREE_MAX_TAGS));
	CU_ASSERT(delete_ok(0) && delete_ok(64 * 63));
	teardown();
}

static void range_tagging_goes_on_where_it_stopped(void)
{
	uint64_t first = 10, at[8];
	void *found[8];

	setup();
	for (uint64_t i = 0; i < 300; i += 3) {
		CU_ASSERT_EQUAL(insert(i), 0);
		if (i % 2 == 0)
			radix_tree_tag_set(&root, i, PAGECACHE_TAG_DIRTY);
	}
	CU_ASSERT_EQUAL(radix_tree_range_tag_if_tagged(&root, &first, 126, 10,
				PAGECACHE_TAG_DIRTY, PAGECACHE_TAG_TOWRITE), 10);
	CU_ASSERT_EQUAL(first, 67);	/* 12, 18, ... 66 are tagged */
	radix_tree_check(&root);
	CU_ASSERT_EQUAL(radix_tree_range_tag_if_tagged(&root, &first, 126, 99,
				PAGECACHE_TAG_DIRTY, PAGECACHE_TAG_TOWRITE), 10);
	CU_ASSERT_EQUAL(first, 127);	/* 72 to 126 */
	CU_ASSERT_EQUAL(radix_tree_gang_lookup_tag(&root, found, at, 120, 299, 8,
						   PAGECACHE_TAG_TOWRITE), 2);
	CU_ASSERT(at[0] == 120 && at[1] == 126 && found[1] == item_of(126));
	for (uint64_t i = 0; i < 300; i += 3)
		CU_ASSERT(delete_ok(i));
	teardown();
}

/* A walk that looked at every slot would take years: 2^58 leaves. */
static void sparse_trees_are_walked_quickly(void)
{
	uint64_t at[4];
	void *found[4];

	setup();
	CU_ASSERT_EQUAL(insert(0), 0);
	CU_ASSERT_EQUAL(insert(UINT64_MAX), 0);
	radix_tree_tag_set(&root, UINT64_MAX, PAGECACHE_TAG_DIRTY);
	for (int i = 0; i < 100000; i++) {
		if (radix_tree_gang_lookup(&root, found, at, 1, UINT64_MAX, 4)
		    != 1 || at[0] != UINT64_MAX)
			CU_FAIL("the last index was not found");
		if (radix_tree_gang_lookup_tag(&root, found, at, 0, UINT64_MAX,
				4, PAGECACHE_TAG_DIRTY) != 1)
			CU_FAIL("the tagged index was not found");
	}
	CU_ASSERT_EQUAL(radix_tree_gang_lookup(&root, found, at, 1,
					       UINT64_MAX - 1, 4), 0);
	CU_ASSERT(delete_ok(0) && delete_ok(UINT64_MAX));
	teardown();
}

/* ---- memory ---- */

static void a_failed_insertion_leaves_no_trace(void)
{
	struct radix_tree_node *before;
	unsigned long nth = 1;
	int err;

	setup();
	CU_ASSERT_EQUAL(insert(3), 0);
	radix_tree_tag_set(&root, 3, PAGECACHE_TAG_DIRTY);
	before = root.rnode;
	for (;; nth++) {
		failslab(nth, false);
		err = insert(1ull << 62);
		failslab(0, false);
		radix_tree_check(&root);
		if (!err)
			break;
		CU_ASSERT_EQUAL(err, -ENOMEM);
		CU_ASSERT_PTR_EQUAL(root.rnode, before);
		CU_ASSERT_PTR_NULL(radix_tree_lookup(&root, 1ull << 62));
		CU_ASSERT(radix_tree_tag_get(&root, 3, PAGECACHE_TAG_DIRTY));
	}
	CU_ASSERT_EQUAL(nth, 21);	/* 10 levels more, 10 nodes down */
	CU_ASSERT(delete_ok(3) && delete_ok(1ull << 62));
	teardown();
}

static void after_preload_an_insertion_cannot_fail(void)
{
	setup();
	CU_ASSERT_EQUAL(insert(0), 0);
	CU_ASSERT_EQUAL(radix_tree_preload(GFP_KERNEL, 1), 0);
	failslab(1, true);
	CU_ASSERT_EQUAL(insert(UINT64_MAX), 0);	/* the dearest there is */
	CU_ASSERT_EQUAL(insert(1ull << 63), -ENOMEM);
	failslab(0, false);
	CU_ASSERT(delete_ok(0) && delete_ok(UINT64_MAX));
	teardown();
}

static void preload_counts_for_adjacent_indices(void)
{
	/* Across the boundary that makes two paths part at the very top. */
	static const uint64_t mid = 1ull << 61;
	static const unsigned int nrs[] = { 2, 63, 64, 65, 129, 500, 4097 };

	setup();
	for (unsigned int i = 0; i < ARRAY_SIZE(nrs); i++) {
		uint64_t first = mid - (i % 2 ? 1 : nrs[i] - 1);

		CU_ASSERT_EQUAL(insert(0), 0);
		CU_ASSERT_EQUAL(radix_tree_preload(GFP_KERNEL, nrs[i]), 0);
		failslab(1, true);
		for (uint64_t index = first; index < first + nrs[i]; index++)
			if (insert(index))
				CU_FAIL("not enough was preloaded");
		failslab(0, false);
		radix_tree_check(&root);
		for (uint64_t index = first; index < first + nrs[i]; index++)
			if (radix_tree_delete(&root, index) != item_of(index))
				CU_FAIL("deletion");
		CU_ASSERT(delete_ok(0));
	}
	teardown();
}

static void a_failed_preload_can_be_repeated(void)
{
	setup();
	failslab(5, false);
	CU_ASSERT_EQUAL(radix_tree_preload(GFP_KERNEL, 1), -ENOMEM);
	CU_ASSERT_EQUAL(radix_tree_preload(GFP_KERNEL, 1), 0);
	failslab(1, true);
	CU_ASSERT_EQUAL(radix_tree_preload(GFP_KERNEL, 1), 0);	/* still full */
	CU_ASSERT_EQUAL(insert(UINT64_MAX), 0);
	failslab(0, false);
	CU_ASSERT(delete_ok(UINT64_MAX));
	teardown();
}

static void *preload_thread(void *arg)
{
	*(int *)arg = radix_tree_preload(GFP_KERNEL, 1000);
	return NULL;
}

static void a_thread_that_exits_gives_its_nodes_back(void)
{
	pthread_t thread;
	int err = -1;

	setup();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, preload_thread,
					     &err), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(err, 0);
	teardown();
}

/* ---- against the model ---- */

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* @bits: keys lie below 2^@bits, in clusters of up to 2^@cluster. */
static void make_keys(unsigned int bits, unsigned int cluster)
{
	uint64_t mask = bits < 64 ? (1ull << bits) - 1 : UINT64_MAX;
	uint64_t base = 0;

	for (unsigned int i = 0; i < NR_KEYS; i++) {
		if (i % 16 == 0)
			base = test_rand(&rnd);
		keys[i] = base + (test_rand(&rnd) & ((1ull << cluster) - 1));
		keys[i] &= mask;
	}
	keys[0] = 0;
	keys[1] = mask;
	qsort(keys, NR_KEYS, sizeof(keys[0]), compare_keys);
	for (unsigned int i = 1; i < NR_KEYS; i++)	/* no key twice */
		if (keys[i] <= keys[i - 1])
			keys[i] = keys[i - 1] + 1;
	for (unsigned int i = 0; i < NR_KEYS; i++)
		items[i].index = keys[i];
}

/* Keys from @first to @last with @tag (or, without a tag, all), by the model. */
static unsigned int model_gang(unsigned int *found, uint64_t first,
			       uint64_t last, unsigned int max, int tag)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_KEYS && nr < max; i++)
		if (present[i] && keys[i] >= first && keys[i] <= last &&
		    (tag < 0 || tags[i] >> tag & 1))
			found[nr++] = i;
	return nr;
}

/* A key, or next to one, so that ranges begin and end on the edge. */
static uint64_t random_index(void)
{
	return keys[test_rand(&rnd) % NR_KEYS] + test_rand(&rnd) % 3 - 1;
}

static bool step_gang(void)
{
	uint64_t first = random_index(), last = random_index(), at[64];
	unsigned int max = test_rand(&rnd) % 64 + 1, want[64], nr;
	int tag = (int)(test_rand(&rnd) % 4) - 1;
	void *found[64];

	if (tag < 0)
		nr = radix_tree_gang_lookup(&root, found, at, first, last, max);
	else
		nr = radix_tree_gang_lookup_tag(&root, found, at, first, last,
						max, tag);
	if (nr != model_gang(want, first, last, max, tag))
		return false;
	for (unsigned int i = 0; i < nr; i++)
		if (found[i] != &items[want[i]] || at[i] != keys[want[i]])
			return false;
	return true;
}

static bool step_range_tag(void)
{
	uint64_t first = random_index(), last = random_index(), go_on = first;
	unsigned int iftag = test_rand(&rnd) % 3, settag = test_rand(&rnd) % 3;
	unsigned int max = test_rand(&rnd) % 64 + 1, want[64], nr;

	nr = model_gang(want, first, last, max, iftag);
	if (radix_tree_range_tag_if_tagged(&root, &go_on, last, max, iftag,
					   settag) != nr)
		return false;
	for (unsigned int i = 0; i < nr; i++)
		tags[want[i]] |= 1u << settag;
	return nr < max ? go_on == last + 1 : go_on == keys[want[nr - 1]] + 1;
}

static bool step_insert(unsigned int i)
{
	bool fail = test_rand(&rnd) % 8 == 0;
	int err;

	if (fail)
		failslab(test_rand(&rnd) % 4 + 1, false);
	err = radix_tree_insert(&root, keys[i], &items[i]);
	failslab(0, false);
	if (present[i])
		return err == -EEXIST;
	if (fail && err == -ENOMEM)
		return true;
	present[i] = true;
	tags[i] = 0;
	return err == 0;
}

static bool step_delete(unsigned int i)
{
	bool was = present[i];

	present[i] = false;
	tags[i] = 0;
	return radix_tree_delete(&root, keys[i]) == (was ? &items[i] : NULL);
}

static bool step_tag(unsigned int i, unsigned int tag, bool set)
{
	if (set && present[i]) {
		radix_tree_tag_set(&root, keys[i], tag);
		tags[i] |= 1u << tag;
	} else {
		radix_tree_tag_clear(&root, keys[i], tag);
		tags[i] &= ~(1u << tag);
	}
	return radix_tree_tag_get(&root, keys[i], tag) == (tags[i] >> tag & 1);
}

static bool step_lookup(unsigned int i, unsigned int tag)
{
	unsigned int one;

	return radix_tree_lookup(&root, keys[i]) ==
		       (present[i] ? &items[i] : NULL) &&
	       radix_tree_tagged(&root, tag) ==
		       (model_gang(&one, 0, UINT64_MAX, 1, tag) != 0);
}

/* @grow: how many of 16 structural steps insert. */
static bool step(unsigned int grow)
{
	unsigned int i = test_rand(&rnd) % NR_KEYS, tag = test_rand(&rnd) % 3;

	switch (test_rand(&rnd) % 9) {
	case 0: case 1: case 2: case 3:
		if (test_rand(&rnd) % 16 < grow)
			return step_insert(i);
		return step_delete(i);
	case 4: case 5:
		return step_tag(i, tag, test_rand(&rnd) % 3);
	case 6:
		return step_lookup(i, tag);
	case 7:
		return step_range_tag();
	default:
		return step_gang();
	}
}

static void random_run(unsigned int bits, unsigned int cluster)
{
	setup();
	make_keys(bits, cluster);
	for (unsigned int n = 0; n < 4000; n++) {
		bool ok = step(n / 1000 % 2 ? 5 : 11);

		radix_tree_check(&root);
		if (!ok) {
			CU_FAIL("tree and model disagree");
			break;
		}
	}
	for (unsigned int i = 0; i < NR_KEYS; i++)
		CU_ASSERT(step_delete(i));
	teardown();
}

static void dense_keys_match_the_model(void)
{
	random_run(10, 10);
}

static void clustered_keys_match_the_model(void)
{
	random_run(36, 5);
}

static void sparse_64_bit_keys_match_the_model(void)
{
	random_run(63, 60);
}

/* ---- readers against a writer ---- */

#define NR_STAY		70	/* indices 0 to 69 are always there */
#define NR_READERS	3
#define NR_ROUNDS	4000

static struct item stay[NR_STAY];
static struct item come[64];	/* come and go, at any height */
static atomic_bool writer_done;
static pthread_barrier_t start;
static struct mutex tree_lock = MUTEX_INITIALIZER(LOCK_TREE);

struct reader {
	pthread_t thread;
	unsigned long rounds;
	unsigned long wrong;
};

/* Everything that stays is in there, in order; all else is what it says. */
static bool gang_is_right(void)
{
	uint64_t at[NR_STAY + 64];
	void *found[NR_STAY + 64];
	unsigned int nr, seen = 0;

	nr = radix_tree_gang_lookup(&root, found, at, 0, UINT64_MAX,
				    ARRAY_SIZE(found));
	for (unsigned int i = 0; i < nr; i++) {
		if (((struct item *)found[i])->index != at[i])
			return false;
		if (i && at[i] <= at[i - 1])
			return false;
		seen += at[i] < NR_STAY;
	}
	return seen == NR_STAY;
}

static bool tagged_is_right(void)
{
	uint64_t at[16];
	void *found[16];
	unsigned int nr;

	nr = radix_tree_gang_lookup_tag(&root, found, at, 0, UINT64_MAX,
					ARRAY_SIZE(found), PAGECACHE_TAG_DIRTY);
	for (unsigned int i = 0; i < nr; i++)
		if (((struct item *)found[i])->index != at[i])
			return false;
	return true;
}

static bool lookups_are_right(uint64_t *state)
{
	struct item *c = &come[test_rand(state) % ARRAY_SIZE(come)], *item;
	unsigned int i = test_rand(state) % NR_STAY;

	if (radix_tree_lookup(&root, i) != &stay[i])
		return false;
	item = radix_tree_lookup(&root, c->index);
	return !item || item == c;
}

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	uint64_t state = test_seed() + (uintptr_t)r;

	pthread_barrier_wait(&start);
	do {
		mm_rcu_read_lock();
		r->wrong += !lookups_are_right(&state);
		r->wrong += !lookups_are_right(&state);
		r->wrong += !gang_is_right();
		r->wrong += !tagged_is_right();
		mm_rcu_read_unlock();
		r->rounds++;
	} while (!atomic_load(&writer_done));
	return NULL;
}

/*
 * The writer makes garbage faster than grace periods pass, and nobody reclaims
 * here: it waits for them when memory is out. => tree_lock held
 */
static void come_in(struct item *item)
{
	int err = radix_tree_insert(&root, item->index, item);

	if (err == -ENOMEM) {
		urcu_bp_barrier();
		err = radix_tree_insert(&root, item->index, item);
	}
	CU_ASSERT_EQUAL_FATAL(err, 0);
	radix_tree_tag_set(&root, item->index, PAGECACHE_TAG_DIRTY);
}

/* The tree grows to any height and shrinks again around what stays. */
static void writer_run(void)
{
	bool in[ARRAY_SIZE(come)] = { false };

	for (unsigned int n = 0; n < NR_ROUNDS; n++) {
		unsigned int i = test_rand(&rnd) % ARRAY_SIZE(come);

		mutex_lock(&tree_lock);
		if (in[i]) {
			CU_ASSERT(radix_tree_delete(&root, come[i].index) ==
				  &come[i]);
		} else {
			come_in(&come[i]);
		}
		in[i] = !in[i];
		/* Now and then all go, so that the root comes down, too. */
		for (i = 0; n % 50 == 0 && i < ARRAY_SIZE(come); i++) {
			if (in[i])
				radix_tree_delete(&root, come[i].index);
			in[i] = false;
		}
		mutex_unlock(&tree_lock);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(come); i++)
		if (in[i])
			radix_tree_delete(&root, come[i].index);
}

static void make_items(void)
{
	for (unsigned int i = 0; i < NR_STAY; i++) {
		stay[i].index = i;
		CU_ASSERT_EQUAL(radix_tree_insert(&root, i, &stay[i]), 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(come); i++)
		come[i].index = (1ull << i) + NR_STAY;
}

static void readers_never_miss_what_stays(void)
{
	struct reader readers[NR_READERS] = { 0 };

	setup();
	make_items();
	atomic_store(&writer_done, false);
	pthread_barrier_init(&start, NULL, NR_READERS + 1);
	for (int i = 0; i < NR_READERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&readers[i].thread, NULL,
						     reader_thread,
						     &readers[i]), 0);
	pthread_barrier_wait(&start);
	writer_run();
	atomic_store(&writer_done, true);
	for (int i = 0; i < NR_READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		CU_ASSERT(readers[i].rounds > 0);
		CU_ASSERT_EQUAL(readers[i].wrong, 0);
	}
	pthread_barrier_destroy(&start);
	radix_tree_check(&root);
	for (unsigned int i = 0; i < NR_STAY; i++)
		CU_ASSERT(radix_tree_delete(&root, i) == &stay[i]);
	teardown();
}

static const struct test_case cases[] = {
	{ "an empty tree has nothing", an_empty_tree_has_nothing },
	{ "every height holds its first and last index",
	  every_height_holds_its_first_and_last_index },
	{ "a lone item may have any index", a_lone_item_may_have_any_index },
	{ "a tag goes with its item", a_tag_goes_with_its_item },
	{ "growing keeps the tags below", growing_keeps_the_tags_below },
	{ "misuse is a BUG", misuse_is_a_bug },
	{ "radix_tree_check sees a flipped bit in any map",
	  the_check_sees_a_flipped_bit_in_any_map },
	{ "range tagging goes on where it stopped",
	  range_tagging_goes_on_where_it_stopped },
	{ "sparse trees are walked quickly", sparse_trees_are_walked_quickly },
	{ "a failed insertion leaves no trace",
	  a_failed_insertion_leaves_no_trace },
	{ "after radix_tree_preload an insertion cannot fail",
	  after_preload_an_insertion_cannot_fail },
	{ "radix_tree_preload counts for adjacent indices",
	  preload_counts_for_adjacent_indices },
	{ "a failed radix_tree_preload can be repeated",
	  a_failed_preload_can_be_repeated },
	{ "a thread that exits gives its nodes back",
	  a_thread_that_exits_gives_its_nodes_back },
	{ "dense keys match the model", dense_keys_match_the_model },
	{ "clustered keys match the model", clustered_keys_match_the_model },
	{ "sparse 64-bit keys match the model",
	  sparse_64_bit_keys_match_the_model },
	{ "readers never miss what stays", readers_never_miss_what_stays },
};

int main(void)
{
	return test_main("mm/radix-tree", cases, ARRAY_SIZE(cases));
}
