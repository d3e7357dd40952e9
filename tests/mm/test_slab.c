// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_slab.c - mm/slab.c, magazine.c, kmalloc.c, slab_debug.c
 *
 * Each case brings up frames and slab and, at its end, wants every frame back:
 * that is the leak check. There is no reclaim (no_reclaim.c). What is to die sets
 * up an arena of its own, as in test_page_alloc.c, and has a control that must
 * live.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "churn.h"
#include "harness.h"
#include "internal.h"
#include "rcu.h"
#include "slab.h"
#include "vmstat.h"

#define ARENA	(32 * SZ_1M)

static void setup(size_t bytes)
{
	BUG_ON(page_alloc_init(bytes, 1));
	vmstat_init();
	BUG_ON(slab_init());
}

/* The caches of the case are destroyed, and every frame comes back. */
static void teardown(void)
{
	slab_check();
	slab_exit();
	page_alloc_check();
	CU_ASSERT_EQUAL(nr_free_frames(), totalram_frames());
	CU_ASSERT_EQUAL(vm_stat_read(NR_SLAB_RECLAIMABLE), 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_SLAB_UNRECLAIMABLE), 0);
	page_alloc_exit();
}

static unsigned long slab_frames(void)
{
	return vm_stat_read(NR_SLAB_RECLAIMABLE) +
	       vm_stat_read(NR_SLAB_UNRECLAIMABLE);
}

/* A constructor's mark; the tests leave it alone. */
#define CONSTRUCTED	0x600df00dULL

static void construct(void *obj)
{
	*(uint64_t *)obj = CONSTRUCTED;
}

static const struct {
	const char *name;
	size_t size, align;
	unsigned int flags;
	void (*ctor)(void *);
} kinds[] = {
	{ "t-8",	8,    0,  0,			NULL },
	{ "t-13",	13,   0,  0,			NULL },
	{ "t-48-rcu",	48,   0,  SLAB_TYPESAFE_BY_RCU,	NULL },
	{ "t-64-hw",	64,   0,  SLAB_HWCACHE_ALIGN,	NULL },
	{ "t-100-32",	100,  32, 0,			NULL },
	{ "t-200-ctor",	200,  0,  0,			construct },
	{ "t-576-rcu",	576,  0,  SLAB_TYPESAFE_BY_RCU,	construct },
	{ "t-1000",	1000, 64, SLAB_RECLAIM_ACCOUNT,	NULL },
	{ "t-3000",	3000, 0,  0,			NULL },
	{ "t-8192",	8192, 0,  0,			NULL },
};
#define NR_KINDS	ARRAY_SIZE(kinds)

static struct kmem_cache *caches[NR_KINDS];

static void caches_create(void)
{
	for (size_t k = 0; k < NR_KINDS; k++) {
		caches[k] = kmem_cache_create(kinds[k].name, kinds[k].size,
					      kinds[k].align, kinds[k].flags,
					      kinds[k].ctor);
		BUG_ON(!caches[k]);
	}
}

static void caches_destroy(void)
{
	for (size_t k = 0; k < NR_KINDS; k++)
		kmem_cache_destroy(caches[k]);
}

/* The bytes that are the test's: all but a constructor's mark. */
static size_t skip_of(size_t kind)
{
	return kinds[kind].ctor ? sizeof(uint64_t) : 0;
}

static void stamp(void *obj, size_t kind, unsigned char byte)
{
	memset((char *)obj + skip_of(kind), byte,
	       kinds[kind].size - skip_of(kind));
}

