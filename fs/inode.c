// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/inode.c - inodes: how they come, who keeps them, when they go
 *
 *             iget              iput: last             prune (evict.c)
 *   (none) ---------> in use ------------> unused, on LRU ------------+
 *     ^               |   ^                     |                     v
 *     |               |   +---- iget, igrab ----+                 I_FREEING
 *     |               +--- iput: last, no name left --------------->|
 *     +------------------- evict: out of the table -------------------+
 *
 *   i_count counts what uses the inode inside the daemon, and 1 for all of what
 *   the kernel knows (i_nlookup): so whatever the kernel asks for has a
 *   reference, and finding it takes no lock.
 *
 * I1. i_count leaves 0 upwards only under icache.lock, or by igrab() of a
 *     dirty inode; the last reference is dropped only under icache.lock.
 * I2. An inode is evicted by the one thread that exchanged its i_count from 0
 *     to COUNT_FREEING under icache.lock. From then on igrab() fails, lookups
 *     by nodeid find nothing, and iget() waits until it has left the table.
 * I3. An unused inode is on the LRU, or was grabbed by a flusher since. One
 *     that is in use may still be on it; whoever meets it there takes it off.
 * I4. An inode's memory is freed after a grace period.
 * I5. An inode is made from attributes that were read when it was not in the
 *     table, or nothing had been evicted since:
 *
 *       fs_lookup			others
 *       fstatat: size 0
 *					write back 10 bytes, evict the inode
 *       iget: make it, size 0?
 *
 * The backing directory is ours while mounted, so what is cached of an unused
 * inode should be true; iget() compares size and mtime all the same, for they
 * are at hand, and starts afresh when somebody has meddled.
 *
 * Locks:  icache.lock > i_lock > list_lock, tree_lock.
 * Source: Linux fs/inode.c (iget_locked, iput_final, prune_icache_sb, lazy
 *         LRU). Differs: i_count is 0 for unused inodes, and the table is a
 *         radix tree.
 */
#include <limits.h>
#include <string.h>

#include "icache.h"

struct icache icache = {
	.lock = MUTEX_INITIALIZER(LOCK_ICACHE),
	.gone = PTHREAD_COND_INITIALIZER,
	.lru = LIST_HEAD_INIT(icache.lru),
};

/* ---- references ---- */

/* False if it is unused or being freed. */
static bool ihold_unless_unused(struct inode *inode)
{
	long c = atomic_load_explicit(&inode->i_count, memory_order_relaxed);

	do
		if (c <= 0)
			return false;
	while (!atomic_compare_exchange_weak(&inode->i_count, &c, c + 1));
	return true;
}

void ihold(struct inode *inode)
{
	long old = atomic_fetch_add(&inode->i_count, 1);

	VM_BUG_ON(old <= 0);
	(void)old;
}

bool igrab(struct inode *inode)
{
	long c = atomic_load(&inode->i_count);

	do
		if (c < 0)
			return false;
	while (!atomic_compare_exchange_weak(&inode->i_count, &c, c + 1));
	return true;
}

void __lru_del(struct inode *inode)
{
	lockdep_assert_held(&icache.lock);
	if (list_empty(&inode->i_lru))
		return;
	list_del_init(&inode->i_lru);
	WRITE_ONCE(icache.nr_unused, icache.nr_unused - 1);
}

/* No-op if it is on it. */
static void __lru_add(struct inode *inode)
{
	lockdep_assert_held(&icache.lock);
	if (!list_empty(&inode->i_lru))
		return;
	list_add(&inode->i_lru, &icache.lru);
	WRITE_ONCE(icache.nr_unused, icache.nr_unused + 1);
}

bool __iget(struct inode *inode)
{
	if (!igrab(inode))
		return false;
	__lru_del(inode);
	return true;
}

bool __begin_evict(struct inode *inode)
{
	long unused = 0;

	lockdep_assert_held(&icache.lock);
	if (!atomic_compare_exchange_strong(&inode->i_count, &unused,
					    COUNT_FREEING))
		return false;
	__lru_del(inode);
	atomic_fetch_add(&icache.nr_evicted, 1);		/* I5 */
	mutex_lock(&inode->i_lock);
	inode->i_state |= I_FREEING;
	mutex_unlock(&inode->i_lock);
	return true;
}

static bool dec_unless_last(struct inode *inode)
{
	long c = atomic_load_explicit(&inode->i_count, memory_order_relaxed);

	do
		if (c <= 1)
			return false;
	while (!atomic_compare_exchange_weak(&inode->i_count, &c, c - 1));
	return true;
}

