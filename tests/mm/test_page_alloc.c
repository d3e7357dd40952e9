// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_page_alloc.c - mm/page_alloc.c, buddy.c, pcp.c, mmzone.c
 *
 *   cases --> alloc_frames() --> try_to_free_pages()	a fake, below
 *
 * Reclaim is faked: the two functions mm/vmscan.c would supply are defined
 * here, so the linker leaves that object in libmm.a. The fake gives back one
 * frame of hoard[] a call.
 *
 * The arena is shared memory and a forked child shares it, so what is to die
 * in dies() sets up an arena of its own; every such case has a control that
 * does the same without the fault and must live.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "churn.h"
#include "harness.h"
#include "internal.h"
#include "vmstat.h"

#define ARENA	(32 * SZ_1M)

static pfn_t hoard[65536];
static unsigned int nr_hoard;
static unsigned int nr_reclaims, nr_wakeups;	/* single-threaded cases only */
static bool reclaim_works, reclaim_lies;

unsigned long try_to_free_pages(gfp_t gfp, unsigned int order,
				enum zone_type highest)
{
	(void)gfp, (void)order, (void)highest;
	__atomic_fetch_add(&nr_reclaims, 1, __ATOMIC_RELAXED);
	if (reclaim_lies)
		return 1;
	if (!reclaim_works || !nr_hoard)
		return 0;
	free_frames(hoard[--nr_hoard], 0);
	return 1;
}

void wakeup_kswapd(pg_data_t *pgdat)
{
	(void)pgdat;
	__atomic_fetch_add(&nr_wakeups, 1, __ATOMIC_RELAXED);
}

static void setup(size_t bytes, int nr_nodes)
{
	reclaim_works = reclaim_lies = false;
	nr_hoard = nr_reclaims = nr_wakeups = 0;
	BUG_ON(page_alloc_init(bytes, nr_nodes));
	vmstat_init();
}

/* Everything was given back and merged. */
static void teardown(void)
{
	CU_ASSERT_EQUAL(nr_free_frames(), totalram_frames());
	drain_all_frames();
	page_alloc_check();
	CU_ASSERT_EQUAL(pcp_nr_frames(), 0);
	page_alloc_exit();
}

static void hoard_all(gfp_t gfp)
{
	pfn_t pfn;

	while ((pfn = alloc_frames(gfp, 0)) != PFN_NONE)
		hoard[nr_hoard++] = pfn;
}

static void hoard_free(void)
{
	while (nr_hoard)
		free_frames(hoard[--nr_hoard], 0);
}

static struct zone *zone0(enum zone_type type)
{
	return &NODE_DATA(0)->zones[type];
}

static void bad_arguments_are_refused(void)
{
	CU_ASSERT_EQUAL(page_alloc_init(8 * SZ_1M - 1, 1), -EINVAL);
	CU_ASSERT_EQUAL(page_alloc_init(0, 1), -EINVAL);
	CU_ASSERT_EQUAL(page_alloc_init(ARENA, 0), -EINVAL);
	CU_ASSERT_EQUAL(page_alloc_init(ARENA, -1), -EINVAL);
	CU_ASSERT_EQUAL(page_alloc_init(ARENA, MAX_NUMNODES + 1), -EINVAL);
	CU_ASSERT_EQUAL(page_alloc_init(16UL << 40, 1), -EINVAL);
}

static void init_exit_once(size_t bytes, int nr_nodes)
{
	unsigned long spanned = 0;
	struct zone *zone;
	pfn_t pfn;

	setup(bytes, nr_nodes);
	CU_ASSERT_EQUAL(arena_bytes(), bytes & PAGE_MASK);
	CU_ASSERT_TRUE(arena_fd() >= 0);
	for_each_zone(zone) {
		spanned += zone->spanned;
		CU_ASSERT_TRUE(zone->spanned > 0);
		CU_ASSERT_TRUE(zone->watermark[WMARK_MIN] > 0);
		CU_ASSERT_TRUE(zone->watermark[WMARK_MIN] <
			       zone->watermark[WMARK_LOW]);
		CU_ASSERT_TRUE(zone->watermark[WMARK_LOW] <
			       zone->watermark[WMARK_HIGH]);
		CU_ASSERT_TRUE(zone->watermark[WMARK_MIN] <= zone->spanned / 16);
		CU_ASSERT_PTR_EQUAL(pfn_to_zone(zone->start_pfn), zone);
		CU_ASSERT_PTR_EQUAL(pfn_to_zone(zone->start_pfn +
					(pfn_t)zone->spanned - 1), zone);
	}
	CU_ASSERT_EQUAL(spanned, totalram_frames());
	CU_ASSERT_TRUE(totalram_frames() > bytes / PAGE_SIZE * 99 / 100);
	pfn = alloc_frames(GFP_USER, 0);	/* leaves a thread list behind */
	CU_ASSERT_NOT_EQUAL(pfn, PFN_NONE);
	free_frames(pfn, 0);
	teardown();
}

