// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl.c - the .pagefs directory: the memory manager seen from outside
 *
 *   /.pagefs                 not listed in /, found by name
 *           /meminfo ...     texts
 *           /vm/dirty_ratio  numbers
 *           /maps/PID        one for each client
 *
 *   node id  | 1 | 0 ... | directory | key |      key 0: the directory itself
 *             63          39       32 31  0
 *
 * Names and formats are those of Linux's /proc. Sizes are 0, as there: programs
 * read until the end. Clients come and go, so names and attributes are not for
 * the kernel to keep.
 *
 * I1. A key names the same thing for good, or nothing any more: the kernel may
 *     come back to a node id at any time.
 *
 * Nothing here changes after the start but where one can connect, under locks
 * of their own (leaves): whoever makes texts looks after himself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blocking.h"
#include "ctl.h"
#include "mmzone.h"
#include "pagefs_fs.h"
#include "slab.h"
#include "vmstat.h"

/* Bytes with the terminator: as sun_path. */
#define SOCKET_PATH_SIZE	108

/* Where somebody may connect. Fields: (L) lock. */
struct ctl_place {
	struct mutex lock;
	char name[SOCKET_PATH_SIZE];	/* (L) "": nowhere */
};

static struct ctl_place ctl_socket = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };
static struct ctl_place ctl_http = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };

static void place_set(struct ctl_place *place, const char *name)
{
	size_t len = name ? strlen(name) : 0;

	/* One that is cut off would be another's. */
	if (len >= sizeof(place->name))
		len = 0;
	mutex_lock(&place->lock);
	memcpy(place->name, name ? name : "", len);
	place->name[len] = '\0';
	mutex_unlock(&place->lock);
}

static void place_get(struct ctl_place *place, char *buf, size_t size)
{
	mutex_lock(&place->lock);
	snprintf(buf, size, "%s", place->name);
	mutex_unlock(&place->lock);
}

static size_t place_show(struct ctl_place *place, char *buf, size_t size)
{
	char name[SOCKET_PATH_SIZE];

	place_get(place, name, sizeof(name));
	return *name ? (size_t)snprintf(buf, size, "%s\n", name) : 0;
}

void fs_set_socket(const char *path)
{
	place_set(&ctl_socket, path);
}

void ctl_get_socket(char *buf, size_t size)
{
	place_get(&ctl_socket, buf, size);
}

static size_t socket_show(char *buf, size_t size)
{
	return place_show(&ctl_socket, buf, size);
}

void fs_set_http(const char *url)
{
	place_set(&ctl_http, url);
}

static size_t http_show(char *buf, size_t size)
{
	return place_show(&ctl_http, buf, size);
}

/* mm/'s counters, and what follows from the numbers in vm/. */
static size_t vmstat_text(char *buf, size_t size)
{
	size_t len = vmstat_show(buf, size);
	unsigned long background, dirty;
	int n;

	global_dirty_limits(&background, &dirty);
	n = snprintf(buf + len, size - len,
		     "nr_dirty_threshold %lu\n"
		     "nr_dirty_background_threshold %lu\n", dirty, background);
	return len + min_t(size_t, max(n, 0), size - len - 1);
}

/*
 * For whom sync(2) does not do it: Linux does not tell us of that. Everybody may
 * ask, and keeps one worker busy, no more: writes to one file come one after
 * the other, as long as nothing says that they may come at once.
 */
static int sync_store(struct ctl_handle *h, const char *text)
{
	(void)h;
	if (strcmp(text, "1") && strcmp(text, "1\n"))
		return -EINVAL;
	thread_will_block();
	return fs_sync();
}

/* ---- the directory itself ---- */

#define TEXT(fn)	{ .ops = &ctl_text_ops, .whole = (fn) }

static const struct ctl_file advice_file = {
	.ops = &ctl_text_ops, .show = ctl_advice_show,
};
static const struct ctl_file buddyinfo_file = TEXT(buddyinfo_show);
static const struct ctl_file diskstats_file = TEXT(diskstats_show);
static const struct ctl_file files_file = {
	.ops = &ctl_text_ops, .show = ctl_files_show,
};
static const struct ctl_file http_file = TEXT(http_show);
static const struct ctl_file meminfo_file = TEXT(meminfo_show);
static const struct ctl_file slabinfo_file = TEXT(slabinfo_show);
static const struct ctl_file socket_file = TEXT(socket_show);
static const struct ctl_file swaps_file = TEXT(swaps_show);
static const struct ctl_file_ops sync_ops = { .write = ctl_text_write };
static const struct ctl_file sync_file = {
	.ops = &sync_ops, .store = sync_store,
};
static const struct ctl_file throttled_file = TEXT(throttled_show);
/* A stream: whoever opens it gets it from ctl_trace.c. */
static const struct ctl_file trace_file;
static const struct ctl_file vmstat_file = TEXT(vmstat_text);
static const struct ctl_file zoneinfo_file = TEXT(zoneinfo_show);

