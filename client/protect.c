// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/protect.c - mprotect
 *
 *   rights of a page:   now  ----->  now & new  ----->  new
 *   in the kernel           mprotect            mprotect
 *   with the daemon                   MPROTECT
 *
 * What is taken away is gone in the kernel before the daemon believes it, and
 * what is given is the kernel's last: so no page is ever accessible that the
 * daemon takes for protected. It may refuse (a descriptor for reading); then
 * the pages get back what they had.
 *
 * A private mapping that was made for reading shows the file itself, and cannot be
 * stored to. The kernel can map it as well, over ours in one step, so that other
 * threads read on, and makes the copies: protect_by_kernel(), for preload.c.
 *
 * Locks: p->layout, over the request.
 */

#include "internal.h"
#include "sys.h"

static int protect_one(const struct mapping *m, int prot)
{
	return sys_mprotect(m->start, m->end - m->start, prot);
}

/* Does the list cover the range without a hole? */
static bool is_covered(struct mapping **list, ssize_t nr, uintptr_t start,
		       uintptr_t end)
{
	for (ssize_t i = 0; i < nr; i++) {
		if (list[i]->start != start)
			return false;
		start = list[i]->end;
	}
	return start == end;
}

static bool any_lost(struct mapping **list, ssize_t nr)
{
	for (ssize_t i = 0; i < nr; i++)
		if (list[i]->lost)
			return true;
	return false;
}

static void give_back(struct mapping **list, ssize_t nr)
{
	for (ssize_t i = 0; i < nr; i++)
		protect_one(list[i], list[i]->prot);
}

static int take_away(struct mapping **list, ssize_t nr, int prot)
{
	int err = 0;

	for (ssize_t i = 0; i < nr && !err; i++)
		if (list[i]->prot & ~prot)
			err = protect_one(list[i], list[i]->prot & prot);
	return err;
}

static int protect_list(struct mapping **list, ssize_t nr, int prot)
{
	const uintptr_t start = list[0]->start, end = list[nr - 1]->end;
	struct pagefs *p = list[0]->p;
	int err;

	err = take_away(list, nr, prot);
	if (!err)
		err = ask(p, PAGEFS_MPROTECT, start, end, (uint64_t)prot);
	if (err) {
		give_back(list, nr);
		return err;
	}
	for (ssize_t i = 0; i < nr; i++) {
		/* Out of VMAs: fewer rights than the daemon thinks. */
		if (prot & ~list[i]->prot)
			err = protect_one(list[i], prot) ?: err;
		table_set_prot(list[i], prot);
	}
	return err;
}

/* Calls @fn for the mappings that are the range, if it has no hole. */
static int for_protected(struct pagefs *p, uintptr_t start, uintptr_t end,
			 int prot, int (*fn)(struct mapping **list, ssize_t nr,
					     int prot))
{
	struct mapping *spare[2] = { mapping_alloc(), mapping_alloc() };
	struct mapping **list = NULL;
	int err = -ENOMEM;
	ssize_t nr;

	if (!spare[0] || !spare[1])
		goto out;
	table_split(p, start, &spare[0]);
	table_split(p, end, &spare[1]);
	nr = table_collect(p, start, end, &list);
	if (nr > 0 && is_covered(list, nr, start, end))
		err = any_lost(list, nr) ? -ENOTCONN : fn(list, nr, prot);
	if (nr >= 0)
		heap_free(list);
	table_merge(p, start, end);
out:
	mapping_free(spare[0]);
	mapping_free(spare[1]);
	return err;
}

/* ---- left to the kernel ---- */

static bool is_for_reading(const struct mapping *m)
{
	return m->private && m->memory == MEMORY_FILE && !m->lost;
}

static int map_by_kernel(struct mapping *m, int prot)
{
	const uintptr_t start = m->start, end = m->end;
	struct kept_file *file = m->file;
	struct pagefs *p = m->p;
	int err;

	err = (int)keeper_call(p, KEEPER_MMAP, (uint64_t[KEEPER_ARGS]){
		(uint64_t)file->kept, start, end - start, (uint64_t)prot,
		m->pos });
	if (err)
		return err;
	/* It may have heard of it already, by its userfaultfd. */
	ask(p, PAGEFS_MUNMAP, start, end, 0);
	if (in_region(p, start, end))
		table_become_foreign(m);
	else
		mapping_free(table_take(p, start, end));
	file_put(p, file);
	return 0;
}

static int map_list_by_kernel(struct mapping **list, ssize_t nr, int prot)
{
	int err = 0;

	for (ssize_t i = 0; i < nr; i++)
		if (!is_for_reading(list[i]))
			return -EACCES;
	for (ssize_t i = 0; i < nr && !err; i++)
		err = map_by_kernel(list[i], prot);
	return err;
}

int protect_by_kernel(struct pagefs *p, uintptr_t start, uintptr_t end, int prot)
{
	int err = layout_begin(p);

	if (err)
		return err;
	err = for_protected(p, start, end, prot, map_list_by_kernel);
	layout_unlock(p);
	return err;
}

PAGEFS_API int pagefs_mprotect(struct pagefs *p, void *addr, size_t len,
			       int prot)
{
	uintptr_t start, end;
	int err;

	err = range_check(addr, len, &start, &end);
	if (err || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	err = layout_begin(p);
	if (err)
		return err;
	err = for_protected(p, start, end, prot, protect_list);
	layout_unlock(p);
	return err;
}