static void arenas_of_many_shapes(void)
{
	for (int nr_nodes = 1; nr_nodes <= MAX_NUMNODES; nr_nodes++) {
		init_exit_once(8 * SZ_1M, nr_nodes);
		init_exit_once(8 * SZ_1M + 5 * PAGE_SIZE + 17, nr_nodes);
		init_exit_once(ARENA + 3 * SZ_1M, nr_nodes);
	}
	init_exit_once(256 * SZ_1M, 2);
}

static void big_zones_begin_at_big_blocks(void)
{
	struct zone *zone;

	setup(256 * SZ_1M, 2);
	for_each_zone(zone)
		if (zone != zone0(ZONE_NORMAL))
			CU_ASSERT_TRUE(IS_ALIGNED(zone->start_pfn,
						  1U << MAX_ORDER));
	CU_ASSERT_TRUE(zone0(ZONE_MOVABLE)->spanned * 3 / 5 + 1024 >=
		       zone0(ZONE_NORMAL)->spanned);
	teardown();
}

/*
 * The model: who owns each frame, and which blocks are out. A block's frames
 * carry its number at both ends.
 */
struct block {
	pfn_t pfn;
	unsigned int order;
	unsigned int id;
};

struct model {
	uint64_t rand;
	unsigned int owner[ARENA / PAGE_SIZE];
	struct block blocks[ARENA / PAGE_SIZE];
	unsigned int nr_blocks;
	unsigned long nr_out;		/* frames */
	unsigned int next_id;
};

static struct model model;

static void model_add(struct model *m, pfn_t pfn, unsigned int order)
{
	unsigned int id = ++m->next_id;

	for (pfn_t i = pfn; i < pfn + (1U << order); i++) {
		unsigned int *bytes = pfn_to_virt(i);

		CU_ASSERT_EQUAL(m->owner[i], 0);
		m->owner[i] = id;
		bytes[0] = bytes[PAGE_SIZE / sizeof(int) - 1] = id;
	}
	m->blocks[m->nr_blocks++] = (struct block){ pfn, order, id };
	m->nr_out += 1UL << order;
}

static struct block model_del(struct model *m)
{
	unsigned int k = (unsigned int)(test_rand(&m->rand) % m->nr_blocks);
	struct block b = m->blocks[k];

	m->blocks[k] = m->blocks[--m->nr_blocks];
	for (pfn_t i = b.pfn; i < b.pfn + (1U << b.order); i++) {
		unsigned int *bytes = pfn_to_virt(i);

		CU_ASSERT_EQUAL(m->owner[i], b.id);
		CU_ASSERT_EQUAL(bytes[0], b.id);
		CU_ASSERT_EQUAL(bytes[PAGE_SIZE / sizeof(int) - 1], b.id);
		m->owner[i] = 0;
	}
	m->nr_out -= 1UL << b.order;
	return b;
}

static void model_alloc(struct model *m)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_ATOMIC, GFP_READAHEAD,
				      GFP_USER, GFP_KERNEL, __GFP_MEMALLOC };
	gfp_t gfp = gfps[test_rand(&m->rand) % ARRAY_SIZE(gfps)];
	unsigned int order = (unsigned int)(test_rand(&m->rand) % 3 ? 0 :
			     test_rand(&m->rand) % (MAX_ORDER + 1));
	pfn_t pfn = alloc_frames(gfp, order);

	if (pfn == PFN_NONE)
		return;
	CU_ASSERT_TRUE(IS_ALIGNED(pfn, 1U << order));
	if (!(gfp & __GFP_MOVABLE))
		CU_ASSERT_EQUAL(pfn_to_zone(pfn)->type, ZONE_NORMAL);
	model_add(m, pfn, order);
}

static void model_bulk(struct model *m)
{
	unsigned int want = (unsigned int)(test_rand(&m->rand) % 200);
	pfn_t pfns[200];
	unsigned int got = alloc_frames_bulk(GFP_READAHEAD, want, pfns);

	CU_ASSERT_TRUE(got <= want);
	for (unsigned int i = 0; i < got; i++)
		model_add(m, pfns[i], 0);
}

