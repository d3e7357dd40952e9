// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_vmstat.c - mm/vmstat.c, and mm/lockdep.c's judgements
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "internal.h"
#include "vmstat.h"

static void *count_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100000; i++)
		count_vm_event(PGROTATED);
	return NULL;
}

static void no_event_of_any_thread_is_lost(void)
{
	unsigned long last = 0, now;
	pthread_t threads[4];

	vmstat_init();
	for (int i = 0; i < 4; i++)
		BUG_ON(pthread_create(&threads[i], NULL, count_many, NULL));
	for (int i = 0; i < 1000; i++) {
		now = vm_event(PGROTATED);
		CU_ASSERT_TRUE(now >= last);
		last = now;
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(vm_event(PGROTATED), 400000);
	CU_ASSERT_EQUAL(vm_event(PGACTIVATE), 0);
}

static void init_zeroes_events_and_states(void)
{
	count_vm_events(PGACTIVATE, 7);
	mod_vm_stat(NR_FILE_DIRTY, 3);
	CU_ASSERT_TRUE(vm_event(PGACTIVATE) >= 7);
	vmstat_init();
	CU_ASSERT_EQUAL(vm_event(PGACTIVATE), 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 0);
	count_vm_event(PGACTIVATE);
	CU_ASSERT_EQUAL(vm_event(PGACTIVATE), 1);
}

static void states_never_read_negative(void)
{
	vmstat_init();
	mod_vm_stat(NR_WRITEBACK, -1);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 0);
	mod_vm_stat(NR_WRITEBACK, 3);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 2);
	vmstat_init();
}

