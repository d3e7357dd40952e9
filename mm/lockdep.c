// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/lockdep.c - lock order checking, rwsem set-up, and how we die
 *
 *   held[]  | LOCK_INODE 0x..40 | LOCK_TREE 0x..90 | LOCK_ZONE 0x..10 |
 *             outermost                              held_depth - 1
 *
 * Each thread keeps the locks it holds, in the order taken. A thread that
 * blocks for a lock ranked at or above one it holds could be one half of a
 * deadlock, whether or not the other half exists in this run: that aborts.
 * A trylock does not block, so it is recorded but not judged.
 *
 * Locks:   none; everything is thread-local.
 * Source:  Linux kernel/locking/lockdep.c (idea), jemalloc witness.h (static
 *          ranks). Differs: ranks are given, not learnt, so there is no graph.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lockdep.h"
#include "rcu.h"

#ifdef PAGEFS_TSAN
char rcu_tsan_clock;
#endif

__thread void (*thread_blocks)(void);	/* blocking.h */

void __bug(const char *file, int line, const char *func, const char *what)
{
	/* dprintf: no stdio lock, which a thread dying elsewhere may hold. */
	dprintf(STDERR_FILENO, "%s:%d: %s: %s\n", file, line, func, what);
	abort();
}

void init_rwsem(struct rw_semaphore *sem, enum lock_rank rank)
{
	pthread_rwlockattr_t attr;

	BUG_ON(pthread_rwlockattr_init(&attr));
	/* glibc's default lets a stream of readers starve a writer. */
	BUG_ON(pthread_rwlockattr_setkind_np(&attr,
			PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	BUG_ON(pthread_rwlock_init(&sem->rw, &attr));
	BUG_ON(pthread_rwlockattr_destroy(&attr));
#ifdef PAGEFS_DEBUG
	sem->rank = rank;
#else
	(void)rank;
#endif
}

#ifdef PAGEFS_DEBUG

/* Arbitrary: the deepest nesting of ranks, plus room for nested i_rwsems. */
#define MAX_HELD	32

struct held_lock {
	const void *lock;
	enum lock_rank rank;
};

static __thread struct held_lock held[MAX_HELD];
static __thread unsigned int held_depth;

static const char *const rank_names[NR_LOCK_RANKS] = {
	[0]			= "(no rank: never initialized?)",
	[LOCK_CLIENT]		= "LOCK_CLIENT",
	[LOCK_READDIR]		= "LOCK_READDIR",
	[LOCK_INODE]		= "LOCK_INODE",
	[LOCK_MMLIST]		= "LOCK_MMLIST",
	[LOCK_MMAP]		= "LOCK_MMAP",
	[LOCK_KCOPY]		= "LOCK_KCOPY",
	[LOCK_INVALIDATE]	= "LOCK_INVALIDATE",
	[LOCK_RENAME]		= "LOCK_RENAME",
	[LOCK_ICACHE]		= "LOCK_ICACHE",
	[LOCK_ALIAS]		= "LOCK_ALIAS",
	[LOCK_FDCACHE]		= "LOCK_FDCACHE",
	[LOCK_WINDOW_DEMOTE]	= "LOCK_WINDOW_DEMOTE",
	[LOCK_WINDOW]		= "LOCK_WINDOW",
	[LOCK_I_MMAP]		= "LOCK_I_MMAP",
	[LOCK_PTL]		= "LOCK_PTL",
	[LOCK_WB_LIST]		= "LOCK_WB_LIST",
	[LOCK_TREE]		= "LOCK_TREE",
	[LOCK_LRUVEC]		= "LOCK_LRUVEC",
	[LOCK_SHRINKER]		= "LOCK_SHRINKER",
	[LOCK_SLAB_CHAIN]	= "LOCK_SLAB_CHAIN",
	[LOCK_SLAB_MAG]		= "LOCK_SLAB_MAG",
	[LOCK_SLAB]		= "LOCK_SLAB",
	[LOCK_PCP_LIST]		= "LOCK_PCP_LIST",
	[LOCK_PCP]		= "LOCK_PCP",
	[LOCK_ZONE]		= "LOCK_ZONE",
	[LOCK_WORKERS]		= "LOCK_WORKERS",
	[LOCK_IO]		= "LOCK_IO",
	[LOCK_SWAP]		= "LOCK_SWAP",
	[LOCK_LEAF]		= "LOCK_LEAF",
	[LOCK_VMSTAT]		= "LOCK_VMSTAT",
	[LOCK_TRACE]		= "LOCK_TRACE",
};

static const char *rank_name(enum lock_rank rank)
{
	if ((unsigned int)rank >= NR_LOCK_RANKS || !rank_names[rank])
		return "(bad rank)";
	return rank_names[rank];
}

static void __cold __noreturn lockdep_bug(const char *what, enum lock_rank rank,
					  const struct held_lock *h)
{
	char text[160];

	snprintf(text, sizeof(text), "lockdep: %s %s%s%s", what,
		 rank_name(rank), h ? " while holding " : "",
		 h ? rank_name(h->rank) : "");
	__bug(__FILE__, __LINE__, __func__, text);
}

static void lockdep_check_order(const void *lock, enum lock_rank rank,
				int nested)
{
	for (unsigned int i = 0; i < held_depth; i++) {
		const struct held_lock *h = &held[i];

		if (h->lock == lock)
			lockdep_bug("taking again", rank, h);
		if (rank > h->rank)
			continue;
		if (nested && rank == h->rank && lock > h->lock)
			continue;
		lockdep_bug(rank == h->rank ? "unordered second" : "taking",
			    rank, h);
	}
}

/* @nested: 0, 1 from *_lock_nested(), 2 when a trylock has it already. */
void lockdep_acquire(const void *lock, enum lock_rank rank, int nested)
{
	if (rank < LOCK_CLIENT || rank >= NR_LOCK_RANKS)
		lockdep_bug("taking", rank, NULL);
	if (nested != 2)
		lockdep_check_order(lock, rank, nested);
	if (held_depth == MAX_HELD)
		lockdep_bug("too many locks, taking", rank, NULL);
	held[held_depth].lock = lock;
	held[held_depth].rank = rank;
	held_depth++;
}

void lockdep_release(const void *lock)
{
	unsigned int i = held_depth;

	while (i > 0 && held[i - 1].lock != lock)	/* mostly the last */
		i--;
	BUG_ON(i == 0);
	for (; i < held_depth; i++)
		held[i - 1] = held[i];
	held_depth--;
}

bool lockdep_is_held(const void *lock)
{
	for (unsigned int i = 0; i < held_depth; i++)
		if (held[i].lock == lock)
			return true;
	return false;
}

void lockdep_assert_none_from(enum lock_rank rank)
{
	for (unsigned int i = 0; i < held_depth; i++)
		if (held[i].rank >= rank)
			lockdep_bug("what needs no lock held from", rank,
				    &held[i]);
}

#endif /* PAGEFS_DEBUG */
