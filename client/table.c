// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/table.c - which addresses are ours
 *
 *   table[]  sorted by address, of all connections; no two overlap
 *     | m0 |  m1  | foreign | m2 |          conns --> p --> base, end
 *     +----+------+---------+----+---------------------------------+
 *     |<------------------ region of p ------------------ - - - -->|
 *
 * An array of pointers: a lookup is a binary search, and the shift of an insert
 * is 80 KiB with 10,000 mappings, 10 us beside the round trips of a mmap.
 *
 * The preloaded library asks about every munmap and mprotect of a program, so
 * addresses outside everything ever ours are told from two numbers, without a
 * lock: [lowest, highest). They only widen.
 *
 * A foreign entry is memory the program itself put into our region with
 * MAP_FIXED: the daemon does not know of it and may offer the place to us.
 *
 * T1. Memory for the pointer is there when a struct mapping is: inserting never
 *     fails (cap >= nr_objects).
 * T2. The array is changed under table_lock. An entry that is not foreign is
 *     changed under its p->layout as well, so a holder of that may keep
 *     pointers to such entries without table_lock.
 * Locks: table_lock; nothing is taken inside.
 */
#include <string.h>

#include "internal.h"
#include "sys.h"

pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static struct mapping **table;
static size_t nr_mappings, nr_objects, cap;

static atomic_uintptr_t lowest = UINTPTR_MAX;
static atomic_uintptr_t highest;

/* ---- entries ---- */

static bool make_room(void)
{
	struct mapping **bigger;
	size_t want = cap ? 2 * cap : 64;

	if (nr_objects < cap)
		return true;
	bigger = heap_grow(table, want * sizeof(*table));
	if (!bigger)
		return false;
	table = bigger;
	cap = want;
	return true;
}

struct mapping *mapping_alloc(void)
{
	struct mapping *m = heap_alloc(sizeof(*m));
	bool ok;

	if (!m)
		return NULL;
	pthread_rwlock_wrlock(&table_lock);
	ok = make_room();
	nr_objects += ok;		/* T1 */
	pthread_rwlock_unlock(&table_lock);
	if (ok)
		return m;
	heap_free(m);
	return NULL;
}

static void __mapping_free(struct mapping *m)
{
	nr_objects--;
	heap_free(m);
}

void mapping_free(struct mapping *m)
{
	if (!m)
		return;
	pthread_rwlock_wrlock(&table_lock);
	__mapping_free(m);
	pthread_rwlock_unlock(&table_lock);
}