/* Half of a block, the upper one, becomes another. */
static void model_split(struct model *m)
{
	struct block *b = &m->blocks[test_rand(&m->rand) % m->nr_blocks];
	struct block upper;
	pfn_t end;

	if (!b->order)
		return;
	split_frames(b->pfn, b->order--);
	upper = (struct block){ b->pfn + (1U << b->order), b->order, 0 };
	end = upper.pfn + (1U << upper.order);
	for (pfn_t i = upper.pfn; i < end; i++)
		m->owner[i] = 0;
	m->nr_out -= 1UL << upper.order;
	model_add(m, upper.pfn, upper.order);
}

static void model_step(struct model *m)
{
	/* Tides: mostly taking for a while, then mostly giving back. */
	unsigned int tide = m->next_id / 4096 % 2 ? 30 : 65;
	unsigned int dice = (unsigned int)(test_rand(&m->rand) % 100);

	if (dice < tide || !m->nr_blocks) {
		model_alloc(m);
	} else if (dice == 99) {
		model_bulk(m);
	} else if (dice == 98) {
		drain_all_frames();
	} else if (dice >= 90) {
		model_split(m);
	} else {
		struct block b = model_del(m);

		free_frames(b.pfn, b.order);
	}
}

static void random_run(int nr_nodes, unsigned int steps)
{
	static char before[4096], after[4096];
	struct model *m = &model;

	setup(ARENA, nr_nodes);
	memset(m, 0, sizeof(*m));
	m->rand = test_seed();
	buddyinfo_show(before, sizeof(before));
	for (unsigned int i = 0; i < steps; i++) {
		model_step(m);
		CU_ASSERT_EQUAL(nr_free_frames(),
				totalram_frames() - m->nr_out);
		if (i % 64 == 0)
			page_alloc_check();
	}
	while (m->nr_blocks) {
		struct block b = model_del(m);

		free_frames(b.pfn, b.order);
	}
	drain_all_frames();
	buddyinfo_show(after, sizeof(after));
	CU_ASSERT_STRING_EQUAL(before, after);
	CU_ASSERT_EQUAL(vm_event(PGALLOC), vm_event(PGFREE));
	teardown();
}

static void random_run_agrees_with_model(void)
{
	random_run(1, 30000);
	random_run(3, 10000);
}

/* Frames change hands through here: allocated by one thread, freed by another. */
static pfn_t exchange[512];

static void *churn(void *arg)
{
	uint64_t rand = (uintptr_t)arg;
	unsigned long bad = 0;

	for (unsigned int i = 0; i < 40000; i++) {
		pfn_t *slot = &exchange[test_rand(&rand) % ARRAY_SIZE(exchange)];
		gfp_t gfp = test_rand(&rand) % 2 ? GFP_READAHEAD : GFP_NOWAIT;
		pfn_t pfn = test_rand(&rand) % 2 ? alloc_frames(gfp, 0) :
						   PFN_NONE;

		if (pfn != PFN_NONE)
			*(uint64_t *)pfn_to_virt(pfn) = pfn;
		pfn = __atomic_exchange_n(slot, pfn, __ATOMIC_ACQ_REL);
		if (pfn == PFN_NONE)
			continue;
		bad += *(uint64_t *)pfn_to_virt(pfn) != pfn;
		free_frames(pfn, 0);
		if (i % 256 == 0) {
			pfn = alloc_frames(GFP_NOWAIT, 3);
			if (pfn != PFN_NONE)
				free_frames(pfn, 3);
		}
	}
	return (void *)bad;
}

static void drain_and_check(void)
{
	drain_all_frames();
	page_alloc_check();
	nr_free_frames();
}

static void threads_leave_nothing_behind(void)
{
	setup(8 * SZ_1M, 2);
	for (size_t i = 0; i < ARRAY_SIZE(exchange); i++)
		exchange[i] = PFN_NONE;
	churn_run(churn, drain_and_check);
	for (size_t i = 0; i < ARRAY_SIZE(exchange); i++)
		if (exchange[i] != PFN_NONE)
			free_frames(exchange[i], 0);
	CU_ASSERT_EQUAL(vm_event(PGALLOC), vm_event(PGFREE));
	teardown();
}

