// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/keeper.c - two threads with a table of descriptors of their own
 *
 *   creator            watcher                       keeper
 *   keeper_start -->   unshare the table, empty
 *                      pidfd_getfd: socket, userfaultfd
 *                      keeper's thread           --> waits for questions
 *   <-- started        poll(socket)                  HOLD, DROP, GIVE, PUNCH,
 *                                                    OFFER
 *                      end of file: death.c      --> DRAIN
 *
 * Some descriptors must outlive whatever the program does to its own:
 * - The userfaultfds (C2). Were one closed by a program that closes everything
 *   it did not open, and the daemon died then, absent pages would read as
 *   zeros.
 * - The socket that tells of the daemon's death.
 * - The files that are mapped: closing ours must not drop the program's
 *   fcntl(2) locks (C3), which go with any close of the file in the table they
 *   were taken in.
 * A child of fork() or clone() inherits none of this, and that is as it should
 * be: it could only keep its parent's userfaultfd open.
 *
 * Nothing but those threads can reach their table, so files go in by
 * pidfd_getfd(2) on ourselves, and out by SCM_RIGHTS. Where a filter (seccomp)
 * forbids that call there is no connecting.
 *
 * K1. One question at a time: busy is the asker's, op and args are the keeper's
 *     until it sets op to NONE.
 * K2. Once gone is set nobody waits for the keeper.
 * Locks: keeper.lock; not held while a question is worked upon.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/close_range.h>

#include "internal.h"
#include "sys.h"

/* Bytes, of the two threads; arbitrary: they call nothing deep. */
#define KEEPER_STACK	(256 * 1024)

/* ---- threads ---- */

static int create_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, KEEPER_STACK);
	err = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	/* Thread-local data of the program may want more. */
	if (err == EINVAL)
		err = pthread_create(thread, NULL, fn, arg);
	return -err;
}