static bool inode_is_unlinked(struct inode *inode)
{
	bool unlinked;

	mutex_lock(&inode->i_lock);
	unlinked = inode->i_state & I_UNLINKED;
	mutex_unlock(&inode->i_lock);
	return unlinked;
}

/*
 * An unused inode that nobody will come back to: no name is left, or none that
 * we know. The latter is found anew by the name that is looked up; kept, it
 * would hold a descriptor (i_pathfd), and the LRU has room for more inodes than
 * there may be descriptors. Context: icache.lock.
 */
static bool __is_abandoned(struct inode *inode)
{
	bool unlinked, nameless;

	mutex_lock(&inode->i_lock);
	unlinked = inode->i_state & I_UNLINKED;
	nameless = inode->i_pathfd >= 0 && list_empty(&inode->i_aliases);
	mutex_unlock(&inode->i_lock);
	return unlinked || (nameless && !inode_is_dirty(inode));
}

bool __iput(struct inode *inode, struct list_head *names)
{
	bool kill;
	long old;

	if (dec_unless_last(inode))
		return false;
	mutex_lock(&icache.lock);
	old = atomic_fetch_sub(&inode->i_count, 1);
	BUG_ON(old <= 0);
	if (old > 1) {
		mutex_unlock(&icache.lock);
		return false;
	}
	kill = __is_abandoned(inode) && __begin_evict(inode);
	if (!kill)
		__lru_add(inode);
	mutex_unlock(&icache.lock);
	if (kill)
		evict(inode, names);
	return true;
}

void iput(struct inode *inode)
{
	LIST_HEAD(names);

	if (!__iput(inode, &names))
		return;
	put_names(&names);
	icache_trim();
}

unsigned long nr_inodes(void)
{
	return READ_ONCE(icache.nr);
}

unsigned long nr_unused_inodes(void)
{
	return READ_ONCE(icache.nr_unused);
}

/* ---- two at a time ---- */

void lock_two_inodes(struct inode *a, struct inode *b)
{
	struct inode *first = a < b ? a : b;

	down_write(&first->i_rwsem);
	if (a != b)
		down_write_nested(&(first == a ? b : a)->i_rwsem);
}

void unlock_two_inodes(struct inode *a, struct inode *b)
{
	up_write(&a->i_rwsem);
	if (a != b)
		up_write(&b->i_rwsem);
}

/* ---- making ---- */

static struct inode *inode_alloc(const struct stat *st)
{
	struct inode *inode = kmem_cache_alloc(icache.cachep,
					       GFP_KERNEL | __GFP_ZERO);

	if (!inode)
		return NULL;
	address_space_init(&inode->i_data, &pagefs_aops, &sb.bdi, st->st_size);
	/* A file system mounted below the root: nobody has looked at its kind. */
	if (sb.root && st->st_dev != sb.root->i_dev)
		inode->i_data.stable_writes = true;
	inode->i_ino = st->st_ino;
	inode->i_dev = st->st_dev;
	inode->i_rdev = st->st_rdev;
	inode->i_mode = st->st_mode;
	inode->i_pathfd = -1;
	init_rwsem(&inode->i_rwsem, LOCK_INODE);
	mutex_init(&inode->i_lock, LOCK_ALIAS);
	INIT_LIST_HEAD(&inode->i_aliases);
	INIT_LIST_HEAD(&inode->i_lru);
	atomic_init(&inode->i_count, 1);
	inode_refresh(inode, st);
	return inode;
}

static void inode_free_rcu(struct rcu_head *head)
{
	rcu_tsan_gp_done();
	kmem_cache_free(icache.cachep, container_of(head, struct inode, i_rcu));
}

void inode_destroy(struct inode *inode)
{
	BUG_ON(inode->i_vm_file[false] || inode->i_vm_file[true]);
	address_space_destroy(&inode->i_data);
	destroy_rwsem(&inode->i_rwsem);
	mutex_destroy(&inode->i_lock);
	mm_call_rcu(&inode->i_rcu, inode_free_rcu);	/* I4 */
}

/* ---- finding ---- */

struct inode *inode_lookup_nodeid(uint64_t nodeid)
{
	struct inode *inode;

