/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/internal.h - what the files of libpagefs know of each other
 *
 *   conn.c     struct pagefs: connect, disconnect, the first exchange
 *   heap.c     memory: never malloc()
 *   pool.c     connections, and who may ask on which
 *   wire.c     one question and its answer
 *   table.c    which addresses are ours
 *   map.c      mmap, munmap; protect.c, mremap.c, advice.c: the rest of the API
 *   anon.c     memory without a file
 *   keeper.c   two threads with a descriptor table of their own, and files.c,
 *              the files they keep open
 *   death.c    what they do when the daemon is gone
 *   fork.c     the child's mappings
 *
 *   program's descriptor table        the keeper's descriptor table
 *     pool: sockets for requests        a socket that tells of the daemon's end
 *                                       our copy of the userfaultfd
 *                                       files that are mapped
 *
 * C1. A range is registered with the userfaultfd, or no thread can reach it
 *     (PROT_NONE), or it is mapped to an empty file (SIGBUS). Never does it
 *     show the window's holes, which would read as zeros.
 * C2. Our copy of the userfaultfd is closed only when nothing is registered.
 * C3. No descriptor of a file is ever closed in the program's table by us: that
 *     would drop the program's fcntl(2) locks on the file (checked). In a new
 *     child it may be: a child has none.
 * C4. Memory of the program's is not touched under a lock: it may be a mapping.
 * C5. Memory calls are raw system calls, and memory is had from heap.c: in the
 *     preloaded library mmap() and its kind, and malloc(), are ours.
 *
 * LOCK ORDER, outermost first:
 *   conns_lock	which struct pagefs there are; held over connecting
 *   p->layout	the mappings of p; held over requests
 *   table_lock	the table (rwlock)
 *   pool.lock, keeper.lock	leaves
 *   heap.lock	inside all others
 * fork() holds them all but the keepers'. The keeper takes none but its own;
 * the watcher, when the daemon has gone, layout and what is inside it.
 */
#ifndef PAGEFS_CLIENT_INTERNAL_H
#define PAGEFS_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pagefs/pagefs.h"
#include "pagefs_wire.h"

/* All else is hidden (-fvisibility=hidden). */
#define PAGEFS_API	__attribute__((visibility("default")))

#define CLIENT_PAGE	4096UL
#define PAGE_DOWN(x)	((x) & ~(CLIENT_PAGE - 1))
#define PAGE_UP(x)	PAGE_DOWN((x) + CLIENT_PAGE - 1)
#define PAGE_ALIGNED(x)	(!((x) & (CLIENT_PAGE - 1)))

/* ---- heap.c ---- */

/* Zeroed and aligned to 16; NULL: no memory. */
void *heap_alloc(size_t size);
/* The same with what @ptr (NULL: nothing) has; NULL: @ptr is as it was. */
void *heap_grow(void *ptr, size_t size);
void heap_free(void *ptr);
/* Held over fork(). */
void heap_before_fork(void);
void heap_after_fork(void);
void heap_after_in_child(void);

/* ---- files.c ---- */

/*
 * A file that is mapped, in one access mode: to be mapped again in a child, and
 * to have holes punched (MADV_REMOVE). Fields: (C) constant; (Y) p->layout.
 */
struct kept_file {
	struct kept_file *next;	/* (Y) */
	uint64_t dev, ino;	/* (C) as the daemon says */
	int accmode;		/* (C) O_RDONLY, O_RDWR */
	int kept;		/* (C) its number in the keeper's table */
	int child_fd;		/* in a new child, in the program's table; or -1 */
	size_t users;		/* (Y) mappings */
};

/* ---- table.c ---- */

/* What a mapping shows. All but files are the daemon's own, given to us. */
enum memory {
	MEMORY_FILE,
	MEMORY_COPIES,		/* of a file, of those pages we have stored to */
	MEMORY_PRIVATE,		/* no file; a child has a copy */
	MEMORY_SHARED,		/* no file; a child has the same */
};

/* What a child gets. madvise(MADV_DONTFORK, MADV_WIPEONFORK). */
enum at_fork {
	AT_FORK_KEEP,
	AT_FORK_NOTHING,
	AT_FORK_ZEROS,
};

/*
 * Fields: (C) constant; (Y) p->layout; (T) table_lock. Two letters: both to
 * write, either to read.
 */
