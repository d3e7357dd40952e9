// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/sysctl.c - numbers that can be set while everything runs
 *
 *   "5\n" --parse--> 5 --min, max--> vm_tunables.dirty_ratio --done()--> flushers
 *
 * I1. What cannot be a value changes nothing: all is checked before the first
 *     store.
 * I2. Of two that say the same in other words (a share and bytes) one is 0. The
 *     new one is set before the old one is cleared: a reader in between sees
 *     both, and not neither.
 *
 * Readers of the values take no lock; they are single words, read anew each time
 * they are needed, so that a change takes effect at once.
 *
 * Locks:   sysctl_lock (a leaf) among writers.
 * Source:  Linux kernel/sysctl.c (proc_dointvec_minmax), mm/page-writeback.c.
 *          Differs: one number, and nothing behind it; Linux takes what it can
 *          read of a line and leaves the rest.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "shmem.h"
#include "swap.h"
#include "sysctl.h"
#include "writeback.h"

/* Centiseconds that, in ms, still are an int: 24 days. */
#define MAX_CENTISECS	((unsigned long)INT_MAX / 10)

static struct mutex sysctl_lock = MUTEX_INITIALIZER(LOCK_LEAF);

/* What is due by the new setting may be due now. */
static void flushers_look(unsigned long value)
{
	(void)value;
	vm_tunables_changed();
}

static void drop_caches(unsigned long what)
{
	if (what & 1)
		drop_pagecache();
	if (what & 2)
		drop_slab();
}

/* By name. */
enum {
	DIRTY_BACKGROUND_BYTES,
	DIRTY_BACKGROUND_RATIO,
	DIRTY_BYTES,
	DIRTY_EXPIRE_CENTISECS,
	DIRTY_RATIO,
	DIRTY_WRITEBACK_CENTISECS,
	DROP_CACHES,
	LAPTOP_MODE,
	OVERCOMMIT_MEMORY,
	OVERCOMMIT_RATIO,
	SWAPPINESS,
};

static const struct ctl_table vm_table[] = {
	[DIRTY_BACKGROUND_BYTES] = {
		.name = "dirty_background_bytes",
		.type = SYSCTL_ULONG,
		.data = &vm_tunables.dirty_background_bytes,
		.min = 1,
		.max = ULONG_MAX,
		.excludes = &vm_table[DIRTY_BACKGROUND_RATIO],
		.done = flushers_look,
	},
	[DIRTY_BACKGROUND_RATIO] = {
		.name = "dirty_background_ratio",
		.data = &vm_tunables.dirty_background_ratio,
		.max = 100,
		.excludes = &vm_table[DIRTY_BACKGROUND_BYTES],
		.done = flushers_look,
	},
	[DIRTY_BYTES] = {
		.name = "dirty_bytes",
		.type = SYSCTL_ULONG,
		.data = &vm_tunables.dirty_bytes,
		.min = 2 * PAGE_SIZE,
		.max = ULONG_MAX,
		.excludes = &vm_table[DIRTY_RATIO],
		.done = flushers_look,
	},
	[DIRTY_EXPIRE_CENTISECS] = {
		.name = "dirty_expire_centisecs",
		.data = &vm_tunables.dirty_expire_centisecs,
		.max = MAX_CENTISECS,
		.done = flushers_look,
	},
	[DIRTY_RATIO] = {
		.name = "dirty_ratio",
		.data = &vm_tunables.dirty_ratio,
		.max = 100,
		.excludes = &vm_table[DIRTY_BYTES],
		.done = flushers_look,
	},
	[DIRTY_WRITEBACK_CENTISECS] = {
		.name = "dirty_writeback_centisecs",
		.data = &vm_tunables.dirty_writeback_centisecs,
		.max = MAX_CENTISECS,
		.done = flushers_look,
	},
	[DROP_CACHES] = {
		.name = "drop_caches",
		.type = SYSCTL_ACTION,
		.min = 1,
		.max = 3,
		.done = drop_caches,
	},
	[LAPTOP_MODE] = {
		.name = "laptop_mode",
		.data = &vm_tunables.laptop_mode,
		.max = INT_MAX / 1000,	/* in ms, still an int */
		.done = flushers_look,
	},
	[OVERCOMMIT_MEMORY] = {
		.name = "overcommit_memory",
		.data = &vm_tunables.overcommit_memory,
		.max = OVERCOMMIT_NEVER,
	},
	[OVERCOMMIT_RATIO] = {
		.name = "overcommit_ratio",
		.data = &vm_tunables.overcommit_ratio,
		.max = 100,
	},
	[SWAPPINESS] = {
		.name = "swappiness",
		.data = &vm_tunables.swappiness,
		.max = 200,
	},
};

const struct ctl_table *vm_sysctl(unsigned int nth)
{
	return nth < ARRAY_SIZE(vm_table) ? &vm_table[nth] : NULL;
}

/* 0 and *@valuep, or -EINVAL. */
static int parse(const char *text, unsigned long *valuep)
{
	char *end;

	text += strspn(text, " \t");
	if (strlen(text) > SYSCTL_TEXT_MAX ||
	    !isdigit((unsigned char)*text))	/* strtoul takes signs */
		return -EINVAL;
	errno = 0;
	*valuep = strtoul(text, &end, 0);
	if (errno || end[strspn(end, " \t\n")])
		return -EINVAL;
	return 0;
}

static void set_value(const struct ctl_table *t, unsigned long value)
{
	if (t->type == SYSCTL_UINT)
		atomic_store((atomic_uint *)t->data, (unsigned int)value);
	else if (t->type == SYSCTL_ULONG)
		atomic_store((atomic_ulong *)t->data, value);
}

static unsigned long get_value(const struct ctl_table *t)
{
	return t->type == SYSCTL_UINT ? atomic_load((atomic_uint *)t->data) :
		atomic_load((atomic_ulong *)t->data);
}

int sysctl_write(const struct ctl_table *t, const char *text)
{
	unsigned long value;
	int err = parse(text, &value);

	if (err)
		return err;
	if (value < t->min || value > t->max)
		return -EINVAL;					/* I1 */
	mutex_lock(&sysctl_lock);
	set_value(t, value);
	if (t->excludes)
		set_value(t->excludes, 0);			/* I2 */
	mutex_unlock(&sysctl_lock);
	if (t->done)
		t->done(value);
	return 0;
}

size_t sysctl_show(const struct ctl_table *t, char *buf, size_t size)
{
	if (t->type == SYSCTL_ACTION)
		return 0;
	return scnprintf(buf, size, "%lu\n", get_value(t));
}

static const struct ctl_table *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(vm_table); i++)
		if (!strcmp(vm_table[i].name, name))
			return &vm_table[i];
	return NULL;
}

int vm_sysctl_write(const char *name, const char *text)
{
	const struct ctl_table *t = find(name);

	return t ? sysctl_write(t, text) : -ENOENT;
}

ssize_t vm_sysctl_show(const char *name, char *buf, size_t size)
{
	const struct ctl_table *t = find(name);

	return t ? (ssize_t)sysctl_show(t, buf, size) : -ENOENT;
}