	mm_rcu_read_lock();
	inode = itable_find_nodeid(nodeid);
	if (inode && ihold_unless_unused(inode)) {
		mm_rcu_read_unlock();
		return inode;
	}
	mm_rcu_read_unlock();
	if (!inode)
		return NULL;
	/* Known to us alone: the kernel would have a reference. */
	mutex_lock(&icache.lock);
	inode = itable_find_nodeid(nodeid);
	if (inode && !__iget(inode))
		inode = NULL;
	mutex_unlock(&icache.lock);
	return inode;
}

/* One that is in use, without the lock; NULL says nothing. */
static struct inode *find_in_use(dev_t dev, ino_t ino)
{
	struct inode *inode;

	if (!itable_natural(dev, ino))
		return NULL;
	mm_rcu_read_lock();
	inode = itable_find_nodeid(ino);
	if (inode && !ihold_unless_unused(inode))
		inode = NULL;
	mm_rcu_read_unlock();
	return inode;
}

/* Context: icache.lock, dropped while one that is being freed leaves. */
static struct inode *__find_wait(dev_t dev, ino_t ino)
{
	struct inode *inode;

	while ((inode = itable_find(dev, ino)) &&
	       atomic_load(&inode->i_count) < 0)
		pthread_cond_wait(&icache.gone, &icache.lock.m);
	return inode;
}

struct inode *ilookup(dev_t dev, ino_t ino)
{
	struct inode *inode = find_in_use(dev, ino);

	if (inode)
		return inode;
	mutex_lock(&icache.lock);
	inode = __find_wait(dev, ino);
	if (inode)
		BUG_ON(!__iget(inode));
	mutex_unlock(&icache.lock);
	return inode;
}

/*
 * Has the backing file of this unused inode been changed behind our back?
 * Context: icache.lock.
 */
static bool __is_outdated(struct inode *inode, const struct stat *st)
{
	bool differs;

	if (atomic_load(&inode->i_count) || !S_ISREG(inode->i_mode))
		return false;
	mutex_lock(&inode->i_lock);
	differs = !timespec_equal(&inode->i_mtime, &st->st_mtim) ||
		i_size_read(&inode->i_data) != st->st_size;
	mutex_unlock(&inode->i_lock);
	return differs && !inode_is_dirty(inode);
}

/* What an iget() that must make an inode has made so far. */
struct iget_new {
	struct inode *inode;
	struct itable_dev *dev;
};

static int iget_prepare(struct iget_new *new, const struct stat *st)
{
	int err = itable_prepare(st->st_dev, st->st_ino, &new->dev);

	if (err || new->inode)
		return err;
	new->inode = inode_alloc(st);
	return new->inode ? 0 : -ENOMEM;
}

static void iget_cleanup(struct iget_new *new)
{
	if (new->inode)
		inode_destroy(new->inode);
	kfree(new->dev);
}

/* Context: icache.lock. Takes new->inode. Return: it, or ERR_PTR. */
static struct inode *__iget_insert(struct iget_new *new)
{
	struct inode *inode = new->inode;
	int err = itable_insert(inode, &new->dev);

	if (err)
		return ERR_PTR(err);
	new->inode = NULL;
	WRITE_ONCE(icache.nr, icache.nr + 1);
	return inode;
}

/*
 * One attempt. Context: icache.lock. Return: the inode, ERR_PTR, or NULL: then
 * *@victim has to be evicted first, or @new to be prepared.
 */
static struct inode *__iget_once(const struct stat *st, unsigned long seq,
				 struct iget_new *new, struct inode **victim)
{
	struct inode *inode = __find_wait(st->st_dev, st->st_ino);

	*victim = NULL;
	if (!inode && icache_seq() != seq)
		return ERR_PTR(-EAGAIN);			/* I5 */
	if (!inode)
		return new->inode ? __iget_insert(new) : NULL;
	if (__is_outdated(inode, st) && __begin_evict(inode)) {
		*victim = inode;
		return NULL;
	}
	BUG_ON(!__iget(inode));
	return inode;
}

/* Not in use, or not in the table. */
static struct inode *iget_slow(const struct stat *st, unsigned long seq)
{
	struct iget_new new = { NULL, NULL };
	struct inode *inode, *victim;
	LIST_HEAD(names);
	int err = 0;

	do {
		mutex_lock(&icache.lock);
		inode = __iget_once(st, seq, &new, &victim);
		mutex_unlock(&icache.lock);
		if (victim)
			evict(victim, &names);
		else if (!inode)
			err = iget_prepare(&new, st);
	} while (!inode && !err);
	iget_cleanup(&new);
	put_names(&names);
	return err ? ERR_PTR(err) : inode;
}

