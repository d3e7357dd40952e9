// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/conn.c - one struct pagefs for each mount this process uses
 *
 *   pagefs_connect    ioctl: where is the daemon?
 *                     a region of addresses, PROT_NONE, for it to give out
 *   session_open        HELLO      -->
 *                                  <-- cookie; /dev/userfaultfd, opened
 *                       USERFAULTFD_IOC_NEW
 *                       UFFD + fd  -->
 *                       UFFD + fd  -->     a second, if the daemon wants one
 *                     watcher and keeper take the socket and the userfaultfd
 *   pool.c            connections for requests, as they are needed
 *
 *   LIVE --watch_daemon: end of file--> DEAD       until pagefs_disconnect
 *   LIVE --fork(), nothing mapped--> FORKED --layout_begin, session_open--> LIVE
 *
 * A dead one is never found again: the next pagefs_connect makes another, to
 * whatever daemon serves the mount by then. A live one stays when nobody uses it
 * any more, for the next: the daemon has one userfaultfd and one region of each
 * process, until that ends.
 *
 * Locks: conns_lock, over connecting too: two threads that open the first file
 *        of a mount at once must not make two.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>

#include "internal.h"
#include "sys.h"

#ifndef USERFAULTFD_IOC_NEW		/* Linux 6.1 */
#define USERFAULTFD_IOC_NEW	_IO(0xAA, 0x00)
#endif
#ifndef UFFD_USER_MODE_ONLY		/* Linux 5.11 */
#define UFFD_USER_MODE_ONLY	1
#endif

/*
 * Bytes of addresses we reserve: files of any size, and many of them, beside
 * what the program needs of its 128 TiB. Below the smallest it is not worth
 * having: each mapping then gets addresses of its own from the kernel.
 */
#define REGION_MAX	(1UL << 40)
#define REGION_MIN	(1UL << 30)

/*
 * The daemon may for a moment still have us as we were before an exec. How
 * often we come back, and how many milliseconds apart: a second, arbitrary.
 */
#define HELLO_TRIES	500
#define HELLO_PAUSE_MS	2

pthread_mutex_t conns_lock = PTHREAD_MUTEX_INITIALIZER;
struct pagefs *conns;

/* ---- which mount ---- */

int file_id(int fd, dev_t *devp, mode_t *modep)
{
	struct statx stx;

	/* fstat(2) would ask the daemon for a size that we have no use for. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx))
		return errno == EBADF ? -EBADF : -ENOTCONN;
	*devp = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	*modep = stx.stx_mode;
	return 0;
}

/* May it be a pagefs file? FUSE mounts are on no device. */
static bool is_fuse(int fd, dev_t dev, mode_t mode)
{
	struct statfs fs;

	if ((!S_ISREG(mode) && !S_ISDIR(mode)) || major(dev))
		return false;
	if (fstatfs(fd, &fs))
		return errno == ENOTCONN || errno == ECONNABORTED;
	return fs.f_type == FUSE_SUPER_MAGIC;
}

static int mount_info(int fd, struct pagefs_ioc_info *info)
{
	if (!ioctl(fd, PAGEFS_IOC_INFO, info))
		return 0;
	switch (errno) {
	case ENOTCONN:		/* the mount's daemon has gone */
	case ECONNABORTED:
		return -ECONNREFUSED;
	case EBADF:		/* O_PATH */
		return -EBADF;
	case ENOMEM:
		return -ENOMEM;
	default:
		return -ENOTTY;
	}
}

/* Context: conns_lock, or table_lock. */
static struct pagefs *find_conn(dev_t dev)
{
	struct pagefs *p;

	for (p = conns; p; p = p->next)
		if (p->dev == dev && !is_dead(p))
			return p;
	return NULL;
}

PAGEFS_API int pagefs_is_file(int fd)
{
	struct pagefs_ioc_info info;
	struct pagefs *p;
	mode_t mode;
	dev_t dev;

	if (file_id(fd, &dev, &mode))
		return 0;
	pthread_rwlock_rdlock(&table_lock);
	p = find_conn(dev);
	pthread_rwlock_unlock(&table_lock);
	return p || (is_fuse(fd, dev, mode) && !mount_info(fd, &info));
}

/* ---- the region ---- */

static void region_init(struct pagefs *p)
{
	struct rlimit limit;
	size_t len;
	long addr;

	/* Where addresses are limited we would take them from the program. */
	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur != RLIM_INFINITY)
		return;
	for (len = REGION_MAX; len >= REGION_MIN; len /= 2) {
		addr = sys_mmap(0, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_NORESERVE, -1, 0);
		if (addr < 0)
			continue;
		p->base = (uintptr_t)addr;
		p->end = p->base + len;
		return;
	}
}

