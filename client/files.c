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
 * To map a file we offer it to the daemon, by an ioctl on its descriptor, from
 * whatever table that is in. What the daemon gets is a number for one MMAP.
 *
 * Locks: p->layout.
 */
#include <sys/ioctl.h>

#include "internal.h"
#include "sys.h"

/* What the ioctl's error means to who maps. */
static int offer_err(int err)
{
	switch (err) {
	case -ENOTTY:		/* one of .pagefs: a regular file by its looks */
		return -ENODEV;
	case -EPERM:		/* another daemon, by now */
	case -ECONNABORTED:
		return -ENOTCONN;
	default:
		return err;
	}
}

static struct pagefs_ioc_offer make_offer(const struct pagefs *p)
{
	return (struct pagefs_ioc_offer){ .cookie = { p->cookie[0],
						      p->cookie[1] } };
}

int fd_offer(struct pagefs *p, int fd, uint64_t *numberp)
{
	struct pagefs_ioc_offer offer = make_offer(p);

	if (ioctl(fd, PAGEFS_IOC_OFFER, &offer))
		return offer_err(-errno);
	*numberp = offer.number;
	return 0;
}

int file_offer(struct pagefs *p, const struct kept_file *file,
	       uint64_t *numberp)
{
	struct pagefs_ioc_offer offer = make_offer(p);
	long err = keeper_call(p, KEEPER_OFFER, (uint64_t[KEEPER_ARGS]){
		(uint64_t)file->kept, (uint64_t)(uintptr_t)&offer });

	if (err)
		return offer_err((int)err);
	*numberp = offer.number;
	return 0;
}

int file_get(struct pagefs *p, int fd, int accmode, uint64_t dev, uint64_t ino,
	     struct kept_file **filep)
{
	struct kept_file *file;
	long kept;

	for (file = p->files; file; file = file->next)
		if (file->ino == ino && file->dev == dev &&
		    file->accmode == accmode)
			goto found;
	file = heap_alloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	kept = keeper_call(p, KEEPER_HOLD, (uint64_t[KEEPER_ARGS]){ (uint64_t)fd });
	if (kept < 0) {
		heap_free(file);
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

	if (!file || --file->users)
		return;
	for (fp = &p->files; *fp != file; fp = &(*fp)->next)
		;
	*fp = file->next;
	/* A keeper that has ended has closed it already. */
	keeper_call(p, KEEPER_DROP, (uint64_t[KEEPER_ARGS]){ (uint64_t)file->kept });
	if (file->child_fd >= 0)
		close(file->child_fd);
	heap_free(file);
}
