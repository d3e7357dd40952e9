/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/internal.h - what the files of daemon/ know of each other's clients
 *
 *   socket.c       where they connect
 *   listen.c       who may, and when
 *   conn.c         connections, messages in and out
 *   request.c      what each message asks for
 *   request_map.c  those that change mappings
 *   request_anon.c those about memory without a file
 *   fork.c         such memory, on its way to a child
 *   shm.c          such memory, with a name
 *   session.c      clients: one for each process that maps files
 *   offer.c        open files they have shown, to map them
 *   uffd.c         a client's userfaultfd: mmu_ops, messages, events
 *   uffd_probe.c   what this kernel's can do, and whether it is one
 *   faultd.c       the threads that serve faults
 *   serve.c        one fault, and those kept while their pages are read
 *   slots.c        which of them wait for messages, and on which CPUs
 *   sigbus.c       faults that cannot be served
 *
 *            conns --reference--> client --> mm_struct, userfaultfd, pidfd
 *                                  ^  ^
 *         table, by slot ----------+  +---------- fault threads, while they
 *                                                 serve one of its messages
 *
 * The loop thread is the one that runs the libuv loop: the main thread. Work
 * that may block runs in libuv's threads ("workers").
 */
#ifndef PAGEFS_DAEMON_INTERNAL_H
#define PAGEFS_DAEMON_INTERNAL_H

#include <signal.h>
#include <sys/socket.h>
#include <uv.h>

#include "mmap.h"
#include "pagefs_fs.h"
#include "pagefs_wire.h"
#include "rcu.h"
#include "log.h"

struct config;
struct uffd_msg;

/* ---- session.c: clients ---- */

#define MAX_CLIENTS	1024u	/* table slots; arbitrary */

/* A client has one for each way to learn of its stores. */
enum uffd_kind {
	UFFD_SYNC,		/* the first to a page is a message */
	UFFD_ASYNC,		/* they are scanned for: VM_UFFD_ASYNC */
	NR_UFFD_KINDS,
};

/*
 * Fields: (A) atomic; (C) constant; (D) session.c's dead.lock; (L) the loop
 *         thread's; (M) msg_lock; (O) offer_lock.
 */
struct client {
	uint64_t id;		/* (C) slot, and a number that is never reused */
	uint64_t secret;	/* (C) with id: the cookie that says it is this one */
	atomic_int refs;	/* (A) the table, conns, whoever looked it up */
	pid_t pid;		/* (C) */
	uid_t uid;		/* (C) of who connected */
	gid_t gid;		/* (C) */
	int pidfd;		/* (C) */
	atomic_int uffd[NR_UFFD_KINDS];	/* (A) -1 until there is one; then constant.
					 * No ASYNC without a SYNC */
	int pagemap;		/* (C) once there is an ASYNC */
	struct mm_struct *mm;	/* (C) a user, and mmgrab() */

	struct mutex lock;	/* LOCK_CLIENT: its mappings are being changed:
				 * one request or event at a time, in order */
	struct mutex msg_lock;	/* LOCK_LEAF: reading uffd, and the lists */
	struct list_head events;	/* (M) read, not yet acted upon */
	struct list_head faults;	/* (M) the same; read by uffd_again() */
	unsigned int nr_backlog;	/* (M) on both */
	unsigned int nr_unacted;	/* (M) events read whose act has not ended */

	struct mutex offer_lock;	/* LOCK_LEAF */
	struct list_head offers;	/* (O) oldest first */
	unsigned int nr_offers;	/* (O) */

	atomic_uint in_service;	/* (A) fault threads at work for it */
	atomic_bool throttled;	/* (A) enough of them: not listened to */
	atomic_ulong again_since;	/* (A) ms; 0: its MMU answers */
	atomic_ulong nr_again;	/* (A) operations it has prevented */
	atomic_ulong last_failure;	/* (A) sigbus.c's: where */
	atomic_bool killed;	/* (A) by us, and said so */

