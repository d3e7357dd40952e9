// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl.c - the .pagefs directory: the memory manager seen from outside
 *
 *   /.pagefs            not listed in /, found by name
 *           /meminfo    nodeid CTL_NODEID_BASE + 1 + index in ctl_files[]
 *           /vmstat ...
 *
 * Names and formats are those of Linux's /proc. A file's text is made when it
 * is opened, so a reader sees one moment however small its reads are. Sizes
 * are 0, as in /proc: programs read until the end.
 *
 * Nothing here changes after the start but the socket's path, under a lock of
 * its own (a leaf): the *_show() functions look after themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "mmzone.h"
#include "pagefs_fs.h"
#include "slab.h"
#include "vmstat.h"

/* The longest text, slabinfo's: 64 caches, some 150 bytes each; with room. */
#define CTL_TEXT_MAX	(64 * SZ_1K)

/* Bytes with the terminator: as sun_path. */
#define SOCKET_PATH_SIZE	108

/* Fields: (L) lock. */
static struct {
	struct mutex lock;
	char path[SOCKET_PATH_SIZE];	/* (L) "": clients connect nowhere */
} ctl_socket = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };

void fs_set_socket(const char *path)
{
	size_t len = path ? strlen(path) : 0;

	/* One that is cut off would be another's. */
	if (len >= SOCKET_PATH_SIZE)
		len = 0;
	mutex_lock(&ctl_socket.lock);
	memcpy(ctl_socket.path, path ? path : "", len);
	ctl_socket.path[len] = '\0';
	mutex_unlock(&ctl_socket.lock);
}

void ctl_get_socket(char *buf, size_t size)
{
	mutex_lock(&ctl_socket.lock);
	snprintf(buf, size, "%s", ctl_socket.path);
	mutex_unlock(&ctl_socket.lock);
}

static size_t socket_show(char *buf, size_t size)
{
	char path[SOCKET_PATH_SIZE];

	ctl_get_socket(path, sizeof(path));
	return *path ? (size_t)snprintf(buf, size, "%s\n", path) : 0;
}

static const struct ctl_file {
	const char *name;
	size_t (*show)(char *buf, size_t size);
} ctl_files[] = {
	{ "buddyinfo", buddyinfo_show },
	{ "meminfo", meminfo_show },
	{ "slabinfo", slabinfo_show },
	{ "socket", socket_show },
	{ "vmstat", vmstat_show },
	{ "zoneinfo", zoneinfo_show },
};

#define CTL_DIR_NODEID	CTL_NODEID_BASE
#define CTL_FILE_NODEID	(CTL_NODEID_BASE + 1)
#define ROOT_NODEID	1

/* The file @nodeid, or NULL if it is none. */
static const struct ctl_file *ctl_file(uint64_t nodeid)
{
	if (nodeid < CTL_FILE_NODEID ||
	    nodeid - CTL_FILE_NODEID >= ARRAY_SIZE(ctl_files))
		return NULL;
	return &ctl_files[nodeid - CTL_FILE_NODEID];
}

static int find_nodeid(uint64_t parent, const char *name, uint64_t *nodeid)
{
	if (parent == ROOT_NODEID && !strcmp(name, CTL_DIR_NAME)) {
		*nodeid = CTL_DIR_NODEID;
		return 0;
	}
	if (parent != CTL_DIR_NODEID)
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(ctl_files); i++) {
		if (strcmp(name, ctl_files[i].name))
			continue;
		*nodeid = CTL_FILE_NODEID + i;
		return 0;
	}
	return -ENOENT;
}

int ctl_lookup(uint64_t parent, const char *name, struct stat *st,
	       uint64_t *nodeid)
{
	int err = find_nodeid(parent, name, nodeid);

	return err ? err : ctl_getattr(*nodeid, st);
}

int ctl_getattr(uint64_t nodeid, struct stat *st)
{
	bool is_dir = nodeid == CTL_DIR_NODEID;

	if (!is_dir && !ctl_file(nodeid))
		return -ESTALE;
	*st = (struct stat){
		.st_ino = nodeid,
		.st_mode = is_dir ? S_IFDIR | 0555 : S_IFREG | 0444,
		.st_nlink = is_dir ? 2 : 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_blksize = PAGE_SIZE,
		.st_atim = sb.mount_time,
		.st_mtim = sb.mount_time,
		.st_ctim = sb.mount_time,
	};
	return 0;
}

ssize_t ctl_open(uint64_t nodeid, char **textp)
{
	const struct ctl_file *file = ctl_file(nodeid);
	char *text, *fitted;
	size_t len;

	if (!file)
		return -ESTALE;
	text = malloc(CTL_TEXT_MAX);
	if (!text)
		return -ENOMEM;
	len = file->show(text, CTL_TEXT_MAX);
	fitted = realloc(text, len + 1);
	*textp = fitted ? fitted : text;
	return (ssize_t)len;
}

/* Position @i: 0 is ".", 1 is "..", then the files. */
static struct fs_dirent dirent_at(size_t i)
{
	struct fs_dirent ent = { .type = DT_DIR, .next_off = (off_t)i + 1 };

	if (i == 0) {
		ent.name = ".";
		ent.ino = CTL_DIR_NODEID;
	} else if (i == 1) {
		ent.name = "..";
		ent.ino = ROOT_NODEID;
	} else {
		ent.name = ctl_files[i - 2].name;
		ent.ino = CTL_FILE_NODEID + i - 2;
		ent.type = DT_REG;
	}
	return ent;
}

int ctl_readdir(uint64_t nodeid, off_t off, fs_emit_t emit, void *arg)
{
	struct fs_dirent ent;

	if (nodeid != CTL_DIR_NODEID)
		return -ENOTDIR;
	for (size_t i = (size_t)off; i < ARRAY_SIZE(ctl_files) + 2; i++) {
		ent = dirent_at(i);
		if (!emit(arg, &ent))
			break;
	}
	return 0;
}