static bool stamped(const void *obj, size_t kind, unsigned char byte)
{
	const unsigned char *p = obj;

	if (kinds[kind].ctor && *(const uint64_t *)obj != CONSTRUCTED)
		return false;
	for (size_t i = skip_of(kind); i < kinds[kind].size; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static bool aligned(const void *obj, size_t kind)
{
	size_t align = kinds[kind].align ? kinds[kind].align : 8;

	if (kinds[kind].flags & SLAB_HWCACHE_ALIGN)
		align = 64;
	return IS_ALIGNED((uintptr_t)obj, align);
}

#define MODEL_MAX	3000

struct model_obj {
	void *obj;
	unsigned char kind, byte;
};

struct model {
	uint64_t rand;
	struct model_obj objs[MODEL_MAX];
	unsigned int nr;
	unsigned long active[NR_KINDS];
};

static struct model model;

static void model_take(struct model *m, void *obj, size_t kind)
{
	unsigned char byte = (unsigned char)test_rand(&m->rand);

	CU_ASSERT_TRUE(aligned(obj, kind));
	if (kinds[kind].ctor)
		CU_ASSERT_EQUAL(*(uint64_t *)obj, CONSTRUCTED);
	stamp(obj, kind, byte);
	m->objs[m->nr++] = (struct model_obj){ obj, (unsigned char)kind, byte };
	m->active[kind]++;
}

static void model_alloc(struct model *m)
{
	size_t kind = test_rand(&m->rand) % NR_KINDS;
	unsigned int want = 1, got;
	void *objs[50];

	if (test_rand(&m->rand) % 20 == 0)
		want = 1 + (unsigned int)(test_rand(&m->rand) % 50);
	want = min(want, MODEL_MAX - m->nr);
	if (want == 1) {
		objs[0] = kmem_cache_alloc(caches[kind], GFP_KERNEL);
		got = objs[0] != NULL;
	} else {
		got = kmem_cache_alloc_bulk(caches[kind], GFP_KERNEL, want,
					    objs);
	}
	for (unsigned int i = 0; i < got; i++)
		model_take(m, objs[i], kind);
}

static void model_free(struct model *m)
{
	unsigned int k = (unsigned int)(test_rand(&m->rand) % m->nr);
	struct model_obj o = m->objs[k];

	m->objs[k] = m->objs[--m->nr];
	m->active[o.kind]--;
	CU_ASSERT_TRUE(stamped(o.obj, o.kind, o.byte));
	kmem_cache_free(caches[o.kind], o.obj);
}

static void model_check(struct model *m)
{
	slab_check();
	for (size_t k = 0; k < NR_KINDS; k++)
		CU_ASSERT_EQUAL(kmem_cache_active(caches[k]), m->active[k]);
}

static void random_run_agrees_with_model(void)
{
	struct model *m = &model;

	setup(ARENA);
	caches_create();
	memset(m, 0, sizeof(*m));
	m->rand = test_seed();
	for (unsigned int i = 0; i < 60000; i++) {
		unsigned int tide = i / 8192 % 2 ? 40 : 60;

		if (!m->nr || (test_rand(&m->rand) % 100 < tide &&
			       m->nr < MODEL_MAX))
			model_alloc(m);
		else
			model_free(m);
		if (i % 512 == 0)
			model_check(m);
		if (i % 10000 == 0)
			kmem_cache_shrink_all();
	}
	while (m->nr)
		model_free(m);
	model_check(m);
	caches_destroy();
	teardown();
}

/* Objects change hands through here. */
static void *exchange[NR_KINDS][64];

static void *churn(void *arg)
{
	uint64_t rand = (uintptr_t)arg;
	unsigned long bad = 0;

	for (unsigned int i = 0; i < 30000; i++) {
		size_t kind = test_rand(&rand) % NR_KINDS;
		void **slot = &exchange[kind][test_rand(&rand) % 64];
		void *obj = test_rand(&rand) % 2 ?
			    kmem_cache_alloc(caches[kind], GFP_NOWAIT) : NULL;

		if (obj)
			stamp(obj, kind, (unsigned char)kind);
		obj = __atomic_exchange_n(slot, obj, __ATOMIC_ACQ_REL);
		if (!obj)
			continue;
		bad += !stamped(obj, kind, (unsigned char)kind);
		kmem_cache_free(caches[kind], obj);
	}
	return (void *)bad;
}

static void shrink_and_check(void)
{
	static char text[8192];

	slab_check();
	kmem_cache_shrink_all();
	kmem_cache_active(caches[0]);
	slabinfo_show(text, sizeof(text));
}

static void exchange_free(void)
{
	for (size_t k = 0; k < NR_KINDS; k++)
		for (size_t i = 0; i < 64; i++) {
			kmem_cache_free(caches[k], exchange[k][i]);
			exchange[k][i] = NULL;
		}
}

static void threads_leave_nothing_behind(void)
{
	setup(ARENA);
	caches_create();
	churn_run(churn, shrink_and_check);
	exchange_free();
	for (size_t k = 0; k < NR_KINDS; k++)
		CU_ASSERT_EQUAL(kmem_cache_active(caches[k]), 0);
	caches_destroy();
	teardown();
}

static void *use_and_exit(void *unused)
{
	void *objs[NR_KINDS][20];

	(void)unused;
	for (size_t k = 0; k < NR_KINDS; k++)
		for (int i = 0; i < 20; i++)
			objs[k][i] = kmem_cache_alloc(caches[k], GFP_KERNEL);
	for (size_t k = 0; k < NR_KINDS; k++)
		for (int i = 0; i < 20; i++)
			kmem_cache_free(caches[k], objs[k][i]);
	return NULL;
}

static void exiting_thread_empties_its_magazines(void)
{
	pthread_t thread;

	setup(ARENA);
	caches_create();
	BUG_ON(pthread_create(&thread, NULL, use_and_exit, NULL));
	pthread_join(thread, NULL);
	for (size_t k = 0; k < NR_KINDS; k++) {
		kmem_cache_shrink(caches[k]);	/* drains no magazine */
		CU_ASSERT_EQUAL(kmem_cache_frames(caches[k]), 0);
	}
	caches_destroy();
	teardown();
}

static unsigned int late_runs;

static void late_use(void)
{
	void *obj = kmem_cache_alloc(caches[0], GFP_KERNEL);

	late_runs += obj != NULL;
	kmem_cache_free(caches[0], obj);
}

static void late_destructors_may_allocate(void)
{
	setup(ARENA);
	caches_create();
	late_runs = 0;
	run_late(use_and_exit, late_use);
	CU_ASSERT_EQUAL(late_runs, LATE_ROUNDS);
	kmem_cache_shrink(caches[0]);
	CU_ASSERT_EQUAL(kmem_cache_frames(caches[0]), 0);
	caches_destroy();
	teardown();
}

static void shrinking_returns_every_frame(void)
{
	static void *objs[4000];
	unsigned long before, grown;

	setup(ARENA);
	caches_create();
	kmem_cache_free(caches[1], kmem_cache_alloc(caches[1], GFP_KERNEL));
	kmem_cache_shrink_all();
	before = nr_free_frames();
	for (size_t i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = kmem_cache_alloc(caches[1], GFP_KERNEL);
	grown = kmem_cache_frames(caches[1]);
	CU_ASSERT_TRUE(grown >= sizeof(objs) * 2 / PAGE_SIZE);
	CU_ASSERT_EQUAL(before - nr_free_frames(), grown);
	CU_ASSERT_EQUAL(kmem_cache_active(caches[1]), ARRAY_SIZE(objs));
	for (size_t i = 0; i < ARRAY_SIZE(objs); i++)
		kmem_cache_free(caches[1], objs[i]);
	/* All but what a magazine pins and one empty slab are back already. */
	CU_ASSERT_TRUE(kmem_cache_frames(caches[1]) <= 3);
	CU_ASSERT_TRUE(kmem_cache_shrink_all() <= 3);
	CU_ASSERT_EQUAL(kmem_cache_frames(caches[1]), 0);
	CU_ASSERT_EQUAL(nr_free_frames(), before);
	caches_destroy();
	teardown();
}

static void kmalloc_one(size_t size)
{
	unsigned char *p = kmalloc(size, GFP_KERNEL);

	CU_ASSERT_PTR_NOT_NULL(p);
	if (!p)
		return;
	CU_ASSERT_TRUE(IS_ALIGNED((uintptr_t)p, size > 8192 ? PAGE_SIZE : 16));
	memset(p, 0xee, size);
	CU_ASSERT_TRUE(ksize(p) >= size);
	memset(p, 0xee, ksize(p));
	kfree(p);
	p = kzalloc(size, GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(p);
	CU_ASSERT_TRUE(p[0] == 0 && !memcmp(p, p + 1, size - 1));
	kfree(p);
}

static void kmalloc_serves_every_size(void)
{
	setup(ARENA);
	for (size_t size = 1; size <= 10000; size++)
		kmalloc_one(size);
	for (size_t size = 16384; size <= 4 * SZ_1M; size *= 2) {
		kmalloc_one(size - 1);
		kmalloc_one(size);
		if (size < 4 * SZ_1M)
			kmalloc_one(size + 1);
	}
	CU_ASSERT_PTR_NULL(kmalloc(4 * SZ_1M + 1, GFP_KERNEL));
	CU_ASSERT_PTR_NULL(kmalloc(SIZE_MAX, GFP_KERNEL));
	kfree(NULL);
	kmem_cache_shrink_all();
	teardown();
}

static void kmalloc_wastes_little(void)
{
	static const size_t sizes[] = { 16, 32, 64, 96, 128, 192, 256, 512,
					1024, 4096, 8192, 65536 };

	setup(ARENA);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *p = kmalloc(sizes[i], GFP_KERNEL);

		CU_ASSERT_EQUAL(ksize(p), sizes[i]);
		kfree(p);
	}
	teardown();
}

static void zeroed_objects_are_zero(void)
{
	static const char zeros[8192];

	setup(ARENA);
	caches_create();
	for (size_t k = 0; k < NR_KINDS; k++) {
		for (int i = 0; !kinds[k].ctor && i < 100; i++) {
			void *obj = kmem_cache_alloc(caches[k], GFP_KERNEL |
						     __GFP_ZERO);

			CU_ASSERT_EQUAL(memcmp(obj, zeros, kinds[k].size), 0);
			stamp(obj, k, 0x77);
			kmem_cache_free(caches[k], obj);
		}
	}
	caches_destroy();
	teardown();
}

/* The typesafe promise, seen by a reader while everything is given back. */
static void typesafe_memory_outlives_readers(void)
{
	struct kmem_cache *s;
	unsigned long before;
	uint64_t *objs[500];

	setup(ARENA);
	s = kmem_cache_create("typesafe", 64, 0, SLAB_TYPESAFE_BY_RCU,
			      construct);
	kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL));
	kmem_cache_shrink_all();
	urcu_bp_barrier();
	before = nr_free_frames();
	for (size_t i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = kmem_cache_alloc(s, GFP_KERNEL);
		objs[i][1] = i;
	}
	mm_rcu_read_lock();
	for (size_t i = 0; i < ARRAY_SIZE(objs); i++)
		kmem_cache_free(s, objs[i]);
	kmem_cache_shrink_all();
	CU_ASSERT_EQUAL(kmem_cache_frames(s), 0);
	CU_ASSERT_TRUE(nr_free_frames() < before);
	for (size_t i = 0; i < ARRAY_SIZE(objs); i++) {
		CU_ASSERT_EQUAL(objs[i][0], CONSTRUCTED);
		CU_ASSERT_EQUAL(objs[i][1], i);
	}
	mm_rcu_read_unlock();
	urcu_bp_barrier();
	CU_ASSERT_EQUAL(nr_free_frames(), before);
	kmem_cache_destroy(s);
	teardown();
}

static bool reader_stop;
static uint64_t *published;

static void *typesafe_reader(void *unused)
{
	unsigned long bad = 0;

	(void)unused;
	while (!READ_ONCE(reader_stop)) {
		uint64_t *obj;

		mm_rcu_read_lock();
		obj = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
		if (obj)
			bad += READ_ONCE(obj[0]) != CONSTRUCTED;
		mm_rcu_read_unlock();
	}
	return (void *)bad;
}

static void typesafe_objects_stay_objects_under_churn(void)
{
	struct kmem_cache *s;
	pthread_t reader;
	void *bad;

	setup(8 * SZ_1M);
	s = kmem_cache_create("typesafe", 64, 0, SLAB_TYPESAFE_BY_RCU,
			      construct);
	reader_stop = false;
	BUG_ON(pthread_create(&reader, NULL, typesafe_reader, NULL));
	for (int i = 0; i < 20000; i++) {
		uint64_t *obj = kmem_cache_alloc(s, GFP_NOWAIT), *old;

		if (!obj)
			continue;	/* frames wait for the grace period */
		old = __atomic_exchange_n(&published, obj, __ATOMIC_ACQ_REL);
		kmem_cache_free(s, old);
		if (i % 16 == 0)
			kmem_cache_shrink_all();
	}
	kmem_cache_free(s, __atomic_exchange_n(&published, NULL,
					       __ATOMIC_ACQ_REL));
	WRITE_ONCE(reader_stop, true);
	pthread_join(reader, &bad);
	CU_ASSERT_PTR_NULL(bad);
	kmem_cache_destroy(s);
	teardown();
}

static void the_nth_allocation_fails(void)
{
	void *a, *b, *objs[4];

	setup(ARENA);
	caches_create();
	failslab(2, false);
	a = kmem_cache_alloc(caches[0], GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(a);
	CU_ASSERT_PTR_NULL(kmalloc(10, GFP_KERNEL));
	b = kmalloc(10, GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(b);
	failslab(1, true);
	CU_ASSERT_PTR_NULL(kmem_cache_alloc(caches[0], GFP_KERNEL));
	CU_ASSERT_EQUAL(kmem_cache_alloc_bulk(caches[0], GFP_KERNEL, 4, objs),
			0);
	CU_ASSERT_PTR_NULL(kmalloc(100000, GFP_KERNEL));
	failslab(0, false);
	kfree(b);
	kmem_cache_free(caches[0], a);
	caches_destroy();
	teardown();
}

/* Only what somebody asked for counts, or a test would stop too early. */
static void failing_frames_fail_a_new_slab(void)
{
	void *obj;

	setup(ARENA);
	caches_create();
	fail_page_alloc(1, false);
	CU_ASSERT_PTR_NULL(kmem_cache_alloc(caches[2], GFP_KERNEL));
	obj = kmem_cache_alloc(caches[2], GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(obj);
	fail_page_alloc(1, true);
	kmem_cache_free(caches[2], obj);
	obj = kmem_cache_alloc(caches[2], GFP_KERNEL);	/* needs no frame */
	CU_ASSERT_PTR_NOT_NULL(obj);
	fail_page_alloc(0, false);
	kmem_cache_free(caches[2], obj);
	caches_destroy();
	teardown();
}

static void running_out_is_survived(void)
{
	static void *objs[8192];
	unsigned int nr = 0;

	setup(8 * SZ_1M);
	caches_create();
	while (nr < ARRAY_SIZE(objs) &&
	       (objs[nr] = kmem_cache_alloc(caches[7], GFP_KERNEL)))
		nr++;
	CU_ASSERT_TRUE(nr > 1000 && nr < ARRAY_SIZE(objs));
	CU_ASSERT_PTR_NULL(kmem_cache_alloc(caches[9], GFP_KERNEL));
	slab_check();
	while (nr)
		kmem_cache_free(caches[7], objs[--nr]);
	objs[0] = kmem_cache_alloc(caches[9], GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(objs[0]);
	kmem_cache_free(caches[9], objs[0]);
	caches_destroy();
	teardown();
}

static void slab_memory_is_accounted(void)
{
	void *large, *obj;
	unsigned long base;

	setup(ARENA);
	caches_create();
	obj = kmem_cache_alloc(caches[7], GFP_KERNEL);
	CU_ASSERT_EQUAL(vm_stat_read(NR_SLAB_RECLAIMABLE),
			kmem_cache_frames(caches[7]));
	kmem_cache_free(caches[7], obj);
	base = slab_frames();
	large = kmalloc(100000, GFP_KERNEL);	/* 25 frames: order 5 */
	CU_ASSERT_EQUAL(slab_frames(), base + 32);
	kfree(large);
	CU_ASSERT_EQUAL(slab_frames(), base);
	caches_destroy();
	teardown();
}

static void caches_run_out(void)
{
	struct kmem_cache *s[64];
	unsigned int nr = 0;

	setup(ARENA);
	while (nr < ARRAY_SIZE(s) &&
	       (s[nr] = kmem_cache_create("many", 8 + nr, 0, 0, NULL)))
		nr++;
	CU_ASSERT_TRUE(nr >= 40 && nr < 64);
	kmem_cache_destroy(s[--nr]);
	s[nr] = kmem_cache_create("again", 8, 0, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL(s[nr]);
	kmem_cache_destroy(s[nr]);
	while (nr)
		kmem_cache_destroy(s[--nr]);
	kmem_cache_destroy(NULL);
	teardown();
}

static void every_size_and_alignment_works(void)
{
	setup(ARENA);
	for (size_t size = 8; size <= 8192; size += size < 300 ? 1 : 97) {
		for (size_t align = 8; align <= 64; align *= 2) {
			struct kmem_cache *s = kmem_cache_create("size", size,
							align, 0, NULL);
			void *a = kmem_cache_alloc(s, GFP_KERNEL);
			void *b = kmem_cache_alloc(s, GFP_KERNEL);

			memset(a, 1, size);
			memset(b, 2, size);
			CU_ASSERT_TRUE(IS_ALIGNED((uintptr_t)a, align));
			CU_ASSERT_TRUE(IS_ALIGNED((uintptr_t)b, align));
			CU_ASSERT_EQUAL(((char *)a)[size - 1], 1);
			kmem_cache_free(s, a);
			kmem_cache_free(s, b);
			kmem_cache_destroy(s);
		}
	}
	teardown();
}

enum misuse {
	CORRECT_USE,
	FREE_TWICE,
	FREE_FOREIGN,
	FREE_INTERIOR,
	FREE_STACK,
	KFREE_CACHED,
	KFREE_FRAME,
	KFREE_LARGE_TWICE,
	FREE_SLAB_FRAME,
	DESTROY_IN_USE,
	EXIT_WITH_KMALLOC,
	EXIT_WITH_CACHE,
	NR_MISUSES,
};

/* Each wrong call is the child's last, so nothing later can notice instead. */
static void misuse_free(enum misuse kind, struct kmem_cache *s,
			struct kmem_cache *other, char *obj)
{
	if (kind == FREE_FOREIGN)
		kmem_cache_free(other, obj);
	else if (kind == FREE_INTERIOR)
		kmem_cache_free(s, obj + 8);
	else if (kind == FREE_STACK)
		kmem_cache_free(s, &kind);
	else if (kind == KFREE_CACHED)
		kfree(obj);
	else if (kind == KFREE_FRAME)
		kfree(pfn_to_virt(alloc_frames(GFP_KERNEL, 0)));
	else if (kind == FREE_SLAB_FRAME)
		free_frames(virt_to_pfn(obj), 0);
	else if (kind == FREE_TWICE)
		kmem_cache_free(s, obj);
	else
		return;
	if (kind == FREE_TWICE)
		kmem_cache_free(s, obj);
	if (kind == FREE_TWICE || kind == FREE_INTERIOR)
		kmem_cache_shrink_all();  /* flushes a release's magazine */
	_exit(0);
}

static void misuse(void *arg)
{
	enum misuse kind = *(enum misuse *)arg;
	struct kmem_cache *s, *other;
	void *obj, *large;

	setup(ARENA);
	s = kmem_cache_create("mine", 128, 0, 0, NULL);
	other = kmem_cache_create("other", 128, 0, 0, NULL);
	obj = kmem_cache_alloc(s, GFP_KERNEL);
	misuse_free(kind, s, other, obj);
	if (kind != DESTROY_IN_USE)
		kmem_cache_free(s, obj);
	large = kmalloc(20000, GFP_KERNEL);
	kfree(large);
	if (kind == KFREE_LARGE_TWICE)
		kfree(large);
	if (kind == EXIT_WITH_KMALLOC)
		BUG_ON(kmalloc(10, GFP_KERNEL) == NULL);
	kmem_cache_destroy(s);
	if (kind != EXIT_WITH_CACHE)
		kmem_cache_destroy(other);
	slab_exit();
	page_alloc_exit();
}

static void misuse_dies(void)
{
	for (enum misuse kind = CORRECT_USE; kind < NR_MISUSES; kind++)
		CU_ASSERT_EQUAL(dies(misuse, &kind), kind != CORRECT_USE);
}

#ifdef PAGEFS_DEBUG
enum stray {
	NO_STRAY,
	STRAY_BEFORE,		/* found when the object is freed */
	STRAY_AFTER,
	STRAY_FILLER,		/* between odd size and the red word */
	STRAY_FREE,		/* found when it is handed out again */
	NR_STRAYS,
};

/* Not seen by AddressSanitizer, which would not abort() but exit. */
static void __attribute__((no_sanitize("address"), noinline))
stray_write(char *p)
{
	*p ^= 1;
}

static void stray(void *arg)
{
	enum stray kind = *(enum stray *)arg;
	struct kmem_cache *s;
	char *obj;

	setup(ARENA);
	s = kmem_cache_create("stray", 61, 0, 0, NULL);
	obj = kmem_cache_alloc(s, GFP_KERNEL);
	if (kind == STRAY_BEFORE)
		stray_write(obj - 1);
	if (kind == STRAY_AFTER)
		stray_write(obj + 64);
	if (kind == STRAY_FILLER)
		stray_write(obj + 61);
	kmem_cache_free(s, obj);
	if (kind == STRAY_FREE)
		stray_write(obj + 60);
	kmem_cache_alloc(s, GFP_KERNEL);	/* the last freed comes first */
}

static void stray_writes_die(void)
{
	for (enum stray kind = NO_STRAY; kind < NR_STRAYS; kind++)
		CU_ASSERT_EQUAL(dies(stray, &kind), kind != NO_STRAY);
}

static void stray_then_check(void *arg)
{
	struct kmem_cache *s;
	char *obj;

	setup(ARENA);
	s = kmem_cache_create("stray", 64, 0, 0, NULL);
	obj = kmem_cache_alloc(s, GFP_KERNEL);
	kmem_cache_free(s, obj);
	obj = kmem_cache_alloc(s, GFP_KERNEL);
	if (arg)
		stray_write(obj + 64);
	slab_check();
}

static void the_check_finds_stray_writes(void)
{
	CU_ASSERT_FALSE(dies(stray_then_check, NULL));
	CU_ASSERT_TRUE(dies(stray_then_check, &model));
}
#else
static void stray_writes_die(void)
{
	test_skip("needs --enable-debug");
}

static void the_check_finds_stray_writes(void)
{
	test_skip("needs --enable-debug");
}
#endif

static void slabinfo_has_linuxs_format(void)
{
	unsigned long active, objs, size, per_slab, pages, slabs[3];
	char text[8192], name[32], *line;
	void *obj;
	int n;

	setup(ARENA);
	caches_create();
	obj = kmem_cache_alloc(caches[4], GFP_KERNEL);
	CU_ASSERT_EQUAL(slabinfo_show(text, sizeof(text)), strlen(text));
	CU_ASSERT_EQUAL(strncmp(text, "slabinfo - version: 2.1\n# name ", 30),
			0);
	line = strstr(text, "\nt-100-32 ");
	CU_ASSERT_PTR_NOT_NULL(line);
	n = sscanf(line, "%31s %lu %lu %lu %lu %lu : tunables %*u %*u %*u : "
		   "slabdata %lu %lu %lu\n", name, &active, &objs, &size,
		   &per_slab, &pages, &slabs[0], &slabs[1], &slabs[2]);
	CU_ASSERT_EQUAL(n, 9);
	CU_ASSERT_EQUAL(active, 1);
	CU_ASSERT_EQUAL(size, 100);
	CU_ASSERT_EQUAL(objs, per_slab * slabs[1]);
	CU_ASSERT_EQUAL(slabs[1] * pages, kmem_cache_frames(caches[4]));
	for (size_t size_max = 0; size_max < 300; size_max++)
		CU_ASSERT_EQUAL(slabinfo_show(text, size_max),
				size_max ? size_max - 1 : 0);
	kmem_cache_free(caches[4], obj);
	caches_destroy();
	teardown();
}

/*
 * What dies comes first: ThreadSanitizer lets a child start threads only if its
 * parent has none, and liburcu's, once started, stays.
 */
static const struct test_case cases[] = {
	{ "misuse dies", misuse_dies },
	{ "stray writes die", stray_writes_die },
	{ "the check finds stray writes", the_check_finds_stray_writes },
	{ "a random run agrees with a model", random_run_agrees_with_model },
	{ "threads leave nothing behind", threads_leave_nothing_behind },
	{ "an exiting thread empties its magazines",
	  exiting_thread_empties_its_magazines },
	{ "late thread destructors may allocate and free",
	  late_destructors_may_allocate },
	{ "shrinking returns every frame", shrinking_returns_every_frame },
	{ "kmalloc serves every size", kmalloc_serves_every_size },
	{ "kmalloc wastes nothing at its class sizes", kmalloc_wastes_little },
	{ "zeroed objects are zero", zeroed_objects_are_zero },
	{ "typesafe memory outlives readers", typesafe_memory_outlives_readers },
	{ "typesafe objects stay objects under churn",
	  typesafe_objects_stay_objects_under_churn },
	{ "the nth allocation fails when told to", the_nth_allocation_fails },
	{ "failing frames fail a new slab", failing_frames_fail_a_new_slab },
	{ "running out of memory is survived", running_out_is_survived },
	{ "slab memory is accounted", slab_memory_is_accounted },
	{ "caches run out at 64", caches_run_out },
	{ "every size and alignment works", every_size_and_alignment_works },
	{ "slabinfo has Linux's format", slabinfo_has_linuxs_format },
};

int main(void)
{
	return test_main("mm/slab", cases, ARRAY_SIZE(cases));
}
