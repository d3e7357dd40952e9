/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysctl.h - numbers that can be set while everything runs: mm/sysctl.c
 *
 * Source: Linux include/linux/sysctl.h, whose vm/ names and units these are.
 */
#ifndef PAGEFS_SYSCTL_H
#define PAGEFS_SYSCTL_H

#include <stddef.h>
#include <sys/types.h>

enum sysctl_type {
	SYSCTL_UINT,		/* atomic_uint */
	SYSCTL_ULONG,		/* atomic_ulong */
	SYSCTL_ACTION,		/* no value: writing does something */
};

/* All constant. */
struct ctl_table {
	const char *name;
	enum sysctl_type type;
	void *data;
	unsigned long min, max;	/* what may be written, both included */
	/* The other way to say the same: it becomes 0 when this is set. */
	const struct ctl_table *excludes;
	/* After it was set, or SYSCTL_ACTION itself; NULL: nothing to do. */
	void (*done)(unsigned long value);
};

/* The longest text that can be a number, with blanks around it. Arbitrary. */
#define SYSCTL_TEXT_MAX	63u

/*
 * @text: one number, as C writes them, perhaps with blanks before and after and
 * an end of line. Takes effect before this returns.
 * Return: 0; -EINVAL: not a number, or one that may not be; nothing has changed.
 */
int sysctl_write(const struct ctl_table *t, const char *text);
/* The value and an end of line; its length. SYSCTL_ACTION: 0. */
size_t sysctl_show(const struct ctl_table *t, char *buf, size_t size);

/* The @nth of vm/, by name; NULL: there are not so many. */
const struct ctl_table *vm_sysctl(unsigned int nth);

/* The same by name. Return: as above; -ENOENT. */
int vm_sysctl_write(const char *name, const char *text);
ssize_t vm_sysctl_show(const char *name, char *buf, size_t size);

#endif /* PAGEFS_SYSCTL_H */