/* What the program has put into it stays. Nothing of ours is mapped any more. */
static void region_exit(struct pagefs *p)
{
	struct piece piece;

	for (uintptr_t addr = p->base; addr < p->end; addr = piece.end) {
		piece = table_piece(addr, p->end);
		if (piece.kind == RANGE_RESERVED)
			sys_munmap(piece.start, piece.end - piece.start);
	}
}

/* ---- the first exchange ---- */

void pause_ms(long ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

/* Return: a connection on which our userfaultfd is expected, or -errno. In
 * *@wantp, PAGEFS_*: what is welcome there. */
static int first_hello(struct pagefs *p, int *devp, uint64_t *wantp)
{
	struct pagefs_msg reply;
	int sock, err;

	for (int i = 0; i < HELLO_TRIES; i++) {
		sock = wire_connect(p->path);
		if (sock < 0)
			return sock;
		err = wire_hello(sock, p, &reply, devp);
		if (!err && !(reply.args[0] & PAGEFS_HAVE_UFFD)) {
			memcpy(p->cookie, &reply.args[1], sizeof(p->cookie));
			*wantp = reply.args[0];
			return sock;
		}
		if (!err && *devp >= 0)
			close(*devp);
		close(sock);
		if (err)
			return err;
		pause_ms(HELLO_PAUSE_MS);
	}
	return -EBUSY;
}

/*
 * The descriptor the daemon has opened for us makes one that serves system calls
 * too; without it an unprivileged process gets at best one for user mode.
 */
static int make_uffd(int dev)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	int uffd = -1;

	if (dev >= 0)
		uffd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
	if (uffd < 0)
		uffd = (int)syscall(SYS_userfaultfd, flags);
	if (uffd < 0)
		uffd = (int)syscall(SYS_userfaultfd,
				    flags | UFFD_USER_MODE_ONLY);
	if (uffd >= 0)
		return uffd;
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ?
	       -errno : -EPERM;
}

static int give_uffd(int sock, int uffd, uint64_t kind)
{
	struct pagefs_msg msg = { .type = PAGEFS_UFFD, .args = { kind } };
	int err;

	err = wire_send(sock, &msg, uffd) ?: wire_recv(sock, &msg, NULL, NULL, 0);
	return err ? -ECONNREFUSED : msg.err;
}

/* One more, for files whose stores may be scanned for: it, or -1, and there are
 * none. A daemon may refuse, if it may not look at our page tables. */
static int give_async(int sock, int dev)
{
	int uffd = make_uffd(dev);

	if (uffd < 0 || !give_uffd(sock, uffd, PAGEFS_UFFD_ASYNC))
		return uffd < 0 ? -1 : uffd;
	close(uffd);
	return -1;
}

/* Takes @dev over. What is in @s on failure, too, is the caller's to close. */
static int give_uffds(struct session *s, int dev, uint64_t want)
{
	int err;

	s->uffd[0] = make_uffd(dev);
	err = s->uffd[0] < 0 ? s->uffd[0] :
	      give_uffd(s->sock, s->uffd[0], PAGEFS_UFFD_SYNC);
	if (!err && (want & PAGEFS_WANT_ASYNC))
		s->uffd[1] = give_async(s->sock, dev);
	if (dev >= 0)
		close(dev);
	return err;
}

void session_close(struct session *session)
{
	int *fds[] = { &session->sock, &session->uffd[0], &session->uffd[1] };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int session_begin(struct pagefs *p)
{
	struct session *s = &p->session;
	uint64_t want = 0;
	int dev = -1, err;

	s->sock = first_hello(p, &dev, &want);
	if (s->sock < 0)
		return s->sock;
	err = give_uffds(s, dev, want);
	if (err)
		session_close(s);
	else
		atomic_store(&p->state, PAGEFS_LIVE);
	return err;
}

/* The keeper has copies of its own when it has started. */
int session_keep(struct pagefs *p)
{
	int err = keeper_start(p, p->session.sock, p->session.uffd);

	if (!err)
		session_close(&p->session);
	return err;
}

int session_open(struct pagefs *p)
{
	int err = session_begin(p);

	if (err)
		return err;
	err = session_keep(p);
	if (err)	/* nothing is registered yet (C2) */
		session_close(&p->session);
	return err;
}

int session_join(struct pagefs *p)
{
	struct pagefs_msg reply;
	int sock, fd, err;

	sock = wire_connect(p->path);
	if (sock < 0)
		return sock;
	err = wire_hello(sock, p, &reply, &fd);
	if (!err && fd >= 0)
		close(fd);
	/* Else it is not the daemon that has our mappings. */
	if (!err && !(reply.args[0] & PAGEFS_HAVE_UFFD))
		err = -ENOTCONN;
	if (!err)
		return sock;
	close(sock);
	return err;
}

/* ---- layout ---- */

void layout_lock(struct pagefs *p)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&p->layout);
	p->cancel_state = state;
}