struct mapping {
	uintptr_t start, end;	/* (Y,T) */
	uint64_t pos;		/* (Y,T) bytes, of start in the window */
	struct pagefs *p;	/* (C) */
	struct kept_file *file;	/* (C) referenced; MEMORY_FILE has one, unless it
				 * is foreign */
	uint64_t region;	/* (C) MEMORY_SHARED: which; a number of ours */
	struct mapping *next;	/* once out of the table */
	int prot;		/* (Y,T) */
	unsigned int kind;	/* (C) PAGEFS_KIND_* */
	enum memory memory;	/* (C) */
	enum at_fork at_fork;	/* (Y,T) */
	bool private;		/* (C) asked for with MAP_PRIVATE */
	bool lost;		/* (Y,T) the daemon knows it no longer: SIGBUS */
	bool foreign;		/* (C) the program's own, inside our region */
};

enum range_kind {
	RANGE_OUTSIDE,		/* nothing of ours */
	RANGE_RESERVED,		/* in a region, unused */
	RANGE_FOREIGN,		/* in a region, but the program's own */
	RANGE_MAPPED,
};

struct piece {
	uintptr_t start, end;
	enum range_kind kind;
	struct pagefs *p;	/* of all but OUTSIDE */
};

extern pthread_rwlock_t table_lock;

/* A mapping to be, with a place in the table ensured; NULL: no memory. */
struct mapping *mapping_alloc(void);
/* Not in the table. Its file is the caller's to put. */
void mapping_free(struct mapping *m);

void table_insert(struct mapping *m);
/* If @addr is inside a mapping of @p, then two meet there; *@spare is used up. */
void table_split(struct pagefs *p, uintptr_t addr, struct mapping **spare);
/* Neighbours in and around the range that are alike become one. p->layout. */
void table_merge(struct pagefs *p, uintptr_t start, uintptr_t end);
/*
 * The mappings of @p that share a byte with the range, in order, in a new array.
 * They stay as they are while p->layout is held. Return: how many, or -ENOMEM.
 */
ssize_t table_collect(struct pagefs *p, uintptr_t start, uintptr_t end,
		      struct mapping ***listp);
/* Those of @p that lie in it go. Return: them, chained. */
struct mapping *table_take(struct pagefs *p, uintptr_t start, uintptr_t end);
void table_set_prot(struct mapping *m, int prot);
/* The kernel has it now; its file is the caller's to put. */
void table_become_foreign(struct mapping *m);
void table_set_at_fork(struct mapping *m, enum at_fork at_fork);
void table_set_lost(struct mapping *m);
/* Has @p any mapping but foreign ones? */
bool table_has(struct pagefs *p);
/* Has it memory without a file, that a child is to have? Context: table_lock or
 * p->layout. */
bool table_has_memory(struct pagefs *p);
/* Is any byte of it mapped, or the program's own inside a region? */
bool table_is_used(uintptr_t start, uintptr_t end);
/* A connection other than @p with a mapping in the range, or NULL. */
struct pagefs *table_other(struct pagefs *p, uintptr_t start, uintptr_t end);

/* Could the range hold anything of ours? Cheap, takes no lock. */
bool table_near(uintptr_t start, uintptr_t end);
/* What begins at @start, up to @end at most. */
struct piece table_piece(uintptr_t start, uintptr_t end);
/* The program has mapped, or unmapped, something of its own: 0 or -ENOMEM. */
int table_foreign_add(uintptr_t start, uintptr_t end);
int table_foreign_del(uintptr_t start, uintptr_t end);

/* Connections with regions. Context: conns_lock. */
void table_add_region(struct pagefs *p);
void table_del_region(struct pagefs *p);

/* ---- keeper.c ---- */

enum keeper_op {
	KEEPER_NONE,
	KEEPER_HOLD,		/* fd of the program's: number in its table */
	KEEPER_DROP,		/* number */
	KEEPER_GIVE,		/* all files of p to a socket of the program's */
	KEEPER_PUNCH,		/* number, pos, len */
	KEEPER_OFFER,		/* number, struct pagefs_ioc_offer of the asker's */
	KEEPER_MMAP,		/* number, start, len, prot, pos: private, over what
				 * is there */
	KEEPER_DRAIN,		/* from the watcher: see death.c */
	KEEPER_QUIT,
};

#define KEEPER_ARGS	5