int client_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = create_thread(thread, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

/* ---- the table ---- */

static int fd_from_program(int pidfd, int fd)
{
	return (int)sys_ret(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

static int open_self(void)
{
	return (int)sys_ret(syscall(SYS_pidfd_open, getpid(), 0));
}

/* May we take descriptors from ourselves? To know before all are gone. */
static int try_getfd(int fd)
{
	int pidfd, copy;

	pidfd = open_self();
	if (pidfd < 0)
		return pidfd;
	copy = fd_from_program(pidfd, fd);
	close(pidfd);
	if (copy >= 0)
		close(copy);
	return copy < 0 ? copy : 0;
}

/*
 * An empty table, and ours into it. The call leaves the program's descriptors
 * out rather than close copies of them: a close means a flush to some.
 */
static int take_table(struct keeper *k)
{
	int err;

	err = try_getfd(k->sock);
	if (!err)
		err = (int)sys_ret(syscall(SYS_close_range, 0U, ~0U,
					   CLOSE_RANGE_UNSHARE));
	if (err)
		return err;
	k->pidfd = open_self();
	if (k->pidfd < 0)
		return k->pidfd;
	k->sock = fd_from_program(k->pidfd, k->sock);
	if (k->sock < 0)
		return k->sock;
	for (int i = 0; i < 2 && k->uffd[i] >= 0; i++) {
		k->uffd[i] = fd_from_program(k->pidfd, k->uffd[i]);
		if (k->uffd[i] < 0)
			return k->uffd[i];
	}
	k->empty = memfd_create("pagefs: daemon gone", MFD_CLOEXEC);
	return k->empty < 0 ? -errno : 0;
}

static void started(struct keeper *k, int err)
{
	pthread_mutex_lock(&k->lock);
	k->started = true;
	k->start_err = err;
	pthread_cond_broadcast(&k->cond);
	pthread_mutex_unlock(&k->lock);
}

static void *watcher_main(void *arg)
{
	struct pagefs *p = arg;
	struct keeper *k = &p->keeper;
	int err;

	pthread_setname_np(pthread_self(), "pagefs-watch");
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	err = take_table(k);
	if (!err)
		err = client_thread(&k->thread, keeper_main, p);
	started(k, err);
	if (!err)
		watch_daemon(p);
	return NULL;
}

void keeper_init(struct keeper *k)
{
	memset(k, 0, sizeof(*k));
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->cond, NULL);
	k->gone = true;
}

int keeper_start(struct pagefs *p, int sock, const int *uffd)
{
	struct keeper *k = &p->keeper;
	int err;

	keeper_init(k);
	k->gone = false;
	k->sock = sock;
	memcpy(k->uffd, uffd, sizeof(k->uffd));
	err = client_thread(&k->watcher, watcher_main, p);
	if (err)
		goto out_gone;
	pthread_mutex_lock(&k->lock);
	while (!k->started)
		pthread_cond_wait(&k->cond, &k->lock);
	err = k->start_err;
	pthread_mutex_unlock(&k->lock);
	if (err) {
		pthread_join(k->watcher, NULL);
		goto out_gone;
	}
	k->running = true;
	return 0;

out_gone:
	k->gone = true;
	return err == -EAGAIN ? -ENOMEM : err == -EMFILE || err == -ENFILE ||
	       err == -ENOMEM ? err : -EPERM;
}

void keeper_stop(struct pagefs *p)
{
	struct keeper *k = &p->keeper;

	if (!k->running)
		return;
	pthread_cancel(k->watcher);	/* from its poll(), if it is in it */
	pthread_join(k->watcher, NULL);
	keeper_call(p, KEEPER_QUIT, (uint64_t[KEEPER_ARGS]){ 0 });
	pthread_join(k->thread, NULL);
	k->running = false;
}

/* ---- questions ---- */

long keeper_call(struct pagefs *p, enum keeper_op op, const uint64_t *args)
{
	struct keeper *k = &p->keeper;
	long ret = -ENOTCONN;

	pthread_mutex_lock(&k->lock);
	while (k->busy && !k->gone)
		pthread_cond_wait(&k->cond, &k->lock);
	if (k->gone)
		goto out;
	k->busy = true;
	k->op = op;
	memcpy(k->args, args, sizeof(k->args));
	pthread_cond_broadcast(&k->cond);
	while (k->op == op && !k->gone)
		pthread_cond_wait(&k->cond, &k->lock);
	if (k->op == KEEPER_NONE)
		ret = k->ret;
	k->busy = false;
	pthread_cond_broadcast(&k->cond);
out:
	pthread_mutex_unlock(&k->lock);
	return ret;
}

/* Waits for no answer, and comes before those who wait for their turn. */
void keeper_ask_drain(struct keeper *k)
{
	pthread_mutex_lock(&k->lock);
	while (k->op != KEEPER_NONE)
		pthread_cond_wait(&k->cond, &k->lock);
	k->gone = true;			/* K2 */
	k->op = KEEPER_DRAIN;
	pthread_cond_broadcast(&k->cond);
	pthread_mutex_unlock(&k->lock);
}

static int give_files(struct pagefs *p, int sock)
{
	struct kept_file *file = p->files;
	int fds[GIVE_BATCH], sent = 0;
	size_t nr;

	while (file && sent >= 0) {
		for (nr = 0; file && nr < GIVE_BATCH; file = file->next)
			fds[nr++] = file->kept;
		sent = wire_send_fds(sock, fds, nr);
	}
	return sent < 0 ? sent : 0;
}

static long keeper_give(struct pagefs *p, int program_fd)
{
	int sock, err;

	sock = fd_from_program(p->keeper.pidfd, program_fd);
	if (sock < 0)
		return sock;
	err = give_files(p, sock);
	close(sock);
	return err;
}

static long keeper_punch(const uint64_t *args)
{
	int err;

	do {
		err = fallocate((int)args[0], FALLOC_FL_PUNCH_HOLE |
				FALLOC_FL_KEEP_SIZE, (off_t)args[1],
				(off_t)args[2]) ? -errno : 0;
	} while (err == -EINTR);
	return err;
}

/* The asker waits in keeper_call(): its memory stays where it is. */
static long keeper_offer(const uint64_t *args)
{
	void *offer = (void *)(uintptr_t)args[1];

	return ioctl((int)args[0], PAGEFS_IOC_OFFER, offer) ? -errno : 0;
}

/* Kept descriptor, place, length, rights, position. It shares our memory. */
static long keeper_mmap(const uint64_t *args)
{
	long addr = sys_mmap(args[1], args[2], (int)args[3],
			     MAP_PRIVATE | MAP_FIXED, (int)args[0], args[4]);

	return addr < 0 ? addr : 0;
}

static long keeper_do(struct pagefs *p, enum keeper_op op, const uint64_t *args)
{
	switch (op) {
	case KEEPER_HOLD:
		return fd_from_program(p->keeper.pidfd, (int)args[0]);
	case KEEPER_DROP:
		return close((int)args[0]) ? -errno : 0;
	case KEEPER_GIVE:
		return keeper_give(p, (int)args[0]);
	case KEEPER_PUNCH:
		return keeper_punch(args);
	case KEEPER_OFFER:
		return keeper_offer(args);
	case KEEPER_MMAP:
		return keeper_mmap(args);
	default:
		return 0;
	}
}

void *keeper_main(void *arg)
{
	struct pagefs *p = arg;
	struct keeper *k = &p->keeper;
	enum keeper_op op;
	long ret;

	pthread_setname_np(pthread_self(), "pagefs-keeper");
	do {
		pthread_mutex_lock(&k->lock);
		while (k->op == KEEPER_NONE)
			pthread_cond_wait(&k->cond, &k->lock);
		op = k->op;
		pthread_mutex_unlock(&k->lock);
		if (op == KEEPER_DRAIN) {
			drain_uffd(k);
			break;
		}
		ret = keeper_do(p, op, k->args);	/* K1 */
		pthread_mutex_lock(&k->lock);
		k->ret = ret;
		k->op = KEEPER_NONE;
		k->gone = k->gone || op == KEEPER_QUIT;
		pthread_cond_broadcast(&k->cond);
		pthread_mutex_unlock(&k->lock);
	} while (op != KEEPER_QUIT);
	return NULL;
}