	uv_poll_t death;	/* (L) pidfd */
	bool in_table;		/* (L) */
	bool died;		/* (L) its process has ended */
	unsigned int nr_conns;	/* (L) */
	unsigned int nr_running;	/* (L) requests in workers */
	struct list_head conns;	/* (L) */
	struct list_head waiting;	/* (L) conns with a request that waits */

	uv_work_t work;		/* (L) destruction */
	struct list_head list;	/* (D) no references are left */
	struct rcu_head rcu;
};

int clients_init(uv_loop_t *loop);
/*
 * All clients go: what they map is unmapped here. Their userfaultfds stay open
 * until the process ends, so that no page of theirs reads as zeros before.
 * Context: loop thread, no conn and no fault thread is left.
 */
void clients_exit(void);

/*
 * A client in the making, one reference. Context: may sleep; not in the table.
 * Return: ERR_PTR(-ESRCH, -EMFILE, -ENOMEM, ...).
 */
struct client *client_alloc(const struct ucred *who, int pidfd,
			    unsigned long base, unsigned long len);
/* Into the table, which gets a reference. Loop thread. 0, -EUSERS, ... */
int client_add(struct client *client);
/* It is served no longer. Loop thread; conns are the caller's to close. */
void client_drop(struct client *client);
/* The client of process @pid, referenced, or NULL. Loop thread. */
struct client *client_of_pid(pid_t pid);
/* The client @id, referenced, or NULL. Any thread. */
struct client *client_get_by_id(uint64_t id);
static inline void client_get(struct client *client)
{
	atomic_fetch_add(&client->refs, 1);
}
/* The one in table slot @slot < MAX_CLIENTS; the same. */
struct client *client_get_by_slot(unsigned int slot);
/* Any thread, under any lock. */
void client_put(struct client *client);
/* Has its memory gone (exit, exec)? */
bool client_is_gone(struct client *client);
/* It stands in the others' way. Any thread. */
void client_kill(struct client *client, const char *why);
/* In the table. Any thread. */
unsigned int nr_clients(void);
/* mmap_arm(), tried for a second. Context: client_lock(). */
int client_arm(struct client *client, unsigned long addr, size_t len);
/* Has it given us one that is scanned? */
static inline bool client_has_async(struct client *client)
{
	return atomic_load(&client->uffd[UFFD_ASYNC]) >= 0;
}

/* Changes of the client's mappings. Events that have been read come first. */
void client_lock(struct client *client);
void client_unlock(struct client *client);
/* Act upon what events there are, unless somebody is at it, who then will. */
void client_run_events(struct client *client);

/* ---- offer.c ---- */

/* fs_set_offer_taker()'s: PAGEFS_IOC_OFFER. Context: a FUSE worker. */
int offer_take(const uint64_t cookie[2], const struct fs_offer *file,
	       uint64_t *numberp);
/* Offer @number of the client is the caller's, to put. Return: 0 or -EBADF. */
int offer_claim(struct client *client, uint64_t number, struct fs_offer *file);
/* All go. Context: may sleep; nobody has a reference to the client. */
void offers_drop(struct client *client);

/* ---- socket.c ---- */

/* A socket that listens at @path (NULL: the default), for @everybody or this
 * user. Return: it; or -errno, and a message was logged. */
int socket_open(const char *path, bool everybody);
void socket_remove(void);

/* ---- listen.c ---- */

/* The arguments are socket_open()'s. Return: 0 or -errno: it has been said. */
int conn_listen(uv_loop_t *loop, const char *path, bool everybody);
/* Nobody connects any more, no request is read; waits for those that run. */
void conn_quiesce(void);
/* Close all connections. */
void conn_exit(void);

/* ---- conn.c. Loop thread ---- */

/* Close the connections of @client. */
void conn_close_all(struct client *client);

/* For listen.c. Connections there are; of the same process; of the same user. */
struct conns_nr {
	unsigned int all, of_process, of_user;
};
void conns_count(const struct ucred *peer, struct conns_nr *nr);
/* Takes @fd over, which @peer has connected to. Return: 0 or -errno. */
int conn_new(int fd, const struct ucred *peer);
/* Close those that have not said who they are. Return: are there others? */
bool conns_sweep(void);
void conns_init(uv_loop_t *loop);
/* No request is read any more; waits for those that run. */
void conns_quiesce(void);
void conns_exit(void);

