// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/fork.c - the child has the same mappings, of its own
 *
 *   parent, before             child, first of all
 *   all locks, all signals     descriptors of the parent's: closed
 *   files: queued in a socket  no mapping left: connects when it needs to
 *   memory: FORK on another    else: session_begin, ADOPT; each mapping made
 *   connection                   again where it was
 *   fork() ------------------> child, last: threads, files to the keeper
 *   locks, signals
 *
 * Ranges are MADV_DONTFORK: with them copied, the child would read zeros where
 * its parent waits for the daemon, and plant them in the window for all. So the
 * child begins with holes there, and nothing may run in it that could touch
 * them, or be put into them, before we have filled them; and nothing of the
 * program's may run in the parent between FORK and fork(). So our handlers are
 * registered before all others: those of a parent run last to first, those of a
 * child first to last.
 *
 * The first of all cannot do everything: to start threads takes memory of
 * malloc(), which may be one whose own handler has still to run. The rest is
 * done by another handler, registered as late as we can (fork_init_late).
 * Between the two the child has a userfaultfd but no keeper; it waits for a
 * daemon that dies meanwhile.
 *
 * The child gets the files through a socket, as nothing of the keeper's is
 * inherited, and the parent cannot have them in its table even for a moment:
 * closing them would drop its fcntl(2) locks. In flight they are nowhere.
 *
 * The memory is the daemon's to keep while the connection it was asked on is
 * open in either: in the parent until it has forked, in the child until it has
 * adopted it. If they are killed before, it is dropped.
 *
 * F1. A mapping that cannot be made again is one of an empty file: SIGBUS.
 * F2. If somebody has got its addresses first, the child cannot go on: what it
 *     stores there would be in another's memory.
 * F3. Neither the handlers before fork() nor the child's first use malloc().
 * vfork() and posix_spawn() share the parent's memory until they exec, and a
 * child made by clone(2) itself gets SIGSEGV.
 * Locks: all of them are held over fork() and made anew in the child.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"
#include "sys.h"

static sigset_t saved_mask;	/* of the thread in fork() */
_Thread_local struct this_fork this_fork
	__attribute__((tls_model("initial-exec")));
bool fork_eager;
static bool is_restored;	/* in the child: restore_once() has been called */

/* ---- the parent ---- */

/* Queue p's files for the child. Failing that, F1. */
static void queue_files(struct pagefs *p)
{
	int pair[2];

	p->fork_sock = -1;
	if (!p->files || is_dead(p))
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, pair))
		return;
	keeper_call(p, KEEPER_GIVE,
		    (uint64_t[KEEPER_ARGS]){ (uint64_t)pair[1] });
	close(pair[1]);
	p->fork_sock = pair[0];
}

static int ask_fork(int sock, uint64_t token[2])
{
	struct pagefs_msg msg = { .type = PAGEFS_FORK };
	int err;

	err = wire_send(sock, &msg, -1) ?: wire_recv(sock, &msg, NULL, NULL, 0) ?:
	      msg.err;
	if (!err)
		memcpy(token, msg.args, 2 * sizeof(*token));
	return err;
}

/* Return: the connection it is kept for, or -errno. */
static int copy_memory_once(struct pagefs *p)
{
	int sock = session_join(p), err;

	if (sock < 0)
		return sock;
	err = ask_fork(sock, p->fork_token);
	if (!err)
		return sock;
	close(sock);
	return err;
}

/*
 * How often to ask, and how many milliseconds apart: a second, arbitrary. So many
 * children may not have come for theirs yet that the daemon wants to see some
 * first, or has no connection left.
 */
#define COPY_TRIES	500
#define COPY_PAUSE_MS	2

/* Have the daemon keep p's memory for the child. Failing that, F1. */
static void copy_memory(struct pagefs *p)
{
	int sock = -EAGAIN;

	p->fork_conn = -1;
	if (is_dead(p) || !table_has_memory(p))
		return;
	for (int i = 0; i < COPY_TRIES; i++) {
		sock = copy_memory_once(p);
		if ((sock != -EAGAIN && sock != -ECONNREFUSED) || is_dead(p))
			break;
		pause_ms(COPY_PAUSE_MS);
	}
	if (sock >= 0)
		p->fork_conn = sock;
	else if (!is_dead(p))
		this_fork.err = sock;
}

static bool restore_once(void);

