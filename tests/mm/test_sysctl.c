// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_sysctl.c - mm/sysctl.c: numbers that can be set
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "mm.h"
#include "sysctl.h"
#include "vmstat.h"
#include "writeback.h"

static atomic_uint ratio;
static atomic_ulong bytes;
static unsigned long done_with;

static void note_done(unsigned long value)
{
	done_with = value;
}

/* A share and bytes, each of which says what the other does not. */
static const struct ctl_table table[] = {
	{ .name = "ratio", .data = &ratio, .min = 1, .max = 100,
	  .excludes = &table[1], .done = note_done },
	{ .name = "bytes", .type = SYSCTL_ULONG, .data = &bytes, .min = 8192,
	  .max = ULONG_MAX, .excludes = &table[0] },
	{ .name = "act", .type = SYSCTL_ACTION, .min = 1, .max = 3,
	  .done = note_done },
};

static void numbers_are_set(void)
{
	static const struct {
		const char *text;
		unsigned int value;
	} good[] = {
		{ "5\n", 5 }, { "7", 7 }, { " \t8 \t\n", 8 }, { "100", 100 },
		{ "1", 1 }, { "0x10", 16 }, { "010", 8 }, { "12\n\n", 12 },
		{ "0000000000000000000000000000000000000000000000000000000017",
		  15 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CU_ASSERT_EQUAL(sysctl_write(&table[0], good[i].text), 0);
		CU_ASSERT_EQUAL(atomic_load(&ratio), good[i].value);
		CU_ASSERT_EQUAL(done_with, good[i].value);
	}
}

static void what_is_no_number_changes_nothing(void)
{
	static const char *const bad[] = {
		"", "\n", " ", "-1", "+5", "5x", "x5", "5 6", "5\n6", "0x",
		"5.0", "1e1", "08", "0", "101", "4294967297",
		"18446744073709551617", "99999999999999999999999999", "\v5",
		"five", "٥",
		/* One character more than a number may have. */
		"0000000000000000000000000000000000000000000000000000000000000005",
	};

	atomic_store(&ratio, 42);
	atomic_store(&bytes, 77);
	done_with = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CU_ASSERT_EQUAL(sysctl_write(&table[0], bad[i]), -EINVAL);
		CU_ASSERT_EQUAL(atomic_load(&ratio), 42);
		CU_ASSERT_EQUAL(atomic_load(&bytes), 77);
	}
	CU_ASSERT_EQUAL(done_with, 0);
}

static void one_of_two_that_say_the_same_is_0(void)
{
	char buf[32];

	CU_ASSERT_EQUAL(sysctl_write(&table[0], "10"), 0);
	CU_ASSERT_EQUAL(sysctl_write(&table[1], "18446744073709551615"), 0);
	CU_ASSERT_EQUAL(atomic_load(&bytes), ULONG_MAX);
	CU_ASSERT_EQUAL(atomic_load(&ratio), 0);
	sysctl_show(&table[1], buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "18446744073709551615\n");
	CU_ASSERT_EQUAL(sysctl_write(&table[1], "8191"), -EINVAL);
	CU_ASSERT_EQUAL(atomic_load(&bytes), ULONG_MAX);
	CU_ASSERT_EQUAL(sysctl_write(&table[0], "20"), 0);
	CU_ASSERT_EQUAL(atomic_load(&bytes), 0);
	sysctl_show(&table[0], buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "20\n");
}

static void actions_have_no_value(void)
{
	char buf[32];

	done_with = 0;
	CU_ASSERT_EQUAL(sysctl_write(&table[2], "4"), -EINVAL);
	CU_ASSERT_EQUAL(done_with, 0);
	CU_ASSERT_EQUAL(sysctl_write(&table[2], "3"), 0);
	CU_ASSERT_EQUAL(done_with, 3);
	CU_ASSERT_EQUAL(sysctl_show(&table[2], buf, sizeof(buf)), 0);
}

static void up(void)
{
	struct mm_config mm = { .memory = 32UL << 20, .nr_nodes = 1,
				.no_threads = 1 };

	BUG_ON(mm_init(&mm));
}