static void *use_and_exit(void *unused)
{
	pfn_t pfns[40];

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = alloc_frames(GFP_USER, 0);
	for (size_t i = 0; i < ARRAY_SIZE(pfns); i++)
		free_frames(pfns[i], 0);
	return (void *)pcp_nr_frames();
}

static void exiting_thread_gives_its_list_back(void)
{
	pthread_t thread;
	void *listed;

	setup(ARENA, 1);
	drain_all_frames();
	BUG_ON(pthread_create(&thread, NULL, use_and_exit, NULL));
	pthread_join(thread, &listed);
	CU_ASSERT_TRUE((unsigned long)listed > 0);
	CU_ASSERT_EQUAL(pcp_nr_frames(), 0);
	teardown();
}

static unsigned int late_runs;

static void late_use(void)
{
	pfn_t pfn = alloc_frames(GFP_USER, 0);

	if (pfn != PFN_NONE)
		free_frames(pfn, 0);
	count_vm_events(PGROTATED, 1);
	late_runs++;
}

static void late_destructors_may_allocate(void)
{
	setup(ARENA, 1);
	drain_all_frames();
	late_runs = 0;
	run_late(use_and_exit, late_use);
	CU_ASSERT_EQUAL(late_runs, LATE_ROUNDS);
	CU_ASSERT_EQUAL(vm_event(PGROTATED), 3);
	CU_ASSERT_EQUAL(pcp_nr_frames(), 0);
	teardown();
}

static void requests_stop_at_their_watermark(void)
{
	struct zone *zone;
	unsigned int saved;

	setup(ARENA, 1);
	zone = zone0(ZONE_NORMAL);
	hoard_all(GFP_NOWAIT);
	CU_ASSERT_TRUE(nr_wakeups > 0);
	CU_ASSERT_EQUAL(zone_free_frames(zone), zone->watermark[WMARK_MIN]);
	hoard_all(GFP_ATOMIC);
	CU_ASSERT_EQUAL(zone_free_frames(zone), zone->watermark[WMARK_MIN] / 2);
	saved = memalloc_save();
	CU_ASSERT_TRUE(in_memalloc());
	hoard[nr_hoard] = alloc_frames(GFP_KERNEL, 0);
	CU_ASSERT_NOT_EQUAL(hoard[nr_hoard++], PFN_NONE);
	memalloc_restore(saved);
	CU_ASSERT_FALSE(in_memalloc());
	hoard_all(__GFP_MEMALLOC);
	CU_ASSERT_EQUAL(zone_free_frames(zone), 0);
	CU_ASSERT_EQUAL(nr_reclaims, 0);
	CU_ASSERT_EQUAL(vm_event(PGALLOC_FAIL), 3);
	hoard_free();
	teardown();
}

static void movable_falls_back_and_leaves_the_reserve(void)
{
	struct zone *normal, *movable;

	setup(ARENA, 1);
	normal = zone0(ZONE_NORMAL);
	movable = zone0(ZONE_MOVABLE);
	for (unsigned int i = 0; i < 1000; i++) {
		hoard[nr_hoard] = alloc_frames(GFP_READAHEAD, 0);
		CU_ASSERT_PTR_EQUAL(pfn_to_zone(hoard[nr_hoard++]), movable);
	}
	hoard_all(GFP_READAHEAD);
	CU_ASSERT_EQUAL(zone_free_frames(movable),
			movable->watermark[WMARK_MIN]);
	CU_ASSERT_EQUAL(zone_free_frames(normal),
			normal->watermark[WMARK_MIN] + normal->lowmem_reserve);
	CU_ASSERT_TRUE(normal->lowmem_reserve >= normal->spanned / 16);
	hoard[nr_hoard] = alloc_frames(GFP_NOWAIT, 0);	/* the reserve's owner */
	CU_ASSERT_NOT_EQUAL(hoard[nr_hoard++], PFN_NONE);
	hoard_free();
	teardown();
}

static void *one_frame_node(void *unused)
{
	pfn_t pfn = alloc_frames(GFP_USER, 0);
	int nid = pfn_to_pgdat(pfn)->node_id;

	(void)unused;
	free_frames(pfn, 0);
	return (void *)(uintptr_t)(1U << nid);
}

static void threads_spread_over_nodes(void)
{
	uintptr_t seen = 0;

	setup(ARENA, 4);
	for (int i = 0; i < 4; i++) {
		pthread_t thread;
		void *node;

		BUG_ON(pthread_create(&thread, NULL, one_frame_node, NULL));
		pthread_join(thread, &node);
		seen |= (uintptr_t)node;
	}
	CU_ASSERT_EQUAL(seen, 0xf);
	teardown();
}