/* Fields: (A) atomic; (C) constant while it runs; (K) lock. */
struct keeper {
	pthread_mutex_t lock;
	pthread_cond_t cond;	/* anything below has changed */
	pthread_t watcher, thread;	/* (C) */
	bool running;		/* there are such threads, or were: to be joined */
	bool busy;		/* (K) somebody's question is under way */
	bool gone;		/* (K) it answers no more */
	bool started;		/* (K) start_err tells how it went */
	int start_err;		/* (K) */
	enum keeper_op op;	/* (K) the question; NONE: answered */
	uint64_t args[KEEPER_ARGS];	/* (K) */
	long ret;		/* (K) */
	int sock, uffd[2];	/* (C) in the program's table until started,
				 * then in the keeper's; uffd[1] may be -1 */
	int pidfd;		/* (C) ours, in its table */
	int empty;		/* (C) a memfd of no length, in its table */
	atomic_bool drained;	/* (A) nothing is registered any more */
};

/*
 * Starts watcher and keeper. @sock, @uffd[2], the second may be -1: in the
 * program's table; they remain the caller's to close. Return: 0 or -errno.
 */
int keeper_start(struct pagefs *p, int sock, const int *uffd);
/* Both threads end. Nothing may be registered any more (C2). */
void keeper_stop(struct pagefs *p);
/* As a new child's, without the parent's threads. */
void keeper_init(struct keeper *k);
/* @args: KEEPER_ARGS. Return: >= 0, or -errno; -ENOTCONN: it has ended. */
long keeper_call(struct pagefs *p, enum keeper_op op, const uint64_t *args);
/* By the watcher: answered while the keeper drains. */
void keeper_ask_drain(struct keeper *k);
void *keeper_main(void *arg);
/* A thread with all signals blocked. 0 or -errno. */
int client_thread(pthread_t *thread, void *(*fn)(void *), void *arg);

/* ---- death.c ---- */

/* The watcher, once it has its table. Returns when the daemon has gone. */
void watch_daemon(struct pagefs *p);
/* The keeper's part: read and forget what the kernel has to say. */
void drain_uffd(struct keeper *k);
/* Every mapping of @p becomes one of @empty: SIGBUS. Context: p->layout. */
void lose_all(struct pagefs *p, int empty);
void lose_mapping(struct mapping *m, int empty);

/* ---- files.c. Context: p->layout ---- */

/*
 * Show the daemon that we have a file open: @fd of the program's table, or what
 * the keeper has. *@numberp is for MMAP. Return: 0 or -errno; -ENOTCONN: it has
 * gone, or is another.
 */
int fd_offer(struct pagefs *p, int fd, uint64_t *numberp);
int file_offer(struct pagefs *p, const struct kept_file *file,
	       uint64_t *numberp);

/* Return: 0, or -errno of what keeping it open met. */
int file_get(struct pagefs *p, int fd, int accmode, uint64_t dev, uint64_t ino,
	     struct kept_file **filep);
static inline void file_hold(struct kept_file *file)
{
	if (file)
		file->users++;
}
/* NULL: nothing. */
void file_put(struct pagefs *p, struct kept_file *file);

/* ---- pool.c ---- */

#define POOL_MAX	8	/* connections for requests; arbitrary */

/* A descriptor number, and what it was when it was ours. */
struct own_fd {
	int fd;			/* -1: none */
	dev_t dev;
	ino_t ino;
};

/* Takes @fd over, under a number out of the way. Return: 0 or -errno. */
int own_fd_init(struct own_fd *own, int fd);
/* Is it still ours, or has the program closed all it found? */
bool own_fd_valid(const struct own_fd *own);
void own_fd_close(struct own_fd *own);

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t idle;		/* one has become so */
	struct own_fd conns[POOL_MAX];	/* under lock; the busy one's user's */
	bool busy[POOL_MAX];		/* under lock */
};

void pool_init(struct pool *pool);
/* Close what is idle, and end the wait of those who have asked. */
void pool_shutdown(struct pool *pool);
/* In a new child: nobody is waiting. */
void pool_reset(struct pool *pool);

/*
 * request - ask the daemon
 * @msg:   in: type and args; out: the reply
 * @fdp:   receives the descriptor that comes along, or -1; may be NULL
 * @tail:  room for what follows the reply, or NULL
 * Return: 0 or what the daemon says; -ENOTCONN: it says nothing any more;
 *         -EMFILE: it sent a descriptor we had no number for.
 */
int request(struct pagefs *p, struct pagefs_msg *msg, int *fdp, void *tail,
	    size_t tail_len);
