/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/stress/maptwins.h - what the files of maptwins share
 *
 *   main process: model, decisions, checks      worker processes: hands
 *   +-----------------------------------+  cmd   +---------------------------+
 *   | mapops*.c   what to do next,      | -----> | mapworker.c               |
 *   |             what must come of it  | <----- |  read, write, truncate,   |
 *   | mapmodel.c  bytes of every file,  |  reply |  pagefs_mmap, loads and   |
 *   |             pages of every mapping|        |  stores that may fault ...|
 *   +-----------------------------------+        +---------------------------+
 *            bytes travel in a buffer that is shared, one a worker
 *
 * mapapart.c is the second mode: the workers decide for themselves, at the same
 * time, each on bytes that are its own though the pages are everybody's.
 */
#ifndef MAPTWINS_H
#define MAPTWINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "clock.h"
#include "mapper.h"

#define PAGE		4096u
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Arbitrary, all of them. */
#define MAX_FILES	8
#define MAX_PROCS	16
#define NR_FDS		2		/* of each file, in each worker */
#define NR_SLOTS	6		/* mappings of a worker */
#define SLOT_PAGES	8192u		/* of one of them */
#define NR_INODES	96
#define BUF_SIZE	(256u << 10)	/* of one command */
#define SPOT_PAGES	48		/* most operations fall into so many */
#define REPLY_SECONDS	60		/* after which a worker counts as hung */

/* ---- commands to workers ---- */

enum map_op {
	OP_QUIT,
	OP_OPEN,		/* file fd flags */
	OP_CLOSE,		/* file fd */
	OP_READ,		/* file fd pos len: into buf */
	OP_WRITE,		/* file fd pos len: from buf; flags O_APPEND */
	OP_READ_INTO,		/* file fd pos len, addr: into the mapping */
	OP_WRITE_FROM,		/* file fd pos len, addr: from the mapping */
	OP_TRUNCATE,		/* file fd pos; how: by name */
	OP_FALLOCATE,		/* file fd flags pos len */
	OP_FSYNC,		/* file fd; how: fdatasync */
	OP_STAT,		/* file fd: st_size */
	OP_UNLINK,		/* file */
	OP_MMAP,		/* file fd prot flags pos len addr; how: MMAP_* */
	OP_MUNMAP,		/* addr len; then touches it; how: do not */
	OP_MPROTECT,		/* addr len prot */
	OP_MREMAP,		/* addr len pos=new length flags */
	OP_MADVISE,		/* addr len flags */
	OP_MSYNC,		/* addr len flags */
	OP_MLOCK,		/* addr len: locks, loads a byte, unlocks */
	OP_MINCORE,		/* addr len */
	OP_LOAD,		/* addr len how=enum access */
	OP_STORE,		/* addr len how=enum access */
	OP_FORK,		/* the child is the worker until OP_EXIT */
	OP_EXIT,		/* how: by SIGKILL */
	OP_RECONNECT,
	NR_OPS,
};

/* how of OP_MMAP: with which descriptor */
#define MMAP_GIVEN	0
#define MMAP_RDONLY	1	/* one opened for reading alone, closed again */

enum access {
	BY_MEMCPY,		/* page by page */
	BY_BYTES,
	BY_WORDS,		/* 8 bytes, wherever they begin */
	ALL_AT_ONCE,		/* one memcpy: where no signal is expected */
	NR_ACCESSES,
};

struct map_cmd {
	uint32_t op;
	int32_t file, fd;
	int32_t prot, flags, how;
	uint64_t addr, pos, len;
};

struct map_reply {
	int64_t ret;		/* what the call gave, or -errno */
	uint64_t addr;		/* of a new mapping, or of the signal */
	uint64_t done;		/* bytes before the signal */
	int32_t signo;		/* 0: none came */
};

/* ---- options ---- */

