/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lockdep.h - the lock order, and the locks that enforce it
 *
 * LOCK ORDER, outermost first. A thread may take a lock only if its rank is
 * greater than that of every lock it holds; two of one rank are taken lowest
 * address first, with *_lock_nested(). The debug build keeps each thread's
 * held ranks and aborts on an inversion, at the first run that takes the wrong
 * order rather than at the first that deadlocks.
 *
 *   LOCK_CLIENT	daemon: changes of one client's mappings, in order
 *   LOCK_READDIR	fs: the position of an open directory, or in a trace
 *   LOCK_INODE		inode->i_rwsem: write, truncate; names in a directory
 *			(rwsem)
 *   LOCK_MMAP		mm->mmap_lock: the VMAs of a client	(rwsem)
 *   LOCK_KCOPY		fs: a client waits until the kernel has dropped its
 *			copy of a page
 *   LOCK_INVALIDATE	mapping->invalidate_lock: fill, truncate (rwsem)
 *   (page lock)	PG_locked; several at once in index order. Not tracked:
 *			it is released by whoever completes the I/O
 *   LOCK_RENAME	fs: names of directories do not change	(rwsem). So
 *			far in because files are opened by name for I/O on
 *			locked pages; nothing is allocated under it
 *   LOCK_SHRINKER	list of shrinkers, held while they run	(rwsem)
 *   LOCK_ICACHE	fs: inode table and inode LRU
 *   LOCK_ALIAS		inode->i_lock: its names, attributes, flags
 *   LOCK_FDCACHE	fs: which inode has a descriptor open
 *   LOCK_WINDOW_DEMOTE	window->demote_sem: pages on their way out (rwsem)
 *   LOCK_WINDOW	window->lock: its size, which chunks are armed, scans
 *   LOCK_I_MMAP	window->i_mmap_lock: VMAs of a file	(rwsem)
 *   LOCK_MMLIST	which mms there are
 *   LOCK_PTL		mm->page_table_lock
 *   LOCK_WB_LIST	wb->list_lock: which mappings are dirty
 *   LOCK_TREE		mapping->tree_lock
 *   LOCK_LRUVEC	lruvec->lock
 *   LOCK_SLAB_CHAIN	list of kmem_caches
 *   LOCK_SLAB_MAG	a thread's free list of one kmem_cache
 *   LOCK_SLAB		kmem_cache->lock: partial and full slabs
 *   LOCK_PCP_LIST	which threads have free lists of frames
 *   LOCK_PCP		a thread's free list of order-0 frames
 *   LOCK_ZONE		zone->lock: buddy free lists
 *   LOCK_WORKERS	fs: which worker threads there are
 *   LOCK_IO		fs: the I/O thread's queue
 *   LOCK_PDFLUSH	what flushers wait for
 *   LOCK_SWAP		which swap areas there are, and whose turn it is
 *   LOCK_LEAF		takes nothing inside itself, but may count events:
 *   LOCK_VMSTAT	which threads count events
 *   LOCK_TRACE		which threads have rings of trace events, and who reads
 *
 * Allocation with direct reclaim may take everything from LOCK_RENAME
 * down and may wait for writeback, so it is called with nothing held from
 * there down, and never while holding the lock of a dirty page.
 *
 * Source: Linux Documentation/locking and mm/filemap.c's table; ranks in one
 * enum after jemalloc's witness.h.
 */
#ifndef PAGEFS_LOCKDEP_H
#define PAGEFS_LOCKDEP_H

#include <pthread.h>
#include "blocking.h"
#include "bug.h"

enum lock_rank {
	LOCK_CLIENT = 1,
	LOCK_READDIR,
	LOCK_INODE,
	LOCK_MMAP,
	LOCK_KCOPY,
	LOCK_INVALIDATE,
	LOCK_RENAME,
	LOCK_SHRINKER,
	LOCK_ICACHE,
	LOCK_ALIAS,
	LOCK_FDCACHE,
	LOCK_WINDOW_DEMOTE,
	LOCK_WINDOW,
	LOCK_I_MMAP,
	LOCK_MMLIST,
	LOCK_PTL,
	LOCK_WB_LIST,
	LOCK_TREE,
	LOCK_LRUVEC,
	LOCK_SLAB_CHAIN,
	LOCK_SLAB_MAG,
	LOCK_SLAB,
	LOCK_PCP_LIST,
	LOCK_PCP,
	LOCK_ZONE,
	LOCK_WORKERS,
	LOCK_IO,
	LOCK_PDFLUSH,
	LOCK_SWAP,
	LOCK_LEAF,
	LOCK_VMSTAT,
	LOCK_TRACE,
	NR_LOCK_RANKS,
};