static void other_nodes_help_out(void)
{
	unsigned long changes = 0, seen = 0;
	struct zone *zone;

	setup(ARENA, 4);
	hoard_all(GFP_READAHEAD);
	for (unsigned int i = 0; i < nr_hoard; i++) {
		seen |= 1UL << zone_idx(pfn_to_zone(hoard[i]));
		changes += i && pfn_to_zone(hoard[i]) !=
				pfn_to_zone(hoard[i - 1]);
	}
	CU_ASSERT_EQUAL(seen, 0xff);
	/* Zone after zone down to low, then to min, then lists: no hopping. */
	CU_ASSERT_TRUE(changes < 32);
	for_each_zone(zone)
		CU_ASSERT_EQUAL(zone_free_frames(zone),
				zone->watermark[WMARK_MIN] +
				zone->lowmem_reserve);
	hoard_free();
	teardown();
}

static void bulk_frames_come_in_runs(void)
{
	pfn_t pfns[1024];
	unsigned int runs = 1, got;

	setup(ARENA, 1);
	got = alloc_frames_bulk(GFP_USER, 1000, pfns);
	CU_ASSERT_EQUAL(got, 1000);
	for (unsigned int i = 1; i < got; i++)
		runs += pfns[i] != pfns[i - 1] + 1;
	CU_ASSERT_TRUE(runs <= 10);
	for (unsigned int i = 0; i < got; i++)
		free_frames(pfns[i], 0);
	CU_ASSERT_EQUAL(alloc_frames_bulk(GFP_USER, 0, pfns), 0);
	teardown();
}

/* Holes of one frame everywhere, and one free run: the run is preferred. */
static void bulk_finds_the_run_among_holes(void)
{
	unsigned int kept = 0, runs = 1, got;
	pfn_t pfns[512], start, end;

	setup(ARENA, 1);
	hoard_all(GFP_READAHEAD);
	start = ALIGN(zone0(ZONE_MOVABLE)->start_pfn, 1U << MAX_ORDER);
	end = start + (1U << MAX_ORDER);
	for (unsigned int i = 0; i < nr_hoard; i++) {
		pfn_t pfn = hoard[i];

		if ((pfn >= start && pfn < end) || pfn % 2)
			free_frames(pfn, 0);
		else
			hoard[kept++] = pfn;
	}
	nr_hoard = kept;
	drain_all_frames();
	got = alloc_frames_bulk(GFP_READAHEAD, 512, pfns);
	CU_ASSERT_EQUAL(got, 512);
	for (unsigned int i = 1; i < got; i++)
		runs += pfns[i] != pfns[i - 1] + 1;
	CU_ASSERT_EQUAL(runs, 1);
	for (unsigned int i = 0; i < got; i++)
		free_frames(pfns[i], 0);
	hoard_free();
	teardown();
}

static void bulk_takes_what_there_is(void)
{
	unsigned long low = 0, total = 0;
	pfn_t pfns[1024];
	struct zone *zone;
	unsigned int got;

	setup(8 * SZ_1M, 1);
	do {
		got = alloc_frames_bulk(GFP_READAHEAD | __GFP_ZERO, 1024, pfns);
		memcpy(hoard + nr_hoard, pfns, got * sizeof(pfns[0]));
		nr_hoard += got;
		total += got;
	} while (got);
	for_each_zone(zone)
		low += zone->watermark[WMARK_MIN] + zone->lowmem_reserve;
	CU_ASSERT_EQUAL(total, totalram_frames() - low);
	/* With reclaim the rest is waited for. */
	reclaim_works = true;
	CU_ASSERT_EQUAL(alloc_frames_bulk(GFP_USER, 7, pfns), 7);
	for (unsigned int i = 0; i < 7; i++)
		hoard[nr_hoard++] = pfns[i];
	hoard_free();
	teardown();
}

static void reclaim_gives_up_after_16_rounds(void)
{
	setup(8 * SZ_1M, 1);
	hoard_all(GFP_NOWAIT);
	CU_ASSERT_EQUAL(alloc_frames(GFP_KERNEL, 0), PFN_NONE);
	CU_ASSERT_EQUAL(nr_reclaims, 16);
	nr_reclaims = 0;
	CU_ASSERT_EQUAL(alloc_frames(GFP_KERNEL | __GFP_NORETRY, 0), PFN_NONE);
	CU_ASSERT_EQUAL(nr_reclaims, 1);
	/* Reclaim does not make blocks: progress must not mean for ever. */
	nr_reclaims = 0;
	reclaim_lies = true;
	CU_ASSERT_EQUAL(alloc_frames(GFP_KERNEL, 5), PFN_NONE);
	CU_ASSERT_EQUAL(nr_reclaims, 16);
	hoard_free();
	teardown();
}

