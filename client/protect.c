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

static int protect_list(struct pagefs *p, struct mapping **list, ssize_t nr,
			int prot)
{
	const uintptr_t start = list[0]->start, end = list[nr - 1]->end;
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

static int do_mprotect(struct pagefs *p, uintptr_t start, uintptr_t end,
		       int prot)
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
		err = any_lost(list, nr) ? -ENOTCONN :
		      protect_list(p, list, nr, prot);
	if (nr >= 0)
		heap_free(list);
	table_merge(p, start, end);
out:
	mapping_free(spare[0]);
	mapping_free(spare[1]);
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
	err = do_mprotect(p, start, end, prot);
	layout_unlock(p);
	return err;
}
