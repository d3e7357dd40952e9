// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_rbtree.c - mm/rbtree.c, and mm/interval_tree.c on top of it
 *
 *   things[]  what can be in the tree: a key, and a value for augmented trees
 *   in[]      the model: which are in it
 *
 * After each step the whole tree is compared with the model.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "mmap.h"
#include "vma.h"

#define NR_THINGS	200u

/* @max: the largest value in the subtree. */
struct thing {
	struct rb_node rb;
	unsigned int key, value, max;
};

static struct thing things[NR_THINGS];
static bool in[NR_THINGS];
static unsigned int nr_in;
static struct rb_root root;
static uint64_t rnd;

static struct thing *thing_of(struct rb_node *rb)
{
	return rb_entry(rb, struct thing, rb);
}

static unsigned int subtree_max(const struct thing *t)
{
	unsigned int v = t->value;

	if (t->rb.rb_left)
		v = max(v, thing_of(t->rb.rb_left)->max);
	if (t->rb.rb_right)
		v = max(v, thing_of(t->rb.rb_right)->max);
	return v;
}

static bool update_max(struct rb_node *rb)
{
	struct thing *t = thing_of(rb);
	unsigned int v = subtree_max(t);
	bool changed = v != t->max;

	t->max = v;
	return changed;
}

static void start(void)
{
	root = RB_ROOT;
	memset(in, 0, sizeof(in));
	nr_in = 0;
	rnd = test_seed();
}

/* Equal keys: the later one comes after. */
static void insert(unsigned int i, rb_update_t update)
{
	struct rb_node **link = &root.rb_node, *parent = NULL;
	struct thing *t = &things[i];

	while (*link) {
		parent = *link;
		link = t->key < thing_of(parent)->key ? &parent->rb_left :
							&parent->rb_right;
	}
	t->max = t->value;
	rb_link_node(&t->rb, parent, link);
	if (update)
		rb_insert_augmented(&t->rb, &root, update);
	else
		rb_insert_color(&t->rb, &root);
	in[i] = true;
	nr_in++;
}

static void erase(unsigned int i, rb_update_t update)
{
	if (update)
		rb_erase_augmented(&things[i].rb, &root, update);
	else
		rb_erase(&things[i].rb, &root);
	memset(&things[i].rb, 0xa5, sizeof(things[i].rb));
	in[i] = false;
	nr_in--;
}

/* Everything that is in, once, in order, from both ends. */
static bool tree_is_right(bool augmented)
{
	struct rb_node *rb, *prev = NULL;
	unsigned int nr = 0;

	if (rb_check(&root) != nr_in)
		return false;
	for (rb = rb_first(&root); rb; prev = rb, rb = rb_next(rb), nr++) {
		struct thing *t = thing_of(rb);

		if (!in[t - things] || rb_prev(rb) != prev)
			return false;
		if (prev && thing_of(prev)->key > t->key)
			return false;
		if (augmented && t->max != subtree_max(t))
			return false;
	}
	return nr == nr_in && rb_last(&root) == prev;
}

/* ---- red-black trees ---- */

static void empty_tree_has_no_nodes(void)
{
	start();
	CU_ASSERT(RB_EMPTY_ROOT(&root));
	CU_ASSERT_PTR_NULL(rb_first(&root));
	CU_ASSERT_PTR_NULL(rb_last(&root));
	CU_ASSERT_EQUAL(rb_check(&root), 0);
	things[0].key = 1;
	insert(0, NULL);
	CU_ASSERT(tree_is_right(false));
	erase(0, NULL);
	CU_ASSERT(RB_EMPTY_ROOT(&root));
}

/* The @n-th order of 0 .. @nr - 1. */
static void permutation(unsigned int n, unsigned int nr, unsigned int *order)
{
	for (unsigned int i = 0; i < nr; i++)
		order[i] = i;
	for (unsigned int i = nr; i > 1; n /= i, i--) {
		unsigned int j = n % i, swap = order[i - 1];

		order[i - 1] = order[j];
		order[j] = swap;
	}
}

static unsigned int factorial(unsigned int n)
{
	return n < 2 ? 1 : n * factorial(n - 1);
}