/* Names of files are not for everybody. */
static const struct ctl_entry {
	const char *name;
	mode_t mode;
	const struct ctl_file *file;
	enum ctl_dir_id dir;
} root_entries[] = {
	{ "advice",	S_IFREG | 0400, &advice_file, 0 },
	{ "buddyinfo",	S_IFREG | 0444, &buddyinfo_file, 0 },
	{ "diskstats",	S_IFREG | 0444, &diskstats_file, 0 },
	{ "files",	S_IFREG | 0400, &files_file, 0 },
	{ "http",	S_IFREG | 0444, &http_file, 0 },
	{ "maps",	S_IFDIR | 0555, NULL, CTL_MAPS },
	{ "meminfo",	S_IFREG | 0444, &meminfo_file, 0 },
	{ "slabinfo",	S_IFREG | 0444, &slabinfo_file, 0 },
	{ "smaps",	S_IFDIR | 0555, NULL, CTL_SMAPS },
	{ "socket",	S_IFREG | 0444, &socket_file, 0 },
	{ "swapoff",	S_IFREG | 0600, &ctl_swapoff_file, 0 },
	{ "swapon",	S_IFREG | 0600, &ctl_swapon_file, 0 },
	{ "swaps",	S_IFREG | 0444, &swaps_file, 0 },
	/* Everybody may, as with sync(2). */
	{ "sync",	S_IFREG | 0222, &sync_file, 0 },
	{ "throttled",	S_IFREG | 0444, &throttled_file, 0 },
	{ "trace",	S_IFREG | 0600, &trace_file, 0 },
	{ "vm",		S_IFDIR | 0555, NULL, CTL_VM },
	{ "vmstat",	S_IFREG | 0444, &vmstat_file, 0 },
	{ "zoneinfo",	S_IFREG | 0444, &zoneinfo_file, 0 },
};

static int root_find(const char *name, uint32_t *keyp)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(root_entries); i++) {
		if (strcmp(name, root_entries[i].name))
			continue;
		*keyp = i + 1;
		return 0;
	}
	return -ENOENT;
}

static bool root_next(uint32_t *keyp, char *name)
{
	if (*keyp >= ARRAY_SIZE(root_entries))
		return false;
	snprintf(name, NAME_MAX + 1, "%s", root_entries[*keyp].name);
	++*keyp;
	return true;
}

static int root_node(uint32_t key, struct ctl_node *node)
{
	const struct ctl_entry *entry;

	if (key > ARRAY_SIZE(root_entries))
		return -ENOENT;
	entry = &root_entries[key - 1];
	*node = (struct ctl_node){
		.mode = entry->mode,
		.uid = geteuid(),
		.dir = entry->dir,
		.file = entry->file,
	};
	return 0;
}

static const struct ctl_dir ctl_root_dir = {
	.parent	= CTL_ROOT,
	.find	= root_find,
	.next	= root_next,
	.node	= root_node,
};

/* ---- the tree ---- */

#define ROOT_NODEID	1

static const struct ctl_dir *const ctl_dirs[NR_CTL_DIRS] = {
	[CTL_ROOT]	= &ctl_root_dir,
	[CTL_VM]	= &ctl_vm_dir,
	[CTL_MAPS]	= &ctl_maps_dir,
	[CTL_SMAPS]	= &ctl_smaps_dir,
};

static uint64_t make_nodeid(enum ctl_dir_id dir, uint32_t key)
{
	return CTL_NODEID_BASE | (uint64_t)dir << 32 | key;
}

static uint64_t node_nodeid(enum ctl_dir_id dir, uint32_t key,
			    const struct ctl_node *node)
{
	return node->file ? make_nodeid(dir, key) : make_nodeid(node->dir, 0);
}

/* The directory a node id is in, or that it is; NULL: it is none of ours. */
static const struct ctl_dir *dir_of(uint64_t nodeid, enum ctl_dir_id *idp)
{
	uint64_t id = (nodeid & ~CTL_NODEID_BASE) >> 32;

	if (!is_ctl_nodeid(nodeid) || id >= NR_CTL_DIRS)
		return NULL;
	*idp = (enum ctl_dir_id)id;
	return ctl_dirs[id];
}