PAGEFS_API void pagefs_fork_early(void)
{
	fork_eager = true;
}

static void before_fork(void)
{
	struct pagefs *p;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&conns_lock);
	saved_mask = old;
	for (p = conns; p; p = p->next) {
		pthread_mutex_lock(&p->layout);
		queue_files(p);
		copy_memory(p);
	}
	pthread_rwlock_wrlock(&table_lock);
	for (p = conns; p; p = p->next)
		pthread_mutex_lock(&p->pool.lock);
	heap_before_fork();
	is_restored = false;
	if (fork_eager)
		fork_early_arm(restore_once);
}

static void after_in_parent(void)
{
	sigset_t old = saved_mask;
	struct pagefs *p;

	fork_early_disarm();
	heap_after_fork();
	for (p = conns; p; p = p->next)
		pthread_mutex_unlock(&p->pool.lock);
	pthread_rwlock_unlock(&table_lock);
	for (p = conns; p; p = p->next) {
		if (p->fork_sock >= 0)
			close(p->fork_sock);
		if (p->fork_conn >= 0)
			close(p->fork_conn);
		p->fork_sock = p->fork_conn = -1;
		pthread_mutex_unlock(&p->layout);
	}
	pthread_mutex_unlock(&conns_lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- the child ---- */

/*
 * One packet's files, from @file on. Packets are full but the last; one that is
 * not, because we had no numbers left, must be the last too, or files would get
 * each other's descriptors. Return: the next file, NULL: no more will come.
 */
static struct kept_file *take_batch(int sock, struct kept_file *file)
{
	int fds[GIVE_BATCH];
	int nr = wire_recv_fds(sock, fds, GIVE_BATCH), i;

	for (i = 0; i < nr && file; i++, file = file->next)
		file->child_fd = fds[i];
	for (; i < nr; i++)
		close(fds[i]);
	return nr == GIVE_BATCH ? file : NULL;
}

static void take_files(struct pagefs *p)
{
	struct kept_file *file;

	for (file = p->files; file; file = file->next) {
		file->child_fd = -1;
		file->kept = -1;
	}
	if (p->fork_sock < 0)
		return;
	for (file = p->files; file; )
		file = take_batch(p->fork_sock, file);
	close(p->fork_sock);
	p->fork_sock = -1;
}

static void keep_files(struct pagefs *p)
{
	struct kept_file *file;

	for (file = p->files; file; file = file->next)
		if (file->child_fd >= 0)
			file->kept = (int)keeper_call(p, KEEPER_HOLD,
				(uint64_t[KEEPER_ARGS]){
					(uint64_t)file->child_fd });
}

/* A child has no fcntl(2) locks yet that this could drop (C3). */
static void close_child_fds(struct pagefs *p)
{
	struct kept_file *file;

	for (file = p->files; file; file = file->next) {
		if (file->child_fd >= 0)
			close(file->child_fd);
		file->child_fd = -1;
	}
}

/* F2 */
static void claim_hole(const struct mapping *m)
{
	const size_t len = m->end - m->start;
	long addr = sys_mmap(m->start, len, PROT_NONE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_NORESERVE |
			     MAP_FIXED_NOREPLACE, -1, 0);

	if (addr == -EEXIST)
		abort();
}

static int map_again(const struct mapping *m)
{
	struct pagefs_msg reply;
	uint64_t number;
	int window, err;

	err = fd_offer(m->p, m->file->child_fd, &number) ?:
	      ask_mmap(m, PAGEFS_MAP_FIXED, number, &reply, &window);
	if (err)
		return err;
	/* The same file, in the same way? */
	if (reply.args[1] == m->kind && reply.args[2] == m->file->dev &&
	    reply.args[3] == m->file->ino)
		err = range_attach(m, window);
	else
		err = -ESTALE;
	close(window);
	return err;
}

/* The memory the daemon has kept is this process's from now on. */
static void adopt_memory(struct pagefs *p)
{
	struct pagefs_msg msg = {
		.type = PAGEFS_ADOPT,
		.args = { p->fork_token[0], p->fork_token[1] },
	};

	if (p->fork_conn < 0)
		return;
	/* If it fails INHERIT will, too. */
	if (!is_dead(p))
		request(p, &msg, NULL, NULL, 0);
	close(p->fork_conn);
	p->fork_conn = -1;
}

static void forget_mapping(struct pagefs *p, struct mapping *m)
{
	ask(p, PAGEFS_MUNMAP, m->start, m->end, 0);
	table_take(p, m->start, m->end);
	range_release(p, m->start, m->end);
	file_put(p, m->file);
	mapping_free(m);
}

static void restore_mapping(struct pagefs *p, struct mapping *m, int empty)
{
	int err;

	if (m->lost)
		return;
	if (m->at_fork == AT_FORK_NOTHING) {
		forget_mapping(p, m);
		return;
	}
	if (is_dead(p))
		err = -ENOTCONN;
	else if (m->memory == MEMORY_FILE)
		err = map_again(m);
	else if (m->at_fork == AT_FORK_ZEROS)
		err = renew_mapping(m);
	else
		err = inherit_mapping(m);
	if (err)
		lose_mapping(m, empty);				/* F1 */
}

static void restore_list(struct pagefs *p, struct mapping **list, ssize_t nr,
			 int empty)
{
	/* First all: what we do next may map memory. */
	for (ssize_t i = 0; i < nr; i++)
		if (!list[i]->lost)
			claim_hole(list[i]);
	take_files(p);
	if (is_dead(p) || session_begin(p))
		atomic_store(&p->state, PAGEFS_DEAD);
	adopt_memory(p);
	for (ssize_t i = 0; i < nr; i++)
		restore_mapping(p, list[i], empty);
}

static void restore(struct pagefs *p)
{
	struct mapping **list;
	int empty;
	ssize_t nr;

	nr = table_collect(p, 0, UINTPTR_MAX, &list);
	empty = memfd_create("pagefs: daemon gone", MFD_CLOEXEC);
	if (nr < 0 || empty < 0)
		abort();	/* F2: the holes are anybody's */
	restore_list(p, list, nr, empty);
	close(empty);
	heap_free(list);
}

static void restore_all(void)
{
	struct pagefs *p;

	if (this_fork.strict && this_fork.err)
		_exit(127);	/* preload_fork.c: nobody is told */
	heap_after_in_child();
	pthread_mutex_init(&conns_lock, NULL);
	pthread_rwlock_init(&table_lock, NULL);
	for (p = conns; p; p = p->next) {
		pthread_mutex_init(&p->layout, NULL);
		pool_reset(&p->pool);
		keeper_init(&p->keeper);
	}
	pthread_mutex_lock(&conns_lock);
	for (p = conns; p; p = p->next) {
		layout_lock(p);
		if (table_has(p))
			restore(p);
		else if (!is_dead(p))
			atomic_store(&p->state, PAGEFS_FORKED);
		layout_unlock(p);
	}
	pthread_mutex_unlock(&conns_lock);
}

/* False: it has been done. */
static bool restore_once(void)
{
	if (is_restored)
		return false;
	is_restored = true;
	restore_all();
	return true;
}

static void after_in_child(void)
{
	sigset_t old = saved_mask;

	restore_once();
	fork_early_disarm();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- the child, last ---- */

/* Nobody would notice that the daemon has gone. Context: p->layout. */
static void give_up(struct pagefs *p)
{
	int empty = memfd_create("pagefs: daemon gone", MFD_CLOEXEC);

	atomic_store(&p->state, PAGEFS_DEAD);
	pool_shutdown(&p->pool);
	lose_all(p, empty);
	session_close(&p->session);				/* C2 */
	if (empty >= 0)
		close(empty);
}

static void finish_in_child(void)
{
	struct pagefs *p;

	pthread_mutex_lock(&conns_lock);
	for (p = conns; p; p = p->next) {
		layout_lock(p);
		if (p->session.sock >= 0) {
			if (session_keep(p))
				give_up(p);
			else
				keep_files(p);
		} else if (fork_eager && atomic_load(&p->state) ==
			   PAGEFS_FORKED && session_open(p)) {
			atomic_store(&p->state, PAGEFS_DEAD);
		}
		close_child_fds(p);
		layout_unlock(p);
	}
	pthread_mutex_unlock(&conns_lock);
}

static void register_handlers(void)
{
	fork_register(before_fork, after_in_parent, after_in_child);
}

__attribute__((constructor)) void fork_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_handlers);
}

static void register_late(void)
{
	fork_register(NULL, NULL, finish_in_child);
}

void fork_init_late(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_late);
}
