// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/itable.c - which inode has which number
 *
 *   nodeid --natural--> inode             1            the mount's root
 *      |                 ^  ^             2 .. 2^62    st_ino, root's device
 *      +-----dynamic-----+  |          2^62 .. 2^63    given out, counting up
 *   (dev, ino) ----devs-----+          2^63 ..         ctl.c's
 *
 * The kernel calls an inode by its nodeid, backing results by (dev, ino). For
 * nearly all inodes the two are one number and one tree is enough. The rest
 * are found by a tree for each device that has some: objects of other devices
 * below the root (nested mounts, btrfs subvolumes), inode numbers 1 and those
 * of 2^62 and more, and the root itself, which FUSE calls 1.
 *
 * I1. A nodeid given out is never given out again.
 * I2. An inode is in `natural` or `dynamic`, as i_nodeid says; unless it is
 *     called by its number it is in its device's tree at i_ino too. Dynamic
 *     ones have a tree of their own, counted from 0, because one large index
 *     makes a radix tree, and every lookup in it, twice as tall.
 * Locks:  icache.lock (inode.c's) for all changes; lookups by nodeid may be
 *         under RCU instead.
 */
#include "icache.h"

struct itable_dev {
	dev_t dev;
	struct radix_tree_root tree;	/* by i_ino */
	struct list_head list;
};

static struct {
	struct radix_tree_root natural;	/* by nodeid */
	struct radix_tree_root dynamic;	/* by nodeid - NODEID_DYNAMIC */
	struct list_head devs;
	uint64_t next;			/* dynamic nodeid */
	dev_t root_dev;
	ino_t root_ino;
} itable;

void itable_init(dev_t dev, ino_t ino)
{
	itable.natural = (struct radix_tree_root){ NULL };
	itable.dynamic = (struct radix_tree_root){ NULL };
	INIT_LIST_HEAD(&itable.devs);
	itable.next = NODEID_DYNAMIC;
	itable.root_dev = dev;
	itable.root_ino = ino;
}

void itable_exit(void)
{
	struct itable_dev *d, *n;

	list_for_each_entry_safe(d, n, &itable.devs, list) {
		list_del(&d->list);
		kfree(d);
	}
}

static bool is_root(dev_t dev, ino_t ino)
{
	return dev == itable.root_dev && ino == itable.root_ino;
}

bool itable_natural(dev_t dev, ino_t ino)
{
	return dev == itable.root_dev && ino > NODEID_ROOT &&
		ino < NODEID_DYNAMIC && ino != itable.root_ino;
}

static struct itable_dev *find_dev(dev_t dev)
{
	struct itable_dev *d;

	list_for_each_entry(d, &itable.devs, list)
		if (d->dev == dev)
			return d;
	return NULL;
}

/* The tree of @nodeid, and its index there. */
static struct radix_tree_root *nodeid_tree(uint64_t nodeid, uint64_t *indexp)
{
	bool dynamic = nodeid >= NODEID_DYNAMIC;

	*indexp = dynamic ? nodeid - NODEID_DYNAMIC : nodeid;
	return dynamic ? &itable.dynamic : &itable.natural;
}

struct inode *itable_find_nodeid(uint64_t nodeid)
{
	uint64_t index;
	struct radix_tree_root *tree = nodeid_tree(nodeid, &index);

	return radix_tree_lookup(tree, index);
}

struct inode *itable_find(dev_t dev, ino_t ino)
{
	struct itable_dev *d;

	if (itable_natural(dev, ino))
		return itable_find_nodeid(ino);
	d = find_dev(dev);
	return d ? radix_tree_lookup(&d->tree, ino) : NULL;
}

int itable_prepare(dev_t dev, ino_t ino, struct itable_dev **devp)
{
	if (!itable_natural(dev, ino) && !*devp) {
		*devp = kzalloc(sizeof(**devp), GFP_KERNEL);
		if (!*devp)
			return -ENOMEM;
		(*devp)->dev = dev;
	}
	/* Two trees: an insertion may still fail, but rarely. */
	return radix_tree_preload(GFP_KERNEL, 2);
}

static uint64_t new_nodeid(dev_t dev, ino_t ino)
{
	if (is_root(dev, ino))
		return NODEID_ROOT;
	return itable.next++;		/* I1: 2^62 of them are enough */
}

/* Into its device's tree, which is made from *@devp if there is none. */
static int insert_by_ino(struct inode *inode, struct itable_dev **devp)
{
	struct itable_dev *d = find_dev(inode->i_dev);

	if (!d) {
		d = *devp;
		*devp = NULL;
		list_add(&d->list, &itable.devs);
	}
	return radix_tree_insert(&d->tree, inode->i_ino, inode);
}

static int insert_by_nodeid(struct inode *inode)
{
	uint64_t index;
	struct radix_tree_root *tree = nodeid_tree(inode->i_nodeid, &index);

	return radix_tree_insert(tree, index, inode);
}

int itable_insert(struct inode *inode, struct itable_dev **devp)
{
	int err;

	if (itable_natural(inode->i_dev, inode->i_ino)) {
		inode->i_data.ino = inode->i_nodeid = inode->i_ino;
		return insert_by_nodeid(inode);
	}
	inode->i_nodeid = new_nodeid(inode->i_dev, inode->i_ino);
	inode->i_data.ino = inode->i_nodeid;
	err = insert_by_ino(inode, devp);
	if (err)
		return err;
	err = insert_by_nodeid(inode);
	if (err)
		radix_tree_delete(&find_dev(inode->i_dev)->tree, inode->i_ino);
	return err;
}

void itable_delete(struct inode *inode)
{
	uint64_t index;
	struct radix_tree_root *tree = nodeid_tree(inode->i_nodeid, &index);

	BUG_ON(radix_tree_delete(tree, index) != inode);
	if (!itable_natural(inode->i_dev, inode->i_ino))
		radix_tree_delete(&find_dev(inode->i_dev)->tree, inode->i_ino);
}

unsigned int itable_gang(uint64_t *nodeid, struct inode **inodes,
			 unsigned int max)
{
	void **items = (void **)inodes;
	unsigned int nr = 0;
	uint64_t index;

	if (*nodeid < NODEID_DYNAMIC) {
		nr = radix_tree_gang_lookup(&itable.natural, items, NULL,
					    *nodeid, UINT64_MAX, max);
		if (!nr)
			*nodeid = NODEID_DYNAMIC;
	}
	if (!nr) {
		index = *nodeid - NODEID_DYNAMIC;
		nr = radix_tree_gang_lookup(&itable.dynamic, items, NULL,
					    index, UINT64_MAX, max);
	}
	if (nr)
		*nodeid = inodes[nr - 1]->i_nodeid + 1;
	return nr;
}
