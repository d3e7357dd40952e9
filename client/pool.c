// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/pool.c - connections for requests, and who has which
 *
 *   thread --pool_get--> an idle one | a new one | waits --pool_put--> idle
 *
 * A connection has one question under way, so a thread that waits for its
 * msync() must not be in the way of another's mmap(): each takes a connection
 * of its own, up to POOL_MAX of them.
 *
 * Programs close descriptors they know nothing of (closefrom(3) in a daemon),
 * and the number may then be somebody else's file. So a number is looked at
 * before each use, and never closed unless it is still our socket; a new
 * connection takes its place. The daemon knows us by our process, not by this
 * connection. The watcher has a socket of its own that nobody can close, so
 * here an end of file never means that the daemon has died: only that this
 * question will not be answered.
 *
 * P1. conns[i] is read and written under lock, or by busy[i]'s owner.
 * Locks: pool.lock; not held over connecting and asking.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "internal.h"
#include "sys.h"

/* Numbers from here on are ours if they are free. Arbitrary: far from those
 * that programs and shells choose for themselves (up to 255). */
#define FD_BASE	600

/* ---- descriptors in the program's table ---- */

static int fd_base(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 2 * FD_BASE)
		return FD_BASE;
	return (int)limit.rlim_cur / 2;
}

int own_fd_init(struct own_fd *own, int fd)
{
	struct stat st;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, fd_base());

	if (high < 0)
		high = fd;	/* full up there: it stays where it is */
	else
		close(fd);
	if (fstat(high, &st)) {
		int err = -errno;

		close(high);
		return err;
	}
	*own = (struct own_fd){
		.fd = high,
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	return 0;
}

bool own_fd_valid(const struct own_fd *own)
{
	struct stat st;

	return own->fd >= 0 && !fstat(own->fd, &st) && st.st_dev == own->dev &&
	       st.st_ino == own->ino;
}

void own_fd_close(struct own_fd *own)
{
	if (own_fd_valid(own))
		close(own->fd);
	own->fd = -1;
}

/* ---- the pool ---- */

void pool_init(struct pool *pool)
{
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->idle, NULL);
	for (int i = 0; i < POOL_MAX; i++) {
		pool->conns[i].fd = -1;
		pool->busy[i] = false;
	}
}

void pool_shutdown(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	for (int i = 0; i < POOL_MAX; i++) {
		if (!pool->busy[i])
			own_fd_close(&pool->conns[i]);
		else if (own_fd_valid(&pool->conns[i]))
			shutdown(pool->conns[i].fd, SHUT_RDWR);
	}
	pthread_cond_broadcast(&pool->idle);
	pthread_mutex_unlock(&pool->lock);
}

void pool_reset(struct pool *pool)
{
	for (int i = 0; i < POOL_MAX; i++)
		own_fd_close(&pool->conns[i]);
	pool_init(pool);
}

/* Another connection of a process that has given its userfaultfd already. */
static int open_conn(struct pagefs *p, struct own_fd *own)
{
	int sock = session_join(p);

	return sock < 0 ? sock : own_fd_init(own, sock);
}

/* An idle connection, else a place for one, else -1. Context: pool->lock. */
static int find_idle(struct pool *pool)
{
	int place = -1;

	for (int i = 0; i < POOL_MAX; i++) {
		if (pool->busy[i])
			continue;
		if (own_fd_valid(&pool->conns[i]))
			return i;
		pool->conns[i].fd = -1;
		place = i;
	}
	return place;
}

static bool any_busy(const struct pool *pool)
{
	for (int i = 0; i < POOL_MAX; i++)
		if (pool->busy[i])
			return true;
	return false;
}

static void set_idle(struct pool *pool, int i)
{
	pool->busy[i] = false;
	pthread_cond_signal(&pool->idle);
}

/* Return: the number of a connection that is the caller's, or -errno. */
static int pool_get(struct pagefs *p)
{
	struct pool *pool = &p->pool;
	int i, err;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		err = -ENOTCONN;
		if (is_dead(p))
			break;
		i = find_idle(pool);
		if (i < 0) {
			pthread_cond_wait(&pool->idle, &pool->lock);
			continue;
		}
		pool->busy[i] = true;
		if (pool->conns[i].fd >= 0)
			goto out;
		pthread_mutex_unlock(&pool->lock);
		err = open_conn(p, &pool->conns[i]);
		pthread_mutex_lock(&pool->lock);
		if (!err)
			goto out;
		set_idle(pool, i);
		/* No more to be had (descriptors, a changed root): share. */
		if (!any_busy(pool))
			break;
		pthread_cond_wait(&pool->idle, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ? err :
	       -ENOTCONN;
out:
	pthread_mutex_unlock(&pool->lock);
	return i;
}

static void pool_put(struct pool *pool, int i, bool broken)
{
	pthread_mutex_lock(&pool->lock);
	if (broken)
		own_fd_close(&pool->conns[i]);
	set_idle(pool, i);
	pthread_mutex_unlock(&pool->lock);
}

static int __request(struct pagefs *p, struct pagefs_msg *msg, int *fdp,
		     void *tail, size_t tail_len)
{
	int i, sock, err;

	i = pool_get(p);
	if (i < 0)
		return i;
	sock = p->pool.conns[i].fd;
	err = wire_send(sock, msg, -1) ?:
	      wire_recv(sock, msg, fdp, tail, tail_len);
	pool_put(&p->pool, i, err && err != -EMFILE);
	if (err)
		return err == -EMFILE ? err : -ENOTCONN;
	if (msg->err && fdp && *fdp >= 0) {
		close(*fdp);
		*fdp = -1;
	}
	return msg->err;
}

int request(struct pagefs *p, struct pagefs_msg *msg, int *fdp, void *tail,
	    size_t tail_len)
{
	int state, err;

	/* A thread that is cancelled must not take the connection with it. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	err = __request(p, msg, fdp, tail, tail_len);
	pthread_setcancelstate(state, NULL);
	return err;
}

int ask(struct pagefs *p, unsigned int type, uintptr_t start, uintptr_t end,
	uint64_t arg)
{
	struct pagefs_msg msg = {
		.type = (uint16_t)type,
		.args = { start, end - start, arg },
	};

	return request(p, &msg, NULL, NULL, 0);
}