/* Each of vm/ is set to its own value and shows it, by name and by number. */
static void vm_is_vm_tunables(void)
{
	const struct ctl_table *t;
	char buf[32], want[32];
	unsigned int nr = 0;

	up();
	CU_ASSERT_EQUAL(vm_sysctl_write("dirty_ratio", "33"), 0);
	CU_ASSERT_EQUAL(atomic_load(&vm_tunables.dirty_ratio), 33);
	CU_ASSERT_EQUAL(vm_sysctl_write("dirty_background_ratio", "22"), 0);
	CU_ASSERT_EQUAL(atomic_load(&vm_tunables.dirty_background_ratio), 22);
	CU_ASSERT_EQUAL(vm_sysctl_write("dirty_expire_centisecs", "111"), 0);
	CU_ASSERT_EQUAL(atomic_load(&vm_tunables.dirty_expire_centisecs), 111);
	CU_ASSERT_EQUAL(vm_sysctl_write("dirty_writeback_centisecs", "0"), 0);
	CU_ASSERT_EQUAL(atomic_load(&vm_tunables.dirty_writeback_centisecs), 0);
	CU_ASSERT_EQUAL(vm_sysctl_write("dirty_ratio", "101"), -EINVAL);
	CU_ASSERT_EQUAL(vm_sysctl_write("dirty_writeback_centisecs",
					"4294967295"), -EINVAL);
	CU_ASSERT_EQUAL(vm_sysctl_write("no_such", "1"), -ENOENT);
	CU_ASSERT_EQUAL(vm_sysctl_show("no_such", buf, sizeof(buf)), -ENOENT);
	for (; (t = vm_sysctl(nr)); nr++) {
		if (t->type == SYSCTL_ACTION)
			continue;
		snprintf(want, sizeof(want), "%lu\n",
			 min(t->min + nr + 1, t->max));
		CU_ASSERT_EQUAL(vm_sysctl_write(t->name, want), 0);
		CU_ASSERT_EQUAL(vm_sysctl_show(t->name, buf, sizeof(buf)),
				(ssize_t)strlen(want));
		CU_ASSERT_STRING_EQUAL(buf, want);
	}
	CU_ASSERT(nr >= 5);
	mm_exit();
}

static void drop_caches_is_by_bits(void)
{
	unsigned long cache, slab;

	up();
	cache = vm_event(DROP_PAGECACHE);
	slab = vm_event(DROP_SLAB);
	CU_ASSERT_EQUAL(vm_sysctl_write("drop_caches", "1"), 0);
	CU_ASSERT_EQUAL(vm_event(DROP_PAGECACHE), cache + 1);
	CU_ASSERT_EQUAL(vm_event(DROP_SLAB), slab);
	CU_ASSERT_EQUAL(vm_sysctl_write("drop_caches", "2"), 0);
	CU_ASSERT_EQUAL(vm_event(DROP_PAGECACHE), cache + 1);
	CU_ASSERT_EQUAL(vm_event(DROP_SLAB), slab + 1);
	CU_ASSERT_EQUAL(vm_sysctl_write("drop_caches", "3"), 0);
	CU_ASSERT_EQUAL(vm_sysctl_write("drop_caches", "0"), -EINVAL);
	CU_ASSERT_EQUAL(vm_sysctl_write("drop_caches", "4"), -EINVAL);
	CU_ASSERT_EQUAL(vm_event(DROP_PAGECACHE), cache + 2);
	CU_ASSERT_EQUAL(vm_event(DROP_SLAB), slab + 2);
	mm_exit();
}

static const struct test_case cases[] = {
	{ "numbers are set", numbers_are_set },
	{ "what is no number changes nothing",
	  what_is_no_number_changes_nothing },
	{ "of two that say the same one is 0",
	  one_of_two_that_say_the_same_is_0 },
	{ "actions have no value", actions_have_no_value },
	{ "vm/ is what vm_tunables are", vm_is_vm_tunables },
	{ "drop_caches drops pages, objects, or both", drop_caches_is_by_bits },
};

int main(void)
{
	return test_main("mm/sysctl", cases, ARRAY_SIZE(cases));
}