static void reclaim_feeds_the_allocation(void)
{
	pfn_t pfn;

	setup(8 * SZ_1M, 1);
	hoard_all(GFP_NOWAIT);
	reclaim_works = true;
	for (unsigned int i = 0; i < 100; i++) {
		pfn = alloc_frames(GFP_KERNEL, 0);
		CU_ASSERT_NOT_EQUAL(pfn, PFN_NONE);
		memmove(hoard + 1, hoard, nr_hoard * sizeof(hoard[0]));
		hoard[0] = pfn;
		nr_hoard++;
	}
	CU_ASSERT_TRUE(nr_reclaims >= 50 && nr_reclaims <= 200);
	hoard_free();
	teardown();
}

struct idle {
	pthread_barrier_t filled, checked;
};

static void *idle_with_a_list(void *arg)
{
	struct idle *idle = arg;

	use_and_exit(NULL);
	pthread_barrier_wait(&idle->filled);
	pthread_barrier_wait(&idle->checked);
	return NULL;
}

static void idle_lists_are_taken_before_failing(void)
{
	unsigned long low = 0;
	struct zone *zone;
	struct idle idle;
	pthread_t thread;

	setup(ARENA, 1);
	pthread_barrier_init(&idle.filled, NULL, 2);
	pthread_barrier_init(&idle.checked, NULL, 2);
	BUG_ON(pthread_create(&thread, NULL, idle_with_a_list, &idle));
	pthread_barrier_wait(&idle.filled);
	CU_ASSERT_TRUE(pcp_nr_frames() > 0);
	hoard_all(GFP_READAHEAD);
	CU_ASSERT_EQUAL(pcp_nr_frames(), 0);
	for_each_zone(zone)
		low += zone->watermark[WMARK_MIN] + zone->lowmem_reserve;
	CU_ASSERT_EQUAL(nr_free_frames(), low);
	pthread_barrier_wait(&idle.checked);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&idle.filled);
	pthread_barrier_destroy(&idle.checked);
	hoard_free();
	teardown();
}

static void the_nth_allocation_fails(void)
{
	pfn_t a, b, pfns[4];

	setup(ARENA, 1);
	fail_page_alloc(2, false);
	a = alloc_frames(GFP_KERNEL, 0);
	CU_ASSERT_NOT_EQUAL(a, PFN_NONE);
	CU_ASSERT_EQUAL(alloc_frames(GFP_KERNEL, 0), PFN_NONE);
	b = alloc_frames(GFP_KERNEL, 0);
	CU_ASSERT_NOT_EQUAL(b, PFN_NONE);
	free_frames(b, 0);
	fail_page_alloc(1, true);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(alloc_frames(GFP_KERNEL, 0), PFN_NONE);
	CU_ASSERT_EQUAL(alloc_frames_bulk(GFP_KERNEL, 4, pfns), 0);
	CU_ASSERT_EQUAL(vm_event(PGALLOC_FAIL), 5);
	fail_page_alloc(0, false);
	b = alloc_frames(GFP_KERNEL, 0);
	CU_ASSERT_NOT_EQUAL(b, PFN_NONE);
	free_frames(b, 0);
	free_frames(a, 0);
	teardown();
}

static void zeroed_frames_are_zero(void)
{
	static const char zeros[PAGE_SIZE];

	setup(ARENA, 1);
	for (unsigned int i = 0; i < 200; i++) {
		pfn_t pfn = alloc_frames(GFP_USER | __GFP_ZERO, i % 3);

		for (pfn_t k = 0; k < 1U << i % 3; k++) {
			CU_ASSERT_EQUAL(memcmp(pfn_to_virt(pfn + k), zeros,
					       PAGE_SIZE), 0);
			memset(pfn_to_virt(pfn + k), 0x5a, PAGE_SIZE);
		}
		free_frames(pfn, i % 3);
	}
	teardown();
}

