// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/shm.c - regions of shared memory that have a name
 *
 *   shm.list --> [ "name", owner, mode, vm_file ] --> ...
 *
 * As shm_open(3): who knows the name, and may, maps the same memory; the name
 * stays until its owner takes it away, and the memory until nobody maps it any
 * more, too. All names are gone when the daemon ends.
 *
 * H1. The table has a reference to each vm_file; so has each of its VMAs.
 * H2. Who gets a region can have zeros planted in it (request_map.c R3): so one
 *     that he may only read he does not get.
 *
 * There are so few that a list will do: SHM_MAX.
 * Locks: shm.lock, a leaf; regions are made and put without it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "internal.h"
#include "shmem.h"

/* All, and those of one user. Arbitrary; each takes two descriptors here. */
#define SHM_MAX		1024u
#define SHM_MAX_USER	256u

struct region {
	struct list_head list;		/* (S) */
	char name[PAGEFS_SHM_NAME];	/* padded with 0 */
	uid_t uid;
	gid_t gid;
	mode_t mode;
	struct vm_file *file;		/* H1 */
};

/* Fields: (S) lock. */
static struct {
	struct mutex lock;
	struct list_head list;		/* (S) */
} shm = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.list = LIST_HEAD_INIT(shm.list),
};

/* ---- looking. Context: shm.lock ---- */

static struct region *find_region(const char name[PAGEFS_SHM_NAME])
{
	struct region *region;

	list_for_each_entry(region, &shm.list, list)
		if (!memcmp(region->name, name, PAGEFS_SHM_NAME))
			return region;
	return NULL;
}

static bool has_room_for(uid_t uid)
{
	struct region *region;
	unsigned int nr = 0, nr_user = 0;

	list_for_each_entry(region, &shm.list, list) {
		nr++;
		nr_user += region->uid == uid;
	}
	return nr < SHM_MAX && nr_user < SHM_MAX_USER;
}

static bool may_use(const struct region *region, const struct shm_request *want)
{
	const mode_t rw = S_IROTH | S_IWOTH;
	mode_t mode = region->mode;

	if (!want->uid)
		return true;
	if (want->uid == region->uid)
		mode >>= 6;
	else if (want->gid == region->gid)
		mode >>= 3;
	return (mode & rw) == rw;				/* H2 */
}

/* The region there is, referenced; or -ENOENT, and others. */
static int __shm_find(const struct shm_request *want, struct vm_file **filep)
{
	struct region *region = find_region(want->name);

	lockdep_assert_held(&shm.lock);
	if (!region)
		return -ENOENT;
	if (want->create && want->exclusive)
		return -EEXIST;
	if (!may_use(region, want))
		return -EACCES;
	if (want->nr_pages > shmem_nr_pages(region->file))
		return -EINVAL;
	get_vm_file(region->file);
	*filep = region->file;
	return 0;
}

/* ---- making ---- */

static void region_free(struct region *region)
{
	put_vm_file(region->file);
	free(region);
}

static struct region *region_alloc(const struct shm_request *want)
{
	struct region *region = malloc(sizeof(*region));
	struct vm_file *file;

	if (!region)
		return ERR_PTR(-ENOMEM);
	file = shmem_file_setup(want->nr_pages);
	if (IS_ERR(file)) {
		free(region);
		return ERR_PTR(PTR_ERR(file));
	}
	*region = (struct region){
		.uid = want->uid,
		.gid = want->gid,
		.mode = want->mode,
		.file = file,
	};
	memcpy(region->name, want->name, sizeof(region->name));
	return region;
}

/* Into the table, unless somebody was faster. Return: as __shm_find(). */
static int region_add(const struct shm_request *want, struct region *region,
		      struct vm_file **filep)
{
	int err;

	mutex_lock(&shm.lock);
	err = __shm_find(want, filep);
	if (err == -ENOENT && !has_room_for(want->uid)) {
		err = -ENFILE;
	} else if (err == -ENOENT) {
		list_add_tail(&region->list, &shm.list);
		get_vm_file(region->file);
		*filep = region->file;
		mutex_unlock(&shm.lock);
		return 0;
	}
	mutex_unlock(&shm.lock);
	region_free(region);
	return err;
}

/* At least one byte, and nothing behind the 0 that ends it. */
static bool is_name(const char name[PAGEFS_SHM_NAME])
{
	size_t len = strnlen(name, PAGEFS_SHM_NAME);

	for (size_t i = len; i < PAGEFS_SHM_NAME; i++)
		if (name[i])
			return false;
	return len;
}

int shm_get(const struct shm_request *want, struct vm_file **filep)
{
	struct region *region;
	int err;

	if (!is_name(want->name))
		return -EINVAL;
	mutex_lock(&shm.lock);
	err = __shm_find(want, filep);
	mutex_unlock(&shm.lock);
	if (err != -ENOENT || !want->create)
		return err;
	region = region_alloc(want);
	if (IS_ERR(region))
		return (int)PTR_ERR(region);
	return region_add(want, region, filep);
}

int shm_unlink_region(const char name[PAGEFS_SHM_NAME], uid_t uid)
{
	struct region *region;
	int err = 0;

	mutex_lock(&shm.lock);
	region = find_region(name);
	if (!region)
		err = -ENOENT;
	else if (uid && uid != region->uid)
		err = -EACCES;
	else
		list_del(&region->list);
	mutex_unlock(&shm.lock);
	if (!err)
		region_free(region);
	return err;
}

void shm_exit(void)
{
	struct region *region, *next;

	list_for_each_entry_safe(region, next, &shm.list, list) {
		list_del(&region->list);
		region_free(region);
	}
}