struct options {
	const char *dir;	/* where the files are worked on */
	const char *backing;	/* where they are stored, or NULL */
	uint64_t seed;
	uint64_t ops;		/* 0: no limit */
	unsigned int seconds;	/* 0: no limit */
	unsigned int procs, files;
	size_t maxlen;		/* of a file */
	bool plain, direct, keep, apart, pollute, verbose, no_mmap;
};

extern struct options opt;

/* ---- mapmodel.c ---- */

uint64_t rnd(void);
void rnd_seed(uint64_t seed);
uint64_t below(uint64_t n);

/* A file's contents as they must be; one that is deleted lives on while it is
 * open or mapped. */
struct inode {
	uint8_t *data;		/* opt.maxlen bytes; zeros from size on */
	size_t size;
	size_t high;		/* data is zero from here */
	uint64_t spot;		/* page around which most operations fall */
	int file;		/* which name it has, or -1 */
	bool used;
};

/* One page of a mapping. */
struct slot_page {
	int16_t inode;		/* -1: nothing there any more */
	uint8_t prot;
	uint8_t rights;		/* PAGE_* */
	uint32_t pgoff;
};
#define MAY_WRITE	0x1	/* mprotect may add PROT_WRITE */
#define IS_PRIVATE	0x2

struct slot {
	char *addr;		/* in the worker; NULL: not used */
	uint32_t nr;		/* pages */
	bool cut;		/* has been more than one mapping */
	struct slot_page pages[SLOT_PAGES];
};

struct proc {
	int id;
	int sock;
	pid_t pid;
	uint8_t *buf;		/* BUF_SIZE, shared with the worker */
	int fds[MAX_FILES][NR_FDS];	/* inode, or -1: closed */
	bool fd_append[MAX_FILES][NR_FDS];
	struct slot slots[NR_SLOTS];
	struct proc *forked;	/* the state to return to; NULL: not a child */
};

extern struct inode inodes[NR_INODES];
extern int names[MAX_FILES];	/* inode, or -1 */
extern struct proc *procs[MAX_PROCS];
extern uint64_t op_nr;		/* operations so far */

int inode_new(int file);
void inode_resize(struct inode *ino, size_t size);
void inode_zero(struct inode *ino, size_t pos, size_t len);
const char *file_path(const char *dir, int file);

/* Bytes that tell which operation wrote them, and where. */
void pattern_fill(uint8_t *buf, uint64_t op, size_t pos, size_t len);
/* What bytes at @pos, inside one page, say of their origin. */
void pattern_tell(char *text, size_t size, const uint8_t *page, size_t pos);

/* Remember the operation that begins: what, on which bytes of which inode
 * (-1: none, or not one). */
__attribute__((format(printf, 4, 5)))
void note(int inode, uint64_t pos, uint64_t len, const char *fmt, ...);
/* Say what went wrong with these bytes, and what was done to them; exit. */
__attribute__((noreturn, format(printf, 4, 5)))
void die(int inode, uint64_t pos, uint64_t len, const char *fmt, ...);
/* Die unless @buf is what the model has at @pos. */
void compare(int inode, size_t pos, const uint8_t *buf, size_t len,
	     const char *by);
/* Die unless what is stored is the model; -1: nothing to compare with. */
void compare_backing(int inode, size_t pos, size_t len, const char *when);
void compare_backing_size(int inode, const char *when);

/* ---- mapworker.c ---- */

/* Returns when told to quit, or when the main process has gone. */
void worker_main(int sock, uint8_t *buf);
/* Catch the signals of accesses that may fault. */
void access_init(void);
/**
 * access_copy - load or store, and survive it
 * @signop: 0 or the signal that ended it; @addrp: its address
 * Return: bytes done before it.
 */
size_t access_copy(uint8_t *map, uint8_t *buf, size_t len, bool store,
		   enum access how, int *signop, uint64_t *addrp);

/* ---- mapops.c ---- */

void ops_start(void);
void one_op(void);
void ops_finish(void);		/* sync, unmap, compare everything */

/* ---- mapapart.c ---- */

void apart_run(void);

#endif /* MAPTWINS_H */