/* The first that ends after @addr. Context: table_lock. */
static size_t table_index(uintptr_t addr)
{
	size_t low = 0, high = nr_mappings, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (table[mid]->end > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void insert_at(size_t i, struct mapping *m)
{
	memmove(&table[i + 1], &table[i],
		(nr_mappings - i) * sizeof(*table));
	table[i] = m;
	nr_mappings++;
}

static void remove_at(size_t i)
{
	nr_mappings--;
	memmove(&table[i], &table[i + 1],
		(nr_mappings - i) * sizeof(*table));
}

/* Context: table_lock. Relaxed: who has an address of ours to ask about has got
 * it by something that orders the two threads. */
static void widen(uintptr_t start, uintptr_t end)
{
	if (start < atomic_load_explicit(&lowest, memory_order_relaxed))
		atomic_store_explicit(&lowest, start, memory_order_relaxed);
	if (end > atomic_load_explicit(&highest, memory_order_relaxed))
		atomic_store_explicit(&highest, end, memory_order_relaxed);
}

void table_insert(struct mapping *m)
{
	pthread_rwlock_wrlock(&table_lock);
	insert_at(table_index(m->start), m);
	widen(m->start, m->end);
	pthread_rwlock_unlock(&table_lock);
}

/* ---- cutting and joining ---- */

static void __table_split(size_t i, uintptr_t addr, struct mapping *upper)
{
	struct mapping *lower = table[i];

	*upper = *lower;
	upper->start = addr;
	upper->pos += addr - lower->start;
	lower->end = addr;
	file_hold(lower->file);
	insert_at(i + 1, upper);
}

void table_split(struct pagefs *p, uintptr_t addr, struct mapping **spare)
{
	size_t i;

	pthread_rwlock_wrlock(&table_lock);
	i = table_index(addr);
	if (i < nr_mappings && table[i]->start < addr && table[i]->p == p &&
	    !table[i]->foreign) {
		__table_split(i, addr, *spare);
		*spare = NULL;
	}
	pthread_rwlock_unlock(&table_lock);
}

/* Would the kernel, too, take the two for one? */
static bool can_merge(const struct mapping *a, const struct mapping *b)
{
	return a->end == b->start && a->p == b->p && a->file == b->file &&
	       !a->foreign && !b->foreign && a->pos + (a->end - a->start) == b->pos &&
	       a->prot == b->prot && a->kind == b->kind &&
	       a->memory == b->memory && a->region == b->region &&
	       a->at_fork == b->at_fork && a->private == b->private &&
	       a->lost == b->lost;
}

void table_merge(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	struct mapping *m;
	size_t i;

	pthread_rwlock_wrlock(&table_lock);
	/* From the one that ends where the range begins. */
	i = table_index(start ? start - 1 : 0);
	while (i + 1 < nr_mappings && table[i]->end <= end) {
		m = table[i + 1];
		if (table[i]->p != p || !can_merge(table[i], m)) {
			i++;
			continue;
		}
		table[i]->end = m->end;
		if (m->file)
			m->file->users--;	/* never the last: table[i] has one */
		remove_at(i + 1);
		__mapping_free(m);
	}
	pthread_rwlock_unlock(&table_lock);
}

ssize_t table_collect(struct pagefs *p, uintptr_t start, uintptr_t end,
		      struct mapping ***listp)
{
	struct mapping **list;
	size_t first, last, nr = 0;

	pthread_rwlock_rdlock(&table_lock);
	first = table_index(start);
	for (last = first; last < nr_mappings && table[last]->start < end; last++)
		;
	list = heap_alloc((last - first + 1) * sizeof(*list));
	for (size_t i = first; list && i < last; i++)
		if (table[i]->p == p && !table[i]->foreign)
			list[nr++] = table[i];
	pthread_rwlock_unlock(&table_lock);
	if (!list)
		return -ENOMEM;
	*listp = list;
	return (ssize_t)nr;
}

struct mapping *table_take(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	struct mapping *taken = NULL, **tail = &taken, *m;
	size_t i, to;

	pthread_rwlock_wrlock(&table_lock);
	i = to = table_index(start);
	for (; i < nr_mappings && table[i]->end <= end; i++) {
		m = table[i];
		if (m->p != p || m->foreign || m->start < start) {
			table[to++] = m;
			continue;
		}
		m->next = NULL;
		*tail = m;
		tail = &m->next;
	}
	memmove(&table[to], &table[i], (nr_mappings - i) * sizeof(*table));
	nr_mappings -= i - to;
	pthread_rwlock_unlock(&table_lock);
	return taken;
}

void table_set_prot(struct mapping *m, int prot)
{
	pthread_rwlock_wrlock(&table_lock);
	m->prot = prot;
	pthread_rwlock_unlock(&table_lock);
}

void table_become_foreign(struct mapping *m)
{
	pthread_rwlock_wrlock(&table_lock);
	*m = (struct mapping){
		.start = m->start, .end = m->end, .p = m->p, .foreign = true,
	};
	pthread_rwlock_unlock(&table_lock);
}

void table_set_at_fork(struct mapping *m, enum at_fork at_fork)
{
	pthread_rwlock_wrlock(&table_lock);
	m->at_fork = at_fork;
	pthread_rwlock_unlock(&table_lock);
}

void table_set_lost(struct mapping *m)
{
	pthread_rwlock_wrlock(&table_lock);
	m->lost = true;
	pthread_rwlock_unlock(&table_lock);
}

/* ---- questions ---- */

bool table_near(uintptr_t start, uintptr_t end)
{
	return start < atomic_load_explicit(&highest, memory_order_relaxed) &&
	       end > atomic_load_explicit(&lowest, memory_order_relaxed);
}

bool table_has(struct pagefs *p)
{
	bool has = false;

	pthread_rwlock_rdlock(&table_lock);
	for (size_t i = 0; i < nr_mappings && !has; i++)
		has = table[i]->p == p && !table[i]->foreign;
	pthread_rwlock_unlock(&table_lock);
	return has;
}

bool table_has_memory(struct pagefs *p)
{
	for (size_t i = 0; i < nr_mappings; i++)
		if (table[i]->p == p && !table[i]->foreign && !table[i]->lost &&
		    table[i]->memory != MEMORY_FILE &&
		    table[i]->at_fork == AT_FORK_KEEP)
			return true;
	return false;
}

bool table_is_used(uintptr_t start, uintptr_t end)
{
	bool used;
	size_t i;

	pthread_rwlock_rdlock(&table_lock);
	i = table_index(start);
	used = i < nr_mappings && table[i]->start < end;
	pthread_rwlock_unlock(&table_lock);
	return used;
}

struct pagefs *table_other(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	struct pagefs *other = NULL;

	pthread_rwlock_rdlock(&table_lock);
	for (size_t i = table_index(start);
	     i < nr_mappings && table[i]->start < end && !other; i++)
		if (table[i]->p != p && !table[i]->foreign)
			other = table[i]->p;
	pthread_rwlock_unlock(&table_lock);
	return other;
}

/* The region with a byte of the range, or NULL. Context: table_lock. */
static struct pagefs *find_region(uintptr_t start, uintptr_t end)
{
	struct pagefs *p, *found = NULL;

	for (p = conns; p; p = p->next)
		if (start < p->end && end > p->base &&
		    (!found || p->base < found->base))
			found = p;
	return found;
}

/* What begins at @piece->start where no entry is. Context: table_lock. */
static void unmapped_piece(struct piece *piece)
{
	struct pagefs *p = find_region(piece->start, piece->end);

	piece->kind = RANGE_OUTSIDE;
	if (!p)
		return;
	if (p->base > piece->start) {
		piece->end = p->base;
		return;
	}
	piece->kind = RANGE_RESERVED;
	piece->p = p;
	if (piece->end > p->end)
		piece->end = p->end;
}

static void mapped_piece(struct piece *piece, size_t i)
{
	const struct mapping *m = table[i];
	uintptr_t end = m->end;

	piece->kind = m->foreign ? RANGE_FOREIGN : RANGE_MAPPED;
	piece->p = m->p;
	while (++i < nr_mappings && table[i]->start == end &&
	       table[i]->p == m->p && table[i]->foreign == m->foreign)
		end = table[i]->end;
	if (piece->end > end)
		piece->end = end;
}

struct piece table_piece(uintptr_t start, uintptr_t end)
{
	struct piece piece = { .start = start, .end = end };
	size_t i;

	if (!table_near(start, end))
		return piece;
	pthread_rwlock_rdlock(&table_lock);
	i = table_index(start);
	if (i < nr_mappings && table[i]->start <= start) {
		mapped_piece(&piece, i);
	} else {
		if (i < nr_mappings && table[i]->start < end)
			piece.end = table[i]->start;
		unmapped_piece(&piece);
	}
	pthread_rwlock_unlock(&table_lock);
	return piece;
}

PAGEFS_API struct pagefs *pagefs_of(const void *addr)
{
	struct piece piece = table_piece((uintptr_t)addr, (uintptr_t)addr + 1);

	return piece.kind == RANGE_MAPPED ? piece.p : NULL;
}

PAGEFS_API int pagefs_is_mapped(const void *addr)
{
	return pagefs_of(addr) != NULL;
}

/* ---- what is the program's own inside a region ---- */

int table_foreign_del(uintptr_t start, uintptr_t end)
{
	struct mapping *spare = mapping_alloc(), *m;
	size_t i;

	if (!spare)
		return -ENOMEM;
	pthread_rwlock_wrlock(&table_lock);
	i = table_index(start);
	while (i < nr_mappings && table[i]->start < end) {
		m = table[i];
		if (!m->foreign) {
			i++;
		} else if (m->start < start && m->end > end) {
			__table_split(i, end, spare);
			spare = NULL;
			m->end = start;
			break;
		} else if (m->start < start) {
			m->end = start;
			i++;
		} else if (m->end > end) {
			m->start = end;
			break;
		} else {
			remove_at(i);
			__mapping_free(m);
		}
	}
	if (spare)
		__mapping_free(spare);
	pthread_rwlock_unlock(&table_lock);
	return 0;
}

/* The part of [start, end) that begins with it and is in a region, or that
 * leads up to one. Return: the region, or NULL. */
static struct pagefs *region_part(uintptr_t start, uintptr_t *endp)
{
	struct piece piece = { .start = start, .end = *endp };

	pthread_rwlock_rdlock(&table_lock);
	unmapped_piece(&piece);
	pthread_rwlock_unlock(&table_lock);
	*endp = piece.end;
	return piece.kind == RANGE_RESERVED ? piece.p : NULL;
}

int table_foreign_add(uintptr_t start, uintptr_t end)
{
	struct mapping *m;
	struct pagefs *p;
	uintptr_t until;
	int err;

	err = table_foreign_del(start, end);
	for (; start < end && !err; start = until) {
		until = end;
		p = region_part(start, &until);
		if (!p)
			continue;
		m = mapping_alloc();
		if (!m)
			return -ENOMEM;
		m->start = start;
		m->end = until;
		m->p = p;
		m->foreign = true;
		table_insert(m);
	}
	return err;
}

void table_add_region(struct pagefs *p)
{
	pthread_rwlock_wrlock(&table_lock);
	p->next = conns;
	conns = p;
	if (p->end)
		widen(p->base, p->end);
	pthread_rwlock_unlock(&table_lock);
}

static void drop_foreign(struct pagefs *p)
{
	size_t to = 0;

	for (size_t i = 0; i < nr_mappings; i++) {
		if (table[i]->p == p)
			__mapping_free(table[i]);
		else
			table[to++] = table[i];
	}
	nr_mappings = to;
}

void table_del_region(struct pagefs *p)
{
	struct pagefs **pp;

	pthread_rwlock_wrlock(&table_lock);
	drop_foreign(p);
	for (pp = &conns; *pp != p; pp = &(*pp)->next)
		;
	*pp = p->next;
	pthread_rwlock_unlock(&table_lock);
}
