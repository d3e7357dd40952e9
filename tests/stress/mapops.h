/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/stress/mapops.h - what the files of the first mode share
 */
#ifndef MAPOPS_H
#define MAPOPS_H

#include "maptwins.h"

static inline size_t round_up(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* ---- mappick.c ---- */

/* Has the worker do it; dies with what there is to know if it hangs. */
struct map_reply call(struct proc *pr, const struct map_cmd *c);
/* Dies, with the history of these bytes, unless @is == @must. */
void must_be(int64_t is, int64_t must, int inode, size_t pos, size_t len,
	     const char *what);

uint64_t some_page(struct inode *ino);
size_t some_pos(struct inode *ino);
size_t some_len(void);
/* A descriptor that is open: its file and which. Return: false: none. */
bool some_fd(struct proc *pr, int *filep, int *fdp);
/* NULL: nothing is mapped. */
struct slot *some_slot(struct proc *pr);
/* Pages [*@firstp, + *@nrp), all of them mapped; at most @max. */
struct slot *some_pages(struct proc *pr, uint32_t max, uint32_t *firstp,
			uint32_t *nrp);
struct slot *some_bytes(struct proc *pr, size_t *offp, size_t *lenp);

/* ---- mapslot.c: offsets are bytes from the slot's begin ---- */

/* The signal that an access gets, or 0; *@lenp becomes the bytes before it. */
int access_ends(const struct slot *s, size_t off, size_t *lenp, bool store);
/* Calls @fn for each piece inside one page that is below its file's end. */
void each_piece(const struct slot *s, size_t off, size_t len, uint8_t *buf,
		void (*fn)(int inode, size_t pos, uint8_t *buf, size_t len));
void fill_slot_bytes(const struct slot *s, size_t off, size_t len,
		     uint8_t *buf);
size_t up_to_eof(const struct slot *s, size_t off, size_t len);
void slot_set(struct slot *s, uint32_t first, uint32_t nr, int inode,
	      uint64_t pgoff, int prot, int rights);
void slot_cut(struct slot *s, uint32_t first, uint32_t nr);
struct map_cmd on_pages(const struct slot *s, uint32_t op, uint32_t first,
			uint32_t nr);
/* Pages from @first on, at most @nr, that one mapping can have. */
uint32_t alike(const struct slot *s, uint32_t first, uint32_t nr);

/* How an operation on pages of a slot is noted: with the first one's file. */
#define NOTE_PAGES(pr, s, first, nr, fmt, ...)				\
	note((s)->pages[first].inode, (uint64_t)(s)->pages[first].pgoff * PAGE, \
	     (uint64_t)(nr) * PAGE, "w%d " fmt " slot %d pages %u+%u (inode %d page %u)", \
	     (pr)->id, ##__VA_ARGS__, (int)((s) - (pr)->slots), first, nr, \
	     (s)->pages[first].inode, (s)->pages[first].pgoff)

/* ---- mapops_io.c ---- */

void sweep(struct proc *pr, struct slot *s);
void read_and_compare(struct proc *pr, int file, int fd, size_t pos,
		      size_t len);
/* @more: O_CREAT and so on, besides O_RDWR. */
void reopen(struct proc *pr, int file, int fd, int more);
void op_load(struct proc *pr);
void op_store(struct proc *pr);
void op_sweep(struct proc *pr);
void op_read(struct proc *pr);
void op_compare(struct proc *pr);
void op_write(struct proc *pr);
void op_read_into(struct proc *pr);
void op_write_from(struct proc *pr);
void op_truncate(struct proc *pr);
void op_fallocate(struct proc *pr);
void op_stat(struct proc *pr);
void op_fsync(struct proc *pr);
void op_open(struct proc *pr);
void op_close(struct proc *pr);
void op_unlink(struct proc *pr);

/* ---- mapops_map.c ---- */

void unmap_slot(struct proc *pr, struct slot *s);
void op_mmap(struct proc *pr);
void op_munmap(struct proc *pr);
void op_mprotect(struct proc *pr);
void op_mremap(struct proc *pr);
void op_madvise(struct proc *pr);
void op_msync(struct proc *pr);
void op_mlock(struct proc *pr);
void op_mincore(struct proc *pr);

#endif /* MAPOPS_H */