#ifdef PAGEFS_DEBUG
void lockdep_acquire(const void *lock, enum lock_rank rank, int nested);
void lockdep_release(const void *lock);
bool lockdep_is_held(const void *lock);
/* Aborts if this thread holds any lock of rank @rank or further in. */
void lockdep_assert_none_from(enum lock_rank rank);
#define lockdep_assert_held(l)	BUG_ON(!lockdep_is_held(l))
#else
static inline void lockdep_acquire(const void *lock, enum lock_rank rank,
				   int nested)
{
	(void)lock, (void)rank, (void)nested;
}
static inline void lockdep_release(const void *lock) { (void)lock; }
static inline void lockdep_assert_none_from(enum lock_rank rank) { (void)rank; }
#define lockdep_assert_held(l)	do { (void)sizeof(l); } while (0)
#endif

/* A sleeping mutual exclusion lock. A failed pthread call is a BUG. */
struct mutex {
	pthread_mutex_t m;
#ifdef PAGEFS_DEBUG
	enum lock_rank rank;
#endif
};

static inline void mutex_init(struct mutex *lock, enum lock_rank rank)
{
	BUG_ON(pthread_mutex_init(&lock->m, NULL));
#ifdef PAGEFS_DEBUG
	lock->rank = rank;
#else
	(void)rank;
#endif
}

#ifdef PAGEFS_DEBUG
#define MUTEX_INITIALIZER(r)	{ .m = PTHREAD_MUTEX_INITIALIZER, .rank = (r) }
#define LOCK_RANK_OF(l)		((l)->rank)
#else
#define MUTEX_INITIALIZER(r)	{ .m = PTHREAD_MUTEX_INITIALIZER }
#define LOCK_RANK_OF(l)		LOCK_LEAF
#endif

static inline void mutex_destroy(struct mutex *lock)
{
	BUG_ON(pthread_mutex_destroy(&lock->m));
}

static inline void mutex_lock(struct mutex *lock)
{
	lockdep_acquire(lock, LOCK_RANK_OF(lock), 0);
	BUG_ON(pthread_mutex_lock(&lock->m));
}

/* A second lock of the same rank; the caller orders them by address. */
static inline void mutex_lock_nested(struct mutex *lock)
{
	lockdep_acquire(lock, LOCK_RANK_OF(lock), 1);
	BUG_ON(pthread_mutex_lock(&lock->m));
}

static inline bool mutex_trylock(struct mutex *lock)
{
	if (pthread_mutex_trylock(&lock->m))
		return false;
	lockdep_acquire(lock, LOCK_RANK_OF(lock), 2);
	return true;
}

static inline void mutex_unlock(struct mutex *lock)
{
	lockdep_release(lock);
	BUG_ON(pthread_mutex_unlock(&lock->m));
}

/* Many readers or one writer; a waiting writer keeps new readers out. */
struct rw_semaphore {
	pthread_rwlock_t rw;
#ifdef PAGEFS_DEBUG
	enum lock_rank rank;
#endif
};

/* lockdep.c; the attribute that prefers writers is not free to build. */
void init_rwsem(struct rw_semaphore *sem, enum lock_rank rank);

static inline void destroy_rwsem(struct rw_semaphore *sem)
{
	BUG_ON(pthread_rwlock_destroy(&sem->rw));
}

static inline void down_read(struct rw_semaphore *sem)
{
	lockdep_acquire(sem, LOCK_RANK_OF(sem), 0);
	if (likely(!pthread_rwlock_tryrdlock(&sem->rw)))
		return;
	thread_will_block();	/* held over I/O, unlike mutexes */
	BUG_ON(pthread_rwlock_rdlock(&sem->rw));
}

static inline bool down_read_trylock(struct rw_semaphore *sem)
{
	if (pthread_rwlock_tryrdlock(&sem->rw))
		return false;
	lockdep_acquire(sem, LOCK_RANK_OF(sem), 2);
	return true;
}

static inline void up_read(struct rw_semaphore *sem)
{
	lockdep_release(sem);
	BUG_ON(pthread_rwlock_unlock(&sem->rw));
}

static inline void down_write(struct rw_semaphore *sem)
{
	lockdep_acquire(sem, LOCK_RANK_OF(sem), 0);
	if (likely(!pthread_rwlock_trywrlock(&sem->rw)))
		return;
	thread_will_block();
	BUG_ON(pthread_rwlock_wrlock(&sem->rw));
}

static inline void down_write_nested(struct rw_semaphore *sem)
{
	lockdep_acquire(sem, LOCK_RANK_OF(sem), 1);
	if (likely(!pthread_rwlock_trywrlock(&sem->rw)))
		return;
	thread_will_block();
	BUG_ON(pthread_rwlock_wrlock(&sem->rw));
}

static inline bool down_write_trylock(struct rw_semaphore *sem)
{
	if (pthread_rwlock_trywrlock(&sem->rw))
		return false;
	lockdep_acquire(sem, LOCK_RANK_OF(sem), 2);
	return true;
}

static inline void up_write(struct rw_semaphore *sem)
{
	lockdep_release(sem);
	BUG_ON(pthread_rwlock_unlock(&sem->rw));
}

#endif /* PAGEFS_LOCKDEP_H */
