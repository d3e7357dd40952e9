// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_vm.c - .pagefs/vm: a file for each number that can be set
 *
 *   vm/dirty_ratio   key = 1 + its place in mm/sysctl.c's table
 *
 * Locks:   none; mm/sysctl.c has its own.
 * Source:  Linux fs/proc/proc_sysctl.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "sysctl.h"

static int vm_show(struct ctl_handle *h, struct ctl_text *text)
{
	text->len = sysctl_show(vm_sysctl(h->key - 1), text->buf, text->size);
	text->end = true;
	return 0;
}

static int vm_store(struct ctl_handle *h, const char *text)
{
	return sysctl_write(vm_sysctl(h->key - 1), text);
}

static const struct ctl_file_ops vm_ops = {
	.read	= ctl_text_read,
	.write	= ctl_text_write,
};

static const struct ctl_file vm_file = {
	.ops	= &vm_ops,
	.show	= vm_show,
	.store	= vm_store,
};

static int vm_find(const char *name, uint32_t *keyp)
{
	const struct ctl_table *t;

	for (uint32_t i = 0; (t = vm_sysctl(i)); i++) {
		if (strcmp(t->name, name))
			continue;
		*keyp = i + 1;
		return 0;
	}
	return -ENOENT;
}

static bool vm_next(uint32_t *keyp, char *name)
{
	const struct ctl_table *t = vm_sysctl(*keyp);

	if (!t)
		return false;
	++*keyp;
	snprintf(name, NAME_MAX + 1, "%s", t->name);
	return true;
}

static int vm_node(uint32_t key, struct ctl_node *node)
{
	const struct ctl_table *t = vm_sysctl(key - 1);

	if (!t)
		return -ENOENT;
	*node = (struct ctl_node){
		.mode = S_IFREG | (t->type == SYSCTL_ACTION ? 0200 : 0644),
		.uid = geteuid(),
		.file = &vm_file,
	};
	return 0;
}

const struct ctl_dir ctl_vm_dir = {
	.parent	= CTL_ROOT,
	.find	= vm_find,
	.next	= vm_next,
	.node	= vm_node,
};