enum misuse {
	CORRECT_USE,
	SPLIT_TOO_MUCH,
	SPLIT_ONE,
	FREE_TWICE,
	FREE_BLOCK_TWICE,
	FREE_TOO_MUCH,
	FREE_TOO_LITTLE,
	FREE_THE_MIDDLE,
	FREE_THE_TABLE,
	FREE_BEYOND_THE_END,
	FREE_AFTER_DRAIN,
	NR_MISUSES,
};

/* Done with the wrong free itself, before anything else could notice. */
static void wrong_free(pfn_t pfn, unsigned int order)
{
	free_frames(pfn, order);
	_exit(0);
}

static void wrong_split(pfn_t pfn, unsigned int order)
{
	split_frames(pfn, order);
	_exit(0);
}

static void misuse(void *arg)
{
	enum misuse kind = *(enum misuse *)arg;
	pfn_t one, four;

	setup(ARENA, 1);
	one = alloc_frames(GFP_USER, 0);
	four = alloc_frames(GFP_USER, 2);
	if (kind == SPLIT_TOO_MUCH)
		wrong_split(four, 3);
	if (kind == SPLIT_ONE)
		wrong_split(one, 0);
	if (kind == FREE_TOO_MUCH)
		wrong_free(one, 1);
	if (kind == FREE_TOO_LITTLE)
		wrong_free(four, 0);
	if (kind == FREE_THE_MIDDLE)
		wrong_free(four + 1, 0);
	if (kind == FREE_THE_TABLE)
		wrong_free(0, 0);
	if (kind == FREE_BEYOND_THE_END)
		wrong_free(ARENA / PAGE_SIZE, 0);
	free_frames(one, 0);
	free_frames(four, 2);
	if (kind == FREE_TWICE)
		wrong_free(one, 0);
	if (kind == FREE_BLOCK_TWICE)
		wrong_free(four, 2);
	drain_all_frames();
	if (kind == FREE_AFTER_DRAIN)
		wrong_free(one, 0);
	page_alloc_check();
	page_alloc_exit();
}

static void wrong_frees_die(void)
{
	for (enum misuse kind = CORRECT_USE; kind < NR_MISUSES; kind++)
		CU_ASSERT_EQUAL(dies(misuse, &kind), kind != CORRECT_USE);
}

#ifdef PAGEFS_DEBUG
/* As a device would: not seen by AddressSanitizer. */
static void __attribute__((no_sanitize("address"), noinline))
stray_write(char *p)
{
	*p ^= 1;
}

static void use_after_free(void *arg)
{
	const size_t *where = arg;
	pfn_t pfn;

	setup(ARENA, 1);
	pfn = alloc_frames(GFP_USER, 0);
	free_frames(pfn, 0);
	if (where)
		stray_write((char *)pfn_to_virt(pfn) + *where);
	alloc_frames(GFP_USER, 0);	/* the last freed comes first */
}