static void insert_in_order(const unsigned int *order, unsigned int nr)
{
	start();
	for (unsigned int i = 0; i < nr; i++) {
		things[order[i]].key = things[order[i]].value = order[i];
		insert(order[i], update_max);
	}
}

/* All shapes of small trees, and each way a node can be taken out of them. */
static void every_small_tree_loses_every_node(void)
{
	const unsigned int nr = 7;
	unsigned int order[7];
	bool ok = true;

	for (unsigned int n = 0; n < factorial(nr) && ok; n++) {
		permutation(n, nr, order);
		for (unsigned int victim = 0; victim < nr && ok; victim++) {
			insert_in_order(order, nr);
			ok = tree_is_right(true);
			erase(victim, update_max);
			ok = ok && tree_is_right(true);
		}
	}
	CU_ASSERT(ok);
}

static void every_order_of_insertion_and_removal(void)
{
	const unsigned int nr = 5;
	unsigned int first[5], last[5];
	bool ok = true;

	for (unsigned int n = 0; n < factorial(nr) * factorial(nr); n++) {
		permutation(n % factorial(nr), nr, first);
		permutation(n / factorial(nr), nr, last);
		insert_in_order(first, nr);
		for (unsigned int i = 0; i < nr && ok; i++) {
			erase(last[i], update_max);
			ok = tree_is_right(true);
		}
	}
	CU_ASSERT(ok);
}

static void sorted_input_gives_no_list(void)
{
	unsigned int depth = 0;

	start();
	for (unsigned int i = 0; i < NR_THINGS; i++) {
		things[i].key = i;
		insert(i, NULL);
		CU_ASSERT(tree_is_right(false));
	}
	for (struct rb_node *rb = &things[NR_THINGS - 1].rb; rb;
	     rb = rb_parent(rb))
		depth++;
	CU_ASSERT(depth <= 15);		/* 2 log2(201) = 15.3 */
	for (unsigned int i = 0; i < NR_THINGS; i++) {
		erase(i, NULL);
		CU_ASSERT(tree_is_right(false));
	}
}

/* Phases that fill and that empty, with many equal keys. */
static void random_steps(rb_update_t update, unsigned int nr_keys)
{
	bool ok = true;

	start();
	for (unsigned int step = 0; step < 4000 && ok; step++) {
		unsigned int i = test_rand(&rnd) % NR_THINGS;
		bool filling = step / 500 % 2 == 0;

		if (in[i] && (!filling || test_rand(&rnd) % 4 == 0)) {
			erase(i, update);
		} else if (!in[i] && (filling || test_rand(&rnd) % 4 == 0)) {
			things[i].key = test_rand(&rnd) % nr_keys;
			things[i].value = test_rand(&rnd) % 1000;
			insert(i, update);
		}
		ok = tree_is_right(update);
	}
	CU_ASSERT(ok);
}

static void random_steps_keep_order(void)
{
	random_steps(NULL, 1000000);
	random_steps(NULL, 20);
}

static void random_steps_keep_values(void)
{
	random_steps(update_max, 1000000);
	random_steps(update_max, 20);
}

static void check_tree(void *unused)
{
	(void)unused;
	rb_check(&root);
}

static void check_finds_what_is_wrong(void)
{
	struct rb_node *rb;

	start();
	insert(0, NULL);
	root.rb_node->rb_parent_color ^= 1;
	CU_ASSERT(dies(check_tree, NULL));	/* a red root */
	start();
	for (unsigned int i = 0; i < 20; i++) {
		things[i].key = i;
		insert(i, NULL);
	}
	CU_ASSERT_FALSE(dies(check_tree, NULL));
	rb = rb_first(&root);
	rb->rb_parent_color ^= 1;
	CU_ASSERT(dies(check_tree, NULL));	/* a path longer or shorter */
	rb->rb_parent_color ^= 1;
	rb->rb_parent_color += 2 * sizeof(*rb);
	CU_ASSERT(dies(check_tree, NULL));	/* another parent */
	rb->rb_parent_color -= 2 * sizeof(*rb);
	root.rb_node->rb_right = NULL;
	CU_ASSERT(dies(check_tree, NULL));	/* half of it is gone */
}

/* ---- interval trees ---- */

