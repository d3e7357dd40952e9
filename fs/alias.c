// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/alias.c - the names of an inode
 *
 *   inode->i_aliases -> [ parent | "name" ] -> [ parent | "name" ]   newest first
 *                           |
 *                           +--> inode of the directory (a reference)
 *
 * Names are what a backing object is opened by when none of its descriptors
 * is open any more, and what the kernel is told of in notifications. They are
 * learned by looking up and forgotten by unlinking and renaming.
 *
 * I1. A directory has at most one name; a walk up follows it.
 * I2. A name may be out of date for others than directories (a rename is
 *     under way), so whoever opens by it compares what it got.
 * I3. An inode whose last known name goes while the object lives on in others
 *     keeps a descriptor (i_pathfd): see namei.c.
 *
 * Locks: i_lock. The names of directories change under sb.rename_lock.
 */
#include <string.h>

#include "icache.h"

/*
 * Names kept of one inode. Arbitrary: a file with ten thousand links would
 * otherwise take ten thousand comparisons to look up each.
 */
#define MAX_ALIASES	16u

/* FNV-1a: names are short, and it needs no tables. */
static uint32_t name_hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return h;
}

struct alias *alias_alloc(struct inode *parent, const char *name)
{
	size_t len = strlen(name);
	struct alias *alias = kmalloc(sizeof(*alias) + len + 1, GFP_KERNEL);

	if (!alias)
		return NULL;
	ihold(parent);
	alias->parent = parent;
	alias->hash = name_hash(name, len);
	alias->len = len;
	memcpy(alias->name, name, len + 1);
	return alias;
}

void alias_free(struct alias *alias)
{
	if (!alias)
		return;
	iput(alias->parent);
	kfree(alias);
}

/* Context: i_lock. *@nrp: how many there are, if it is not found. */
static struct alias *__find_alias(struct inode *inode, struct inode *parent,
				  const char *name, size_t len, uint32_t hash,
				  unsigned int *nrp)
{
	struct alias *a;

	lockdep_assert_held(&inode->i_lock);
	*nrp = 0;
	list_for_each_entry(a, &inode->i_aliases, list) {
		if (a->hash == hash && a->parent == parent && a->len == len &&
		    !memcmp(a->name, name, len))
			return a;
		++*nrp;
	}
	return NULL;
}

/* Context: i_lock. */
static struct alias *__alias_attach(struct inode *inode, struct alias *alias)
{
	struct alias *oldest = NULL;
	unsigned int nr;

	if (__find_alias(inode, alias->parent, alias->name, alias->len,
			 alias->hash, &nr))
		return alias;
	if (nr >= MAX_ALIASES) {
		oldest = list_last_entry(&inode->i_aliases, struct alias, list);
		list_del(&oldest->list);
	}
	list_add(&alias->list, &inode->i_aliases);
	return oldest;
}

struct alias *alias_attach(struct inode *inode, struct alias *alias)
{
	struct alias *unused;

	mutex_lock(&inode->i_lock);
	unused = __alias_attach(inode, alias);
	mutex_unlock(&inode->i_lock);
	return unused;
}

struct alias *alias_detach(struct inode *inode, struct inode *parent,
			   const char *name)
{
	size_t len = strlen(name);
	struct alias *alias;
	unsigned int nr;

	mutex_lock(&inode->i_lock);
	alias = __find_alias(inode, parent, name, len, name_hash(name, len),
			     &nr);
	if (alias)
		list_del(&alias->list);
	mutex_unlock(&inode->i_lock);
	return alias;
}

static bool has_alias(struct inode *inode, struct inode *parent,
		      const char *name)
{
	size_t len = strlen(name);
	unsigned int nr;
	bool found;

	mutex_lock(&inode->i_lock);
	found = __find_alias(inode, parent, name, len, name_hash(name, len),
			     &nr);
	mutex_unlock(&inode->i_lock);
	return found;
}

int inode_add_alias(struct inode *inode, struct inode *parent, const char *name)
{
	struct alias *alias;

	if (has_alias(inode, parent, name))
		return 0;
	alias = alias_alloc(parent, name);
	if (!alias)
		return -ENOMEM;
	alias_free(alias_attach(inode, alias));
	return 0;
}

void inode_del_alias(struct inode *inode, struct inode *parent, const char *name)
{
	alias_free(alias_detach(inode, parent, name));
}

/* Context: i_lock. */
static struct alias *__nth_alias(struct inode *inode, unsigned int nth)
{
	struct alias *a;

	list_for_each_entry(a, &inode->i_aliases, list)
		if (!nth--)
			return a;
	return NULL;
}

bool inode_nth_alias(struct inode *inode, unsigned int nth,
		     struct inode **parentp, char *name)
{
	struct alias *a;

	mutex_lock(&inode->i_lock);
	a = __nth_alias(inode, nth);
	if (a) {
		ihold(a->parent);
		*parentp = a->parent;
		memcpy(name, a->name, a->len + 1u);
	}
	mutex_unlock(&inode->i_lock);
	return a;
}

int inode_any_alias(struct inode *inode, uint64_t *parent_nodeid, char *name)
{
	struct alias *a;
	int len = -ENOENT;

	mutex_lock(&inode->i_lock);
	a = __nth_alias(inode, 0);
	if (a) {
		*parent_nodeid = a->parent->i_nodeid;
		memcpy(name, a->name, a->len + 1u);
		len = a->len;
	}
	mutex_unlock(&inode->i_lock);
	return len;
}

/* ---- paths ---- */

/* Its newest name into @name, and the directory that is in; or NULL. */
static struct inode *name_and_parent(struct inode *inode, char *name)
{
	struct inode *parent = NULL;
	struct alias *a;

	mutex_lock(&inode->i_lock);
	a = __nth_alias(inode, 0);
	if (a) {
		parent = a->parent;
		memcpy(name, a->name, a->len + 1u);
	}
	mutex_unlock(&inode->i_lock);
	return parent;
}

/*
 * Nobody leaves the table, so an inode that was in use when we saw it is there
 * when we go on to it, and nothing needs a reference.
 */
const char *__inode_path(struct inode *inode, char *buf, size_t size)
{
	char name[NAME_MAX + 1], *at = buf + size - 1;
	size_t len;

	lockdep_assert_held(&icache.lock);
	*at = '\0';
	if (inode == sb.root)
		*--at = '/';
	while (inode != sb.root) {
		inode = name_and_parent(inode, name);
		if (!inode)
			return NULL;
		len = strlen(name);
		if ((size_t)(at - buf) < len + 1)
			break;
		at -= len;
		memcpy(at, name, len);
		*--at = '/';
	}
	return at;
}

const char *inode_path(struct inode *inode, char *buf, size_t size)
{
	const char *path;

	down_read(&sb.rename_lock);
	mutex_lock(&icache.lock);
	path = __inode_path(inode, buf, size);
	mutex_unlock(&icache.lock);
	up_read(&sb.rename_lock);
	return path;
}