void layout_unlock(struct pagefs *p)
{
	int state = p->cancel_state;

	pthread_mutex_unlock(&p->layout);
	pthread_setcancelstate(state, NULL);
}

int layout_begin(struct pagefs *p)
{
	int err = 0;

	layout_lock(p);
	if (atomic_load(&p->state) == PAGEFS_FORKED && session_open(p))
		err = -ENOTCONN;
	if (is_dead(p))
		err = -ENOTCONN;
	if (err)
		layout_unlock(p);
	return err;
}

/* ---- connections ---- */

static void conn_free(struct pagefs *p)
{
	pthread_mutex_destroy(&p->layout);
	heap_free(p);
}

static struct pagefs *conn_alloc(dev_t dev, const char *path)
{
	struct pagefs *p = heap_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->dev = dev;
	memcpy(p->path, path, sizeof(p->path));
	p->path[sizeof(p->path) - 1] = '\0';
	p->users = 1;
	p->fork_sock = p->fork_conn = -1;
	p->session = (struct session){ -1, { -1, -1 } };
	pthread_mutex_init(&p->layout, NULL);
	pool_init(&p->pool);
	keeper_init(&p->keeper);
	return p;
}

/* Context: conns_lock. */
static int conn_new(int fd, dev_t dev, struct pagefs **pp)
{
	struct pagefs_ioc_info info;
	struct pagefs *p;
	int err;

	err = mount_info(fd, &info);
	if (err)
		return err;
	if (info.version != PAGEFS_WIRE_VERSION)
		return -EPROTO;
	p = conn_alloc(dev, info.socket);
	if (!p)
		return -ENOMEM;
	region_init(p);
	/* A region of ours before anybody can be given an address in it. */
	table_add_region(p);
	err = session_open(p);
	if (err) {
		region_exit(p);
		table_del_region(p);
		conn_free(p);
		return err;
	}
	*pp = p;
	return 0;
}

/* Context: conns_lock; nobody uses it. */
static void conn_close(struct pagefs *p)
{
	keeper_stop(p);
	pool_reset(&p->pool);
	region_exit(p);
	table_del_region(p);
	conn_free(p);
}

/* Those that died while nobody used them. */
static void sweep_conns(void)
{
	struct pagefs *p, *next;

	for (p = conns; p; p = next) {
		next = p->next;
		if (!p->users && is_dead(p))
			conn_close(p);
	}
}

static int __pagefs_connect(int fd, struct pagefs **pp)
{
	struct pagefs *p;
	mode_t mode;
	dev_t dev;
	int err;

	sweep_conns();
	err = file_id(fd, &dev, &mode);
	if (err)
		return err == -ENOTCONN ? -ECONNREFUSED : err;
	p = find_conn(dev);
	if (!p)
		return is_fuse(fd, dev, mode) ? conn_new(fd, dev, pp) : -ENOTTY;
	p->users++;
	*pp = p;
	return 0;
}

PAGEFS_API int pagefs_connect(int fd, struct pagefs **pp)
{
	int state, err;

	/* Done long since; a static program has fork.c only if it is named. */
	fork_init();
	fork_init_late();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&conns_lock);
	err = __pagefs_connect(fd, pp);
	pthread_mutex_unlock(&conns_lock);
	pthread_setcancelstate(state, NULL);
	return err;
}

/* The last use. Context: conns_lock. Return: 0; or -errno, and it is as before:
 * while anything is mapped the keeper must stay (C2). */
static int conn_idle(struct pagefs *p)
{
	int err;

	layout_lock(p);
	err = unmap_range(p, 0, PAGE_DOWN(UINTPTR_MAX), 0);
	layout_unlock(p);
	if (err)
		return err;
	p->users = 0;
	if (is_dead(p))
		conn_close(p);
	return 0;
}

PAGEFS_API int pagefs_disconnect(struct pagefs *p)
{
	int state, err = 0;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&conns_lock);
	if (p->users == 1)
		err = conn_idle(p);
	else
		p->users--;
	pthread_mutex_unlock(&conns_lock);
	pthread_setcancelstate(state, NULL);
	return err;
}