static void every_event_and_state_has_a_line(void)
{
	static char text[8192];
	unsigned int lines = 0;

	BUG_ON(page_alloc_init(64 * SZ_1M, 1));
	vmstat_init();
	count_vm_events(ALLOCSTALL, 42);
	mod_vm_stat(NR_FILE_DIRTY, 5);
	vmstat_show(text, sizeof(text));
	for (char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	/* And four of other counts, and two of swapping. */
	CU_ASSERT_EQUAL(lines, 4 + NR_VM_STAT_ITEMS + NR_VM_EVENT_ITEMS + 2);
	CU_ASSERT_PTR_NULL(strstr(text, "(null)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nallocstall 42\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nnr_dirty 5\n"));
	vmstat_init();
	page_alloc_exit();
}

static unsigned long available_kb(void)
{
	static char text[4096];
	unsigned long kb = 0;

	meminfo_show(text, sizeof(text));
	CU_ASSERT_EQUAL(sscanf(strstr(text, "\nMemAvailable:"),
			       "\nMemAvailable: %lu kB\n", &kb), 1);
	return kb;
}

/* All that is free above the watermarks, and what could be. */
static void available_is_what_can_be_had(void)
{
	unsigned long empty;

	BUG_ON(page_alloc_init(64 * SZ_1M, 1));
	vmstat_init();
	empty = available_kb();
	CU_ASSERT(empty < nr_free_frames() * 4 && empty > 32 * 1024);
	mod_vm_stat(NR_FILE_PAGES, 4096);
	CU_ASSERT(available_kb() > empty + 4096 * 2);
	mod_vm_stat(NR_FILE_DIRTY, 3000);
	mod_vm_stat(NR_WRITEBACK, 2000);
	CU_ASSERT_EQUAL(available_kb(), empty);
	mod_vm_stat(NR_SLAB_UNRECLAIMABLE, 1000);
	CU_ASSERT_EQUAL(available_kb(), empty);
	vmstat_init();
	page_alloc_exit();
}

static void meminfo_has_linuxs_format(void)
{
	static char text[4096];

	BUG_ON(page_alloc_init(64 * SZ_1M, 1));
	vmstat_init();
	mod_vm_stat(NR_FILE_PAGES, 10);
	mod_vm_stat(NR_SLAB_RECLAIMABLE, 3);
	mod_vm_stat(NR_SLAB_UNRECLAIMABLE, 4);
	meminfo_show(text, sizeof(text));
	CU_ASSERT_EQUAL(strncmp(text, "MemTotal:          65536 kB\nMemFree: ",
				37), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nCached:               40 kB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nSwapTotal:             0 kB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nSlab:                 28 kB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nSUnreclaim:           16 kB\n"));
	vmstat_init();
	page_alloc_exit();
}

#ifdef PAGEFS_DEBUG
enum order {
	IN_ORDER,
	NESTED_BY_ADDRESS,
	TRYLOCK_AGAINST_IT,
	RELEASED_OUT_OF_TURN,
	NR_GOOD_ORDERS,
	AGAINST_IT = NR_GOOD_ORDERS,
	SAME_RANK,
	NESTED_DOWNWARDS,
	TWICE,
	AFTER_TRYLOCK,
	NOT_HELD,
	NO_RANK,
	NR_ORDERS,
};

static void take(void *arg)
{
	static struct mutex tree[2], zone, norank;
	enum order order = *(enum order *)arg;

	mutex_init(&tree[0], LOCK_TREE);
	mutex_init(&tree[1], LOCK_TREE);
	mutex_init(&zone, LOCK_ZONE);
	switch (order) {
	case IN_ORDER:
		mutex_lock(&tree[0]);
		mutex_lock(&zone);
		lockdep_assert_held(&tree[0]);
		mutex_unlock(&zone);
		mutex_unlock(&tree[0]);
		lockdep_assert_none_from(LOCK_RENAME);
		break;
	case RELEASED_OUT_OF_TURN:
		mutex_lock(&tree[0]);
		mutex_lock(&zone);
		mutex_unlock(&tree[0]);
		mutex_unlock(&zone);
		break;
	case NESTED_BY_ADDRESS:
	case NESTED_DOWNWARDS:
		mutex_lock(&tree[order == NESTED_DOWNWARDS]);
		mutex_lock_nested(&tree[order != NESTED_DOWNWARDS]);
		break;
	case SAME_RANK:
		mutex_lock(&tree[0]);
		mutex_lock(&tree[1]);
		break;
	case TRYLOCK_AGAINST_IT:
	case AFTER_TRYLOCK:
		mutex_lock(&zone);
		BUG_ON(!mutex_trylock(&tree[0]));
		if (order == AFTER_TRYLOCK)
			mutex_lock_nested(&tree[1]);
		break;
	case AGAINST_IT:
		mutex_lock(&zone);
		mutex_lock(&tree[0]);
		break;
	case TWICE:
		mutex_lock(&tree[0]);
		mutex_lock_nested(&tree[0]);
		break;
	case NOT_HELD:
		lockdep_assert_held(&tree[0]);
		break;
	case NO_RANK:
		mutex_lock(&norank);
		break;
	case NR_ORDERS:
		break;
	}
}

static void lock_inversions_die(void)
{
	for (enum order order = IN_ORDER; order < NR_ORDERS; order++)
		CU_ASSERT_EQUAL(dies(take, &order), order >= NR_GOOD_ORDERS);
}
#else
static void lock_inversions_die(void)
{
	test_skip("needs --enable-debug");
}
#endif

static bool writer_waits, writer_done;

static void *write_lock(void *arg)
{
	__atomic_store_n(&writer_waits, true, __ATOMIC_RELEASE);
	down_write(arg);
	WRITE_ONCE(writer_done, true);
	up_write(arg);
	return NULL;
}

/* A reader keeps trying; when the writer waits it must be refused. */
static void waiting_writer_keeps_readers_out(void)
{
	struct rw_semaphore sem;
	bool refused = false;
	pthread_t writer;

	init_rwsem(&sem, LOCK_INODE);
	down_read(&sem);
	writer_waits = writer_done = false;
	BUG_ON(pthread_create(&writer, NULL, write_lock, &sem));
	while (!refused) {	/* the harness's time limit ends it */
		refused = !down_read_trylock(&sem);
		if (!refused)
			up_read(&sem);
	}
	CU_ASSERT_TRUE(__atomic_load_n(&writer_waits, __ATOMIC_ACQUIRE));
	CU_ASSERT_FALSE(READ_ONCE(writer_done));
	up_read(&sem);
	pthread_join(writer, NULL);
	CU_ASSERT_TRUE(writer_done);
	destroy_rwsem(&sem);
}

static const struct test_case cases[] = {
	{ "no event of any thread is lost", no_event_of_any_thread_is_lost },
	{ "init zeroes events and states", init_zeroes_events_and_states },
	{ "states never read negative", states_never_read_negative },
	{ "every event and state has a line",
	  every_event_and_state_has_a_line },
	{ "meminfo has Linux's format", meminfo_has_linuxs_format },
	{ "what is available is what can be had without the disk",
	  available_is_what_can_be_had },
	{ "lock inversions die", lock_inversions_die },
	{ "a waiting writer keeps readers out",
	  waiting_writer_keeps_readers_out },
};

int main(void)
{
	return test_main("mm/vmstat", cases, ARRAY_SIZE(cases));
}