#define NR_VMAS		120u

static struct vm_area_struct vmas[NR_VMAS];

static void set_interval(struct vm_area_struct *vma, pgoff_t first, pgoff_t nr)
{
	vma->vm_pgoff = first;
	vma->vm_start = 0x10000;
	vma->vm_end = vma->vm_start + (nr << PAGE_SHIFT);
}

static bool intersects(const struct vm_area_struct *vma, pgoff_t start,
		       pgoff_t last)
{
	return vma->vm_pgoff <= last && vma_last_pgoff(vma) >= start;
}

/* Those the tree finds are those that intersect, each once, in order. */
static bool query_is_right(pgoff_t first, pgoff_t last)
{
	struct vm_area_struct *vma, *prev = NULL;
	unsigned int found = 0, expected = 0;

	vma_interval_tree_foreach(vma, &root, first, last) {
		if (!in[vma - vmas] || !intersects(vma, first, last))
			return false;
		if (prev && prev->vm_pgoff > vma->vm_pgoff)
			return false;
		if (++found > NR_VMAS)
			return false;
		prev = vma;
	}
	for (unsigned int i = 0; i < NR_VMAS; i++)
		expected += in[i] && intersects(&vmas[i], first, last);
	return found == expected;
}

static void interval_queries_find_all_and_no_more(void)
{
	bool ok = true;

	start();
	for (unsigned int step = 0; step < 5000 && ok; step++) {
		unsigned int i = test_rand(&rnd) % NR_VMAS;
		pgoff_t first = test_rand(&rnd) % 1000;

		if (in[i]) {
			vma_interval_tree_remove(&vmas[i], &root);
			nr_in--;
		} else {
			/* Some long, most short, some the same. */
			set_interval(&vmas[i], test_rand(&rnd) % 50 * 20,
				     1 + test_rand(&rnd) %
				     (test_rand(&rnd) % 8 ? 15 : 700));
			vma_interval_tree_insert(&vmas[i], &root);
			nr_in++;
		}
		in[i] = !in[i];
		ok = vma_interval_tree_check(&root) == nr_in &&
		     query_is_right(first, first) &&
		     query_is_right(first, first + test_rand(&rnd) % 100) &&
		     query_is_right(0, (pgoff_t)-1) &&
		     query_is_right(5000, 6000);
	}
	CU_ASSERT(ok);
}

static void intervals_touch_at_their_ends(void)
{
	start();
	set_interval(&vmas[0], 10, 10);		/* 10 .. 19 */
	vma_interval_tree_insert(&vmas[0], &root);
	CU_ASSERT_PTR_NULL(vma_interval_tree_iter_first(&root, 0, 9));
	CU_ASSERT_PTR_EQUAL(vma_interval_tree_iter_first(&root, 0, 10),
			    &vmas[0]);
	CU_ASSERT_PTR_EQUAL(vma_interval_tree_iter_first(&root, 19, 19),
			    &vmas[0]);
	CU_ASSERT_PTR_NULL(vma_interval_tree_iter_first(&root, 20, 100));
	CU_ASSERT_PTR_NULL(vma_interval_tree_iter_next(&vmas[0], 0, 100));
	vma_interval_tree_remove(&vmas[0], &root);
	CU_ASSERT_PTR_NULL(vma_interval_tree_iter_first(&root, 0,
							(pgoff_t)-1));
}

static const struct test_case cases[] = {
	{ "an empty tree has no nodes", empty_tree_has_no_nodes },
	{ "every small tree loses every node",
	  every_small_tree_loses_every_node },
	{ "every order of insertion and of removal",
	  every_order_of_insertion_and_removal },
	{ "sorted input gives no list", sorted_input_gives_no_list },
	{ "random steps keep order and balance", random_steps_keep_order },
	{ "random steps keep what subtrees sum up", random_steps_keep_values },
	{ "rb_check finds what is wrong", check_finds_what_is_wrong },
	{ "interval queries find all and no more",
	  interval_queries_find_all_and_no_more },
	{ "intervals touch at their ends", intervals_touch_at_their_ends },
};

int main(void)
{
	return test_main("mm/rbtree", cases, ARRAY_SIZE(cases));
}
