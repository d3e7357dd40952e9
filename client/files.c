// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/files.c - files that are mapped, kept open
 *
 *   mapping, mapping, ... --file--> kept_file --kept--> keeper's descriptor
 *
 * A program may close a file it has mapped. We need it later: a child must have
 * it mapped again, and fallocate(2) stands in for MADV_REMOVE. All mappings of
 * a file in one access mode share one descriptor, in the keeper's table (C3).
 *
 * Locks: p->layout.
 */
#include <stdlib.h>

#include "internal.h"
#include "sys.h"

int file_get(struct pagefs *p, int fd, int accmode, uint64_t dev, uint64_t ino,
	     struct kept_file **filep)
{
	struct kept_file *file;
	long kept;

	for (file = p->files; file; file = file->next)
		if (file->ino == ino && file->dev == dev &&
		    file->accmode == accmode)
			goto found;
	file = malloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	kept = keeper_call(p, KEEPER_HOLD, (uint64_t[KEEPER_ARGS]){ (uint64_t)fd });
	if (kept < 0) {
		free(file);
		return (int)kept;
	}
	*file = (struct kept_file){
		.next = p->files,
		.dev = dev,
		.ino = ino,
		.accmode = accmode,
		.kept = (int)kept,
		.child_fd = -1,
	};
	p->files = file;
found:
	file->users++;
	*filep = file;
	return 0;
}

void file_put(struct pagefs *p, struct kept_file *file)
{
	struct kept_file **fp;

	if (--file->users)
		return;
	for (fp = &p->files; *fp != file; fp = &(*fp)->next)
		;
	*fp = file->next;
	/* A keeper that has ended has closed it already. */
	keeper_call(p, KEEPER_DROP, (uint64_t[KEEPER_ARGS]){ (uint64_t)file->kept });
	free(file);
}
