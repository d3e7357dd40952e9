// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/anon.c - memory without a file
 *
 *   private memory   one window for all of the process's, whoever mapped it
 *                    [ m0 ][ m1 ]..[ copies of a file ].[ m2 ]     m->pos
 *   shared memory    a window for each region, from its beginning
 *
 * For the kernel all of these are mappings of memory files, MAP_SHARED. What is
 * private of private memory is its window: only this process has it, and a child
 * gets another, with the same at the same places. So a child need not be told
 * more than where it has inherited something (INHERIT).
 *
 * Locks: p->layout.
 */
#include <fcntl.h>
#include <string.h>

#include "internal.h"
#include "sys.h"

/* ---- mapping ---- */

static void shm_msg(struct pagefs_msg *msg, const struct map_args *a,
		    unsigned int wire_flags)
{
	*msg = (struct pagefs_msg){
		.type = PAGEFS_MMAP_SHM,
		.args = { [3] = wire_flags, [4] = a->mode, [5] = a->shm_flags },
	};
	memcpy(&msg->args[6], a->name, strnlen(a->name, PAGEFS_SHM_NAME));
}

static void anon_msg(struct pagefs_msg *msg, enum memory memory,
		     unsigned int wire_flags)
{
	if (memory == MEMORY_SHARED)
		wire_flags |= PAGEFS_MAP_SHARED_ANON;
	*msg = (struct pagefs_msg){
		.type = PAGEFS_MMAP_ANON,
		.args = { [3] = wire_flags },
	};
}

int ask_anon(struct mapping *m, const struct map_args *a,
	     unsigned int wire_flags, struct pagefs_msg *reply, int *windowp)
{
	int err;

	if (a->name)
		shm_msg(reply, a, wire_flags);
	else
		anon_msg(reply, a->memory, wire_flags);
	err = ask_window(m, reply, windowp);
	if (!err)
		m->pos = reply->args[2] * CLIENT_PAGE;
	return err;
}

/* ---- in a new child ---- */

/* What one window shows from part->start on; part->end comes nearer. */
static int inherit_part(struct mapping *part)
{
	struct pagefs_msg msg = { .type = PAGEFS_INHERIT };
	int window, err;

	err = ask_window(part, &msg, &window);
	if (err)
		return err;
	if (PAGE_ALIGNED(msg.args[3]) && msg.args[3] &&
	    msg.args[3] <= part->end - part->start) {
		part->end = part->start + msg.args[3];
		part->kind = (unsigned int)msg.args[1];
		part->pos = msg.args[2] * CLIENT_PAGE;
		err = range_attach(part, window);
	} else {
		err = -ENOTCONN;
	}
	close(window);
	return err;
}

int inherit_mapping(const struct mapping *m)
{
	struct mapping part = *m;
	int err = 0;

	for (; part.start < m->end && !err; part.start = part.end) {
		part.end = m->end;
		err = inherit_part(&part);
	}
	return err;
}

int renew_mapping(struct mapping *m)
{
	struct pagefs_msg msg;
	int window, err;

	/* With FIXED the daemon lets go of what it had inherited there. */
	anon_msg(&msg, m->memory, PAGEFS_MAP_FIXED);
	err = ask_window(m, &msg, &window);
	if (err)
		return err;
	m->pos = msg.args[2] * CLIENT_PAGE;
	err = range_attach(m, window);
	close(window);
	return err;
}

/* ---- regions with a name ---- */

PAGEFS_API int pagefs_shm_map(struct pagefs *p, const char *name, int oflag,
			      mode_t mode, size_t len, int prot, void **addrp)
{
	struct map_args a = {
		.prot = prot,
		.memory = MEMORY_SHARED,
		.name = name,
		.shm_flags = (oflag & O_CREAT ? PAGEFS_SHM_CREATE : 0) |
			     (oflag & O_EXCL ? PAGEFS_SHM_EXCL : 0),
		.mode = mode & 0777,
	};

	if (oflag & ~(O_CREAT | O_EXCL | O_RDWR) || !*name ||
	    prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    range_check(NULL, len, &a.start, &a.end))
		return -EINVAL;
	if (strnlen(name, PAGEFS_SHM_NAME + 1) > PAGEFS_SHM_NAME)
		return -ENAMETOOLONG;
	return map_memory(p, &a, addrp);
}

PAGEFS_API int pagefs_shm_unlink(struct pagefs *p, const char *name)
{
	struct pagefs_msg msg = { .type = PAGEFS_SHM_UNLINK };
	int err;

	if (!*name)
		return -EINVAL;
	if (strnlen(name, PAGEFS_SHM_NAME + 1) > PAGEFS_SHM_NAME)
		return -ENAMETOOLONG;
	memcpy(&msg.args[6], name, strnlen(name, PAGEFS_SHM_NAME));
	err = layout_begin(p);	/* a new child connects */
	if (err)
		return err;
	layout_unlock(p);
	return request(p, &msg, NULL, NULL, 0);
}