static void writes_to_free_frames_die(void)
{
	size_t where[] = { 0, 1, 2048, PAGE_SIZE - 1 };

	CU_ASSERT_FALSE(dies(use_after_free, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(where); i++)
		CU_ASSERT_TRUE(dies(use_after_free, &where[i]));
}

struct locked {
	enum lock_rank rank;
	gfp_t gfp;
	bool memalloc;
};

static void alloc_locked(void *arg)
{
	struct locked *l = arg;
	struct mutex lock;

	setup(ARENA, 1);
	mutex_init(&lock, l->rank);
	if (l->memalloc)
		memalloc_save();
	mutex_lock(&lock);
	alloc_frames(l->gfp, 0);
	mutex_unlock(&lock);
}

static void reclaim_under_inner_locks_dies(void)
{
	struct locked outer = { LOCK_INVALIDATE, GFP_KERNEL, false };
	struct locked inner = { LOCK_TREE, GFP_KERNEL, false };
	struct locked nowait = { LOCK_TREE, GFP_NOWAIT, false };
	struct locked memalloc = { LOCK_TREE, GFP_KERNEL, true };

	CU_ASSERT_FALSE(dies(alloc_locked, &outer));
	CU_ASSERT_TRUE(dies(alloc_locked, &inner));
	CU_ASSERT_FALSE(dies(alloc_locked, &nowait));
	CU_ASSERT_FALSE(dies(alloc_locked, &memalloc));
}
#else
static void writes_to_free_frames_die(void)
{
	test_skip("needs --enable-debug");
}

static void reclaim_under_inner_locks_dies(void)
{
	test_skip("needs --enable-debug");
}
#endif

static void corrupt_table(void *arg)
{
	pfn_t pfn;

	setup(ARENA, 1);
	pfn = alloc_frames(GFP_USER, 4);
	if (arg)
		frame_set(pfn + 3, FRAME_ALLOC, 0);
	page_alloc_check();
}

static void the_check_finds_a_broken_table(void)
{
	CU_ASSERT_FALSE(dies(corrupt_table, NULL));
	CU_ASSERT_TRUE(dies(corrupt_table, &model));
}

/* Frames in one line of buddyinfo. */
static unsigned long buddyinfo_line(const char *line)
{
	unsigned long sum = 0, blocks[MAX_ORDER + 1];
	char zone[16];
	int nid, pos;

	CU_ASSERT_EQUAL(sscanf(line, "Node %d, zone %15s%n", &nid, zone, &pos),
			2);
	for (int o = 0; o <= MAX_ORDER; o++) {
		int used;

		CU_ASSERT_EQUAL(sscanf(line + pos, "%lu%n", &blocks[o], &used),
				1);
		pos += used;
		sum += blocks[o] << o;
	}
	CU_ASSERT_STRING_EQUAL(line + pos, " ");
	return sum;
}

static void buddyinfo_adds_up(void)
{
	char buf[4096], *save, *line;
	unsigned long sum = 0;
	size_t len;

	setup(ARENA, 2);
	len = buddyinfo_show(buf, sizeof(buf));
	CU_ASSERT_EQUAL(len, strlen(buf));
	CU_ASSERT_EQUAL(strncmp(buf, "Node 0, zone   Normal ", 22), 0);
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		sum += buddyinfo_line(line);
	CU_ASSERT_EQUAL(sum, totalram_frames());
	teardown();
}

static void texts_fit_any_buffer(void)
{
	size_t (*const shows[])(char *, size_t) = {
		buddyinfo_show, zoneinfo_show, vmstat_show, meminfo_show,
	};
	static char buf[8192];

	setup(ARENA, MAX_NUMNODES);
	for (size_t i = 0; i < ARRAY_SIZE(shows); i++) {
		for (size_t size = 0; size < 250; size++) {
			memset(buf, 'x', sizeof(buf));
			CU_ASSERT_EQUAL(shows[i](buf, size),
					size ? size - 1 : 0);
			CU_ASSERT_EQUAL(buf[size], 'x');
		}
		CU_ASSERT_TRUE(shows[i](buf, sizeof(buf)) < sizeof(buf) - 1);
	}
	teardown();
}

static const struct test_case cases[] = {
	{ "bad arguments are refused", bad_arguments_are_refused },
	{ "arenas of many shapes come up and go", arenas_of_many_shapes },
	{ "big zones begin at big blocks", big_zones_begin_at_big_blocks },
	{ "a random run agrees with a model", random_run_agrees_with_model },
	{ "threads leave nothing behind", threads_leave_nothing_behind },
	{ "an exiting thread gives its list back",
	  exiting_thread_gives_its_list_back },
	{ "late thread destructors may allocate and free",
	  late_destructors_may_allocate },
	{ "requests stop at the watermark they are entitled to",
	  requests_stop_at_their_watermark },
	{ "movable requests fall back and leave the reserve",
	  movable_falls_back_and_leaves_the_reserve },
	{ "threads spread over fake nodes", threads_spread_over_nodes },
	{ "other nodes help out, one after the other", other_nodes_help_out },
	{ "bulk frames come in runs", bulk_frames_come_in_runs },
	{ "bulk finds the run among holes", bulk_finds_the_run_among_holes },
	{ "bulk takes what there is", bulk_takes_what_there_is },
	{ "reclaim gives up after 16 rounds without progress",
	  reclaim_gives_up_after_16_rounds },
	{ "reclaim feeds the allocation", reclaim_feeds_the_allocation },
	{ "idle threads' lists are taken before failing",
	  idle_lists_are_taken_before_failing },
	{ "the nth allocation fails when told to", the_nth_allocation_fails },
	{ "zeroed frames are zero", zeroed_frames_are_zero },
	{ "wrong frees die", wrong_frees_die },
	{ "writes to free frames die", writes_to_free_frames_die },
	{ "reclaim under inner locks dies", reclaim_under_inner_locks_dies },
	{ "the check finds a broken table", the_check_finds_a_broken_table },
	{ "buddyinfo has Linux's format and adds up", buddyinfo_adds_up },
	{ "texts fit any buffer", texts_fit_any_buffer },
};

int main(void)
{
	return test_main("mm/page_alloc", cases, ARRAY_SIZE(cases));
}