int ctl_node(uint64_t nodeid, struct ctl_node *node, uint32_t *keyp)
{
	enum ctl_dir_id id;
	const struct ctl_dir *dir = dir_of(nodeid, &id);

	if (!dir)
		return -ESTALE;
	*keyp = (uint32_t)nodeid;
	if (*keyp)
		return dir->node(*keyp, node);
	*node = (struct ctl_node){
		.mode = S_IFDIR | 0555,
		.uid = geteuid(),
		.dir = id,
	};
	return 0;
}

bool ctl_is_trace(uint64_t nodeid)
{
	struct ctl_node node;
	uint32_t key;

	return unlikely(is_ctl_nodeid(nodeid)) &&
		!ctl_node(nodeid, &node, &key) && node.file == &trace_file;
}

int ctl_lookup(uint64_t parent, const char *name, struct stat *st,
	       uint64_t *nodeid)
{
	const struct ctl_dir *dir;
	struct ctl_node node;
	enum ctl_dir_id id;
	uint32_t key;
	int err;

	if (parent == ROOT_NODEID && !strcmp(name, CTL_DIR_NAME)) {
		*nodeid = make_nodeid(CTL_ROOT, 0);
		return ctl_getattr(*nodeid, st);
	}
	dir = dir_of(parent, &id);
	if (!dir || (uint32_t)parent)
		return -ENOENT;
	err = dir->find(name, &key);
	if (!err)
		err = dir->node(key, &node);
	if (err)
		return err;
	*nodeid = node_nodeid(id, key, &node);
	return ctl_getattr(*nodeid, st);
}

int ctl_getattr(uint64_t nodeid, struct stat *st)
{
	struct ctl_node node;
	uint32_t key;
	int err = ctl_node(nodeid, &node, &key);

	if (err)
		return err;
	*st = (struct stat){
		.st_ino = nodeid,
		.st_mode = node.mode,
		.st_nlink = S_ISDIR(node.mode) ? 2 : 1,
		.st_uid = node.uid,
		.st_gid = getegid(),
		.st_blksize = PAGE_SIZE,
		.st_atim = sb.mount_time,
		.st_mtim = sb.mount_time,
		.st_ctim = sb.mount_time,
	};
	return 0;
}

int ctl_setattr(uint64_t nodeid, int to_set, struct stat *st)
{
	if (to_set & (FS_ATTR_MODE | FS_ATTR_UID | FS_ATTR_GID))
		return -EPERM;
	return ctl_getattr(nodeid, st);
}

/* ---- listing ---- */

/*
 * Positions: 0 is ".", 1 is "..", and after an entry with some key comes 2 more
 * than that.
 */
#define DOTS	2

static bool emit_dots(uint64_t self, uint64_t parent, off_t *offp,
		      fs_emit_t emit, void *arg)
{
	struct fs_dirent ent = { .type = DT_DIR };

	for (; *offp < DOTS; ++*offp) {
		ent.name = *offp ? ".." : ".";
		ent.ino = *offp ? parent : self;
		ent.next_off = *offp + 1;
		if (!emit(arg, &ent))
			return false;
	}
	return true;
}

static bool emit_entry(enum ctl_dir_id id, uint32_t key, const char *name,
		       fs_emit_t emit, void *arg)
{
	struct fs_dirent ent = { .name = name, .next_off = (off_t)key + DOTS };
	struct ctl_node node;

	if (ctl_dirs[id]->node(key, &node))
		return true;	/* gone already */
	ent.type = (unsigned char)IFTODT(node.mode);
	ent.ino = node_nodeid(id, key, &node);
	return emit(arg, &ent);
}

int ctl_readdir(uint64_t nodeid, off_t off, fs_emit_t emit, void *arg)
{
	enum ctl_dir_id id;
	const struct ctl_dir *dir = dir_of(nodeid, &id);
	char name[NAME_MAX + 1];
	uint64_t parent;
	uint32_t key;

	if (!dir || (uint32_t)nodeid)
		return -ENOTDIR;
	parent = id == CTL_ROOT ? ROOT_NODEID : make_nodeid(dir->parent, 0);
	if (!emit_dots(nodeid, parent, &off, emit, arg))
		return 0;
	key = (uint32_t)(off - DOTS);
	while (dir->next(&key, name))
		if (!emit_entry(id, key, name, emit, arg))
			break;
	return 0;
}