/* The same for questions of few words. */
int ask(struct pagefs *p, unsigned int type, uintptr_t start, uintptr_t end,
	uint64_t arg);

/* ---- wire.c ---- */

/* A connection to the socket @path. Return: descriptor or -errno. */
int wire_connect(const char *path);
/* Fills in what all messages have. @fd: goes along, or -1. 0 or -errno. */
int wire_send(int sock, struct pagefs_msg *msg, int fd);
/*
 * The reply to *@msg into it; the rest as in request(), but 0 means that there
 * is one, whatever its err. Any failure but -EMFILE: the connection is broken.
 */
int wire_recv(int sock, struct pagefs_msg *msg, int *fdp, void *tail,
	      size_t tail_len);
/* HELLO: its reply's args, and /dev/userfaultfd or -1. Return: 0 or -errno. */
int wire_hello(int sock, const struct pagefs *p, struct pagefs_msg *reply,
	       int *fdp);
#define GIVE_BATCH	200	/* files in one packet; arbitrary, the kernel allows 253 */
/* @nr, up to GIVE_BATCH, in a packet / up to @max. Return: number or -errno. */
int wire_send_fds(int sock, const int *fds, size_t nr);
int wire_recv_fds(int sock, int *fds, size_t max);

/* ---- conn.c ---- */

/* Descriptors of the first exchange, in the program's table; or -1. */
struct session {
	int sock, uffd[2];
};

enum pagefs_state {
	PAGEFS_LIVE,
	PAGEFS_FORKED,		/* in a child, without mappings: to connect */
	PAGEFS_DEAD,		/* for good */
};

/* Fields: (A) atomic; (C) constant; (N) conns_lock; (Y) layout; (T) table_lock. */
struct pagefs {
	struct pagefs *next;	/* (N,T) */
	dev_t dev;		/* (C) st_dev of its files */
	char path[sizeof(((struct pagefs_ioc_info *)0)->socket)]; /* (C) */
	unsigned int users;	/* (N) */
	uintptr_t base, end;	/* (C) the region; both 0: none */
	atomic_int state;	/* (A) enum pagefs_state */
	atomic_bool held;	/* (A) the preloaded library has its use */

	pthread_mutex_t layout;
	int cancel_state;	/* (Y) of the thread that holds it */
	struct kept_file *files;	/* (Y) */
	uint64_t cookie[2];	/* (Y) the daemon's, for this process */
	/* (Y) during fork(): */
	int fork_sock;		/* the child's files; or -1 */
	int fork_conn;		/* whose end drops the child's memory; or -1 */
	uint64_t fork_token[2];
	struct session session;	/* (Y) in a new child, without a keeper yet */

	struct pool pool;
	struct keeper keeper;
};

extern pthread_mutex_t conns_lock;
extern struct pagefs *conns;	/* conns_lock, or table_lock to read */

/* Which mount and what kind of file. 0, -EBADF, or -ENOTCONN: it has gone. */
int file_id(int fd, dev_t *devp, mode_t *modep);

/* The first exchange: HELLO, userfaultfd, keeper. Context: p->layout, or @p is
 * known to nobody yet. Return: 0 or -errno. */
int session_open(struct pagefs *p);
/* The same in two steps, the second of which starts threads: so it may take
 * memory of the program's malloc(). p->session between the two. */
int session_begin(struct pagefs *p);
int session_keep(struct pagefs *p);
void session_close(struct session *session);
/* Another connection of a process that has a session. Descriptor or -errno. */
int session_join(struct pagefs *p);
void pause_ms(long ms);

/* Begin to change mappings. 0 with the lock held, or -ENOTCONN, ... */
int layout_begin(struct pagefs *p);
/* The same, on a dead connection too. */
void layout_lock(struct pagefs *p);
void layout_unlock(struct pagefs *p);

static inline bool is_dead(struct pagefs *p)
{
	return atomic_load(&p->state) == PAGEFS_DEAD;
}

static inline bool in_region(const struct pagefs *p, uintptr_t start,
			     uintptr_t end)
{
	return start >= p->base && end <= p->end;
}

/* ---- map.c ---- */

/* What is asked for, checked. */
struct map_args {
	uintptr_t start, end;	/* 0 and the length if anywhere */
	uint64_t pos;		/* in the file */
	int prot, flags;
	enum memory memory;
	bool private;
	int fd;			/* unless is_anon() */
	int accmode;
	const char *name;	/* MEMORY_SHARED: of the region, or NULL */
	unsigned int shm_flags;	/* with a name: PAGEFS_SHM_* */
	mode_t mode;		/* of a new region */
};

