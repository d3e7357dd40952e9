/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/icache.h - what those share who look into the inode table
 */
#ifndef PAGEFS_ICACHE_H
#define PAGEFS_ICACHE_H

#include <limits.h>

#include "internal.h"
#include "swap.h"

/* Fields: (A) atomic; (C) constant after init; (H) lock. */
struct icache {
	struct mutex lock;		/* LOCK_ICACHE */
	pthread_cond_t gone;		/* a freeing inode has left the table */
	struct list_head lru;		/* (H) unused inodes, newest first */
	unsigned long nr;		/* (H) in the table; read as estimates */
	unsigned long nr_unused;	/* (H) */
	uint64_t prune_next;		/* (H) nodeid from which to look on */
	atomic_ulong nr_known;		/* (A) inodes the kernel knows */
	atomic_ulong nr_evicted;	/* (A) ever; rises under (H) */
	unsigned long nr_left;		/* (H) of these, those out of the table */
	struct kmem_cache *cachep;	/* (C) */
	struct shrinker shrinker;	/* (C) */
};
extern struct icache icache;

/*
 * i_count of an inode that is being evicted: far enough below 0 that no number
 * of mistaken references brings it back.
 */
#define COUNT_FREEING	(LONG_MIN / 2)

/* ---- inode.c; __ with icache.lock held ---- */

void __lru_del(struct inode *inode);	/* no-op if it is not on it */
/* False if it is being freed. */
bool __iget(struct inode *inode);
/* True if it was unused: then the caller must evict() it. */
bool __begin_evict(struct inode *inode);
/* iput() without its consequences. Context: no icache.lock. What is due goes
 * to @names. Return: false if references are left. */
bool __iput(struct inode *inode, struct list_head *names);
/* Out of the table, or never in it. */
void inode_destroy(struct inode *inode);
/* @fn for each inode, referenced. Nobody else is making or evicting any. */
void for_each_inode(void (*fn)(struct inode *inode, void *arg), void *arg);

/* ---- evict.c ---- */

/* After __begin_evict(). Its names go to @names, for put_names(). */
void evict(struct inode *inode, struct list_head *names);
/* Puts the parents of evicted inodes' names, and theirs when they go too. */
void put_names(struct list_head *names);
/* An inode has become unused. */
void icache_trim(void);
/* The kernel knows @nr inodes now. */
void icache_known(unsigned long nr);
void shrinker_init(void);
void shrinker_exit(void);
/* All unused inodes, dirty or not, and those that become unused by it. */
void evict_unused(void);
/*
 * What is left: references nobody will put any more, of requests cut off with
 * the mount. Nothing runs any more. A BUG in debug builds.
 */
void evict_leaked(void);

/* ---- itable.c; icache.lock held unless it says otherwise ---- */

/* Nodeids from here to CTL_NODEID_BASE are given out by us. */
#define NODEID_DYNAMIC	(1ULL << 62)
#define NODEID_ROOT	1ULL

/* Inodes of one device that are not called by their inode number. */
struct itable_dev;

/* The mount's root is (@dev, @ino). Context: nothing runs yet. */
void itable_init(dev_t dev, ino_t ino);
/* Every inode is gone. */
void itable_exit(void);

/* Is (@dev, @ino) known to the kernel by @ino? Any context. */
bool itable_natural(dev_t dev, ino_t ino);
/* Context: icache.lock or RCU. The inode, which may be on its way out. */
struct inode *itable_find_nodeid(uint64_t nodeid);
struct inode *itable_find(dev_t dev, ino_t ino);

/*
 * What an insertion will need of memory. Context: may sleep, no locks.
 * *@devp, which may have been made for it, goes to itable_insert() and, if
 * still there afterwards, to kfree(). Return: 0 or -ENOMEM.
 */
int itable_prepare(dev_t dev, ino_t ino, struct itable_dev **devp);
/* Gives @inode its nodeid. Return: 0 or -ENOMEM. */
int itable_insert(struct inode *inode, struct itable_dev **devp);
void itable_delete(struct inode *inode);

/* Up to @max inodes from @nodeid on; *@nodeid moves past them. */
unsigned int itable_gang(uint64_t *nodeid, struct inode **inodes,
			 unsigned int max);

/* ---- alias.c ---- */

/* inode_path(). Context: sb.rename_lock, icache.lock; @inode is in the table. */
const char *__inode_path(struct inode *inode, char *buf, size_t size);

#endif /* PAGEFS_ICACHE_H */