/* ---- request.c, request_map.c, request_anon.c ---- */

/* Fields are the worker's while it runs, else the conn's. */
struct request {
	struct pagefs_msg in, out;
	int in_fd;		/* came along, or -1 */
	int out_fd;		/* to go along, or -1; not ours to close */
	struct vm_file *file;	/* keeps out_fd open until the reply is sent */
	unsigned char *vec;	/* MINCORE's, malloc'd */
	size_t vec_len;
	uint64_t fork;		/* FORK's copy, for fork_end(); 0: none. The
				 * connection's, not only this request's */
};

/* Does a message of @type bring a descriptor? 1, 0, or -EINVAL: no such type. */
int request_nr_fds(unsigned int type);
/* Fills in @rq->out. Context: worker. */
void request_run(struct client *client, struct request *rq);
/* What can be done once the reply is sent, until @stop(@arg). Worker. */
void request_after(struct client *client, struct request *rq,
		   bool (*stop)(void *arg), void *arg);
void request_done(struct request *rq);

/* ---- fork.c ---- */

void fork_init(uv_loop_t *loop);
/* Waits for copies that are being dropped. Loop thread; no conn is left. */
void fork_exit(void);
/*
 * The client's memory without a file as it is now, waiting for who has the
 * token; token[0] is its number. Context: worker.
 * Return: 0; -ENODATA: it has none; -EAGAIN: too many wait, or it cannot be
 * stopped; -ENOMEM.
 */
int fork_snapshot(struct client *client, uint64_t token[2]);
/* It is @client's now. Worker. Return: 0; -ENOENT: no such token; -EBUSY: it has
 * memory already; -ENOMEM. */
int fork_adopt(struct client *client, const uint64_t token[2]);
/* Nobody will come for copy @number, if nobody has. Loop thread. */
void fork_end(uint64_t number);

/* ---- shm.c ---- */

struct shm_request {
	char name[PAGEFS_SHM_NAME];	/* padded with 0 */
	uid_t uid;			/* who asks */
	gid_t gid;
	mode_t mode;			/* of a new one: 0777 */
	bool create, exclusive;
	unsigned long nr_pages;		/* of a new one; else at most its own */
};
/* A region, referenced; to be put without locks. Worker. Return: 0; -ENOENT,
 * -EEXIST, -EACCES; -EINVAL: too short, or no name; -ENFILE: too many; -ENOMEM. */
int shm_get(const struct shm_request *want, struct vm_file **filep);
/* Return: 0, -ENOENT, -EACCES: another's. */
int shm_unlink_region(const char name[PAGEFS_SHM_NAME], uid_t uid);
/* All names go. */
void shm_exit(void);

/* ---- uffd_probe.c ---- */

/* Constant after uffd_probe(). */
extern struct uffd_features {
	uint64_t api;		/* what is asked of UFFDIO_API */
	bool has_continue;	/* UFFDIO_CONTINUE without MINOR, and with WP */
	bool has_poison;
	bool has_async;		/* WP_ASYNC and PAGEMAP_SCAN */
	bool has_nowait;	/* preadv2(RWF_NOWAIT) */
} uffd_features;

/* What this kernel can do. @scan_stores: is UFFD_ASYNC wanted? Return: 0, or
 * -errno: it cannot serve us. */
int uffd_probe(bool scan_stores);
/* Is @fd a userfaultfd that nobody uses yet? Makes it ours. 0 or -errno. */
int uffd_adopt(int fd, enum uffd_kind kind);

/* ---- uffd.c ---- */

extern const struct mmu_ops uffd_mmu_ops;

bool uffd_mm_is_gone(struct client *client);
/* As @vm_flags say: VM_UFFD_WP, which may be added to what is registered, and
 * VM_UFFD_ASYNC. */
int uffd_register(struct client *client, unsigned long addr, size_t len,
		  unsigned long vm_flags);
void uffd_unregister(struct client *client, unsigned long addr, size_t len,
		     unsigned long vm_flags);