static inline bool is_anon(enum memory memory)
{
	return memory == MEMORY_PRIVATE || memory == MEMORY_SHARED;
}

/* Return: 0 and *@addrp, or -errno as pagefs_mmap(). */
int map_memory(struct pagefs *p, const struct map_args *a, void **addrp);

/*
 * Map the window @fd at [@m->start, @m->end), register it, allow access. On
 * failure the daemon has forgotten it, and nobody can reach the range.
 * Context: p->layout. Return: 0 or -errno.
 */
int range_attach(const struct mapping *m, int window);
/* Nobody can reach it, and nobody else gets it. 0 or -errno. */
int range_reserve(uintptr_t start, uintptr_t end);
/* Addresses that nobody has: anywhere, or (*@start) there. 0 or -errno. */
int range_claim(uintptr_t *start, size_t len);
/* As it was before us: reserved inside the region, unmapped outside. */
void range_release(struct pagefs *p, uintptr_t start, uintptr_t end);

/*
 * The request that has no file to it, for @m: MMAP_ANON, INHERIT, .... @msg has
 * its type and what is not of @m; gets the reply. 0 or -errno.
 */
int ask_window(const struct mapping *m, struct pagefs_msg *msg, int *windowp);
/* MMAP for @m of what is on offer as @number: its reply, and the window's
 * descriptor. 0 or -errno. */
int ask_mmap(const struct mapping *m, unsigned int wire_flags, uint64_t number,
	     struct pagefs_msg *reply, int *windowp);

#define UNMAP_RESERVE	0x1u	/* leave a reservation outside the region too */

/* Context: p->layout. Return: 0 or -errno. */
int unmap_range(struct pagefs *p, uintptr_t start, uintptr_t end,
		unsigned int flags);
/*
 * mprotect(2) of a private mapping for reading, which the kernel has from here on.
 * Return: 0; -EACCES: there is something else in the range; or -errno.
 */
int protect_by_kernel(struct pagefs *p, uintptr_t start, uintptr_t end, int prot);
/* What other connections have there goes. Context: no lock. */
int unmap_others(struct pagefs *p, uintptr_t start, uintptr_t end);

/* [addr, addr + len), rounded up: 0, or -EINVAL if it is not page aligned, is
 * empty or wraps. */
int range_check(const void *addr, size_t len, uintptr_t *startp,
		uintptr_t *endp);

/* ---- mremap.c ---- */

#define REMAP_IN_REGION	0x10000	/* not out of the region; beside MREMAP_* */
/* As pagefs_mremap(). */
int remap_memory(struct pagefs *p, void *addr, size_t old_len, size_t new_len,
		 int flags, void *new_addr, void **addrp);

/* ---- anon.c ---- */

/* @m, which has addresses and rights, gets a place in a window. 0 or -errno. */
int ask_anon(struct mapping *m, const struct map_args *a,
	     unsigned int wire_flags, struct pagefs_msg *reply, int *windowp);
/* What this new child has inherited at @m, attached. Context: p->layout. Return:
 * 0; or -errno, and it is to be lost. */
int inherit_mapping(const struct mapping *m);
/* Zeros there, in a new child. The same. */
int renew_mapping(struct mapping *m);

/* ---- fork.c ---- */

/* Registers its handlers, once: those that must come first; those that come last. */
void fork_init(void);
void fork_init_late(void);
/* atfork.c's or preload_fork.c's: as pthread_atfork(3). */
void fork_register(void (*prepare)(void), void (*parent)(void),
		   void (*child)(void));

/* This thread's fork(): shall a child that cannot have its memory end at once,
 * and why could it not? */
struct this_fork {
	bool strict;
	int err;
};
extern _Thread_local struct this_fork this_fork
	__attribute__((tls_model("initial-exec")));
/* May the program's malloc() have its memory from us? Then a child connects in
 * fork() even if nothing is mapped, and touches memory before its handlers. */
extern bool fork_eager;

/* ---- fork_early.c ---- */

/* Until disarmed, a child's SIGSEGV calls @fn, unless that says false. */
void fork_early_arm(bool (*fn)(void));
void fork_early_disarm(void);

#endif /* PAGEFS_CLIENT_INTERNAL_H */