unsigned long icache_seq(void)
{
	return atomic_load(&icache.nr_evicted);
}

struct inode *iget(const struct stat *st, unsigned long seq)
{
	struct inode *inode = find_in_use(st->st_dev, st->st_ino);

	if (!inode)
		inode = iget_slow(st, seq);
	if (IS_ERR(inode))
		return inode;
	/* Its number is another object's now: somebody has meddled. */
	if ((READ_ONCE(inode->i_mode) ^ st->st_mode) & S_IFMT) {
		iput(inode);
		return ERR_PTR(-ESTALE);
	}
	return inode;
}

/* ---- what the kernel knows ---- */

void inode_nlookup_add(struct inode *inode, unsigned long n)
{
	/* Before it shows in i_nlookup: forget may drop it at once. */
	ihold(inode);
	if (atomic_fetch_add(&inode->i_nlookup, n)) {
		atomic_fetch_sub(&inode->i_count, 1);	/* the caller's stays */
		return;
	}
	icache_known(atomic_fetch_add(&icache.nr_known, 1) + 1);
}

/* True if nothing is left. More than there is is taken for all. */
static bool nlookup_sub(struct inode *inode, unsigned long n)
{
	unsigned long old = atomic_load(&inode->i_nlookup);

	do
		if (!old)
			return false;
	while (!atomic_compare_exchange_weak(&inode->i_nlookup, &old,
					     old - min(old, n)));
	return old <= n;
}

static void inode_forget_known(struct inode *inode, unsigned long n)
{
	if (!nlookup_sub(inode, n))
		return;
	atomic_fetch_sub(&icache.nr_known, 1);
	iput(inode);
}

void inode_forget(uint64_t nodeid, unsigned long n)
{
	struct inode *inode = inode_lookup_nodeid(nodeid);

	if (!inode)
		return;
	inode_forget_known(inode, n);
	iput(inode);
}

/* ---- all of them ---- */

#define GANG	64u	/* inodes at a time; arbitrary */

void for_each_inode(void (*fn)(struct inode *inode, void *arg), void *arg)
{
	struct inode *inodes[GANG];
	uint64_t nodeid = 0;
	unsigned int nr;

	do {
		mutex_lock(&icache.lock);
		nr = itable_gang(&nodeid, inodes, GANG);
		for (unsigned int i = 0; i < nr; i++)
			__iget(inodes[i]);
		mutex_unlock(&icache.lock);
		for (unsigned int i = 0; i < nr; i++) {
			fn(inodes[i], arg);
			iput(inodes[i]);
		}
	} while (nr);
}

static void add_dirty_bytes(struct inode *inode, void *arg)
{
	if (!inode_is_unlinked(inode))
		*(unsigned long *)arg += READ_ONCE(inode->i_data.nrdirty) *
			PAGE_SIZE;
}

unsigned long inode_dirty_bytes(void)
{
	unsigned long bytes = 0;

	for_each_inode(add_dirty_bytes, &bytes);
	return bytes;
}

/* ---- begin and end ---- */

static void table_exit(void)
{
	urcu_bp_barrier();		/* inodes on their way out: I4 */
	rcu_tsan_gp_done();
	itable_exit();
	kmem_cache_destroy(icache.cachep);
	icache.cachep = NULL;
}

int inode_init(void)
{
	struct stat st;
	struct inode *root;

	if (fstat(sb.root_fd, &st))
		return -errno;
	icache.cachep = kmem_cache_create("pagefs_inode", sizeof(struct inode),
					  0, SLAB_RECLAIM_ACCOUNT, NULL);
	if (!icache.cachep)
		return -ENOMEM;
	itable_init(st.st_dev, st.st_ino);
	root = iget(&st, icache_seq());
	if (IS_ERR(root)) {
		table_exit();
		return (int)PTR_ERR(root);
	}
	root->i_pathfd = sb.root_fd;
	sb.root = root;
	shrinker_init();
	return 0;
}

static void forget_all(struct inode *inode, void *arg)
{
	(void)arg;
	inode_forget_known(inode, ULONG_MAX);
}

void inode_exit(void)
{
	shrinker_exit();
	for_each_inode(forget_all, NULL);
	/* Children go before what they are in: their names hold it. */
	evict_unused();
	sb.root->i_pathfd = -1;		/* super.c's */
	iput(sb.root);
	sb.root = NULL;
	evict_unused();
	if (icache.nr)
		evict_leaked();
	table_exit();
}