void uffd_wake(struct client *client, unsigned long addr, size_t len);
/*
 * One page: accesses raise SIGBUS; its first write is noticed; is no longer
 * noticed; it is mapped.
 * Return: 0, or what the kernel said; -EAGAIN if it would not obey.
 */
int uffd_poison(struct client *client, unsigned long addr);
int uffd_arm(struct client *client, unsigned long addr);
int uffd_disarm(struct client *client, unsigned long addr);
int uffd_continue(struct client *client, unsigned long addr);

/* What uffd_read() found. */
enum uffd_read {
	UFFD_NOTHING,
	UFFD_FAULT,		/* faults, in @msgs */
	UFFD_EVENT,		/* events, in client->events; faults, perhaps */
	UFFD_FULL,		/* nothing is read before events are acted upon */
	UFFD_BROKEN,
};
/* At most @max messages. With the first two: *@nrp of them are faults. */
int uffd_read(struct client *client, struct uffd_msg *msgs, unsigned int max,
	      unsigned int *nrp);
/* Faults that somebody else is to serve. */
void uffd_unread(struct client *client, const struct uffd_msg *msgs,
		 unsigned int nr);
/* Take the first of client->events or ->faults. Return: false: none. */
bool uffd_next_event(struct client *client, struct uffd_msg *msg);
bool uffd_next_fault(struct client *client, struct uffd_msg *msg);
bool uffd_has_events(struct client *client);
/* One taken has been acted upon. */
void uffd_event_done(struct client *client);
void uffd_drop_backlog(struct client *client);

/* ---- faultd.c ---- */

int faultd_start(bool low_latency);
void faultd_stop(void);
/* Listen to @client from now on, at this userfaultfd too; no longer. */
int faultd_add(struct client *client, int uffd);
void faultd_del(struct client *client);
/* Some client has a backlog. Under any lock. */
void faultd_kick(void);

/* This thread is at work for @client, and no longer. */
void faultd_begin_service(struct client *client);
void faultd_end_service(struct client *client);

/* For slots.c. Under any lock. */
void faultd_want_thread(void);
void faultd_wake_manager(void);

/* ---- serve.c: for the fault threads alone ---- */

/* To its end, or to where its page is being read. */
void serve_fault(struct client *client, const struct uffd_msg *msg);
/* Return: false: serve_fault() it, which may sleep. */
bool serve_fault_nowait(struct client *client, const struct uffd_msg *msg);
/* How many are to be read at once. */
unsigned int faults_wanted(void);
/* Does this thread keep faults, or is it reading at least? */
bool has_kept(void);
/* All of them, now: before anything that may wait. */
void end_kept(void);
/* Submit their reads, sleep until a page has come, and serve those that have; or
 * until @fd is readable. Return: false: it is not. */
void wait_for_kept(void);
bool wait_for_kept_or(int fd);

/* ---- slots.c: which fault threads wait, and where ---- */

/* Return: the number of CPUs. */
unsigned int slots_init(bool low_latency);
/* slot_enter() says false from now on. */
void slots_stop(void);
void slots_exit(void);
void slots_thread_begin(unsigned int id);
void slots_thread_end(void);
/* Wait for the duty to wait. Return: false: leave. */
bool slot_enter(void);
/* The same without waiting for it. Return: false: not now, or leave. */
bool slot_try_enter(void);
/* A message of thread @tid is being served. */
void slot_serving(uint32_t tid);
/* Is it still this thread's duty to wait for messages? */
bool slot_is_mine(void);
/* And to read another one before waiting? */
bool slot_may_go_on(void);
/* The manager's: every slots_tick_ms() unless that is 0. */
void slots_tick(void);
unsigned int slots_tick_ms(void);

/* ---- sigbus.c ---- */

/* The fault ended in @ret, an error. */
void fault_failed(struct client *client, const struct uffd_msg *msg,
		  vm_fault_t ret);
/* Try pages again that could not be had. Context: worker. */
void sigbus_retry(void);
/* Is there anything to retry? */
bool sigbus_pending(void);
void sigbus_exit(void);

#endif /* PAGEFS_DAEMON_INTERNAL_H */
