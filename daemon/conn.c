// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/conn.c - connections, messages in and out (who may have one: listen.c)
 *
 *              readable            request_run()          reply sent
 *   LISTENING ----------> (WAITING) ----------> RUNNING --------------> LISTENING
 *       |                     |                    |  worker
 *       +------ closed, garbage, replies unread ---+----> closed
 *
 * C1. A connection has one request under way; while it has, its socket is not
 *     watched, so it cannot be freed under the worker: closing is noticed, or
 *     done, when the worker has ended.
 * C2. A packet is exactly one message, of a type we know, with as many
 *     descriptors as that type has; else the connection is closed.
 * C3. Nothing here waits for a client: who does not take its replies is closed.
 * C4. A client has at most MAX_RUNNING requests in workers, of which there are
 *     more, so that one that syncs or populates does not keep others waiting.
 *     Its other connections' requests wait in client->waiting.
 * C5. A descriptor that comes along gets a number here only where one is
 *     expected: the client's userfaultfds, once each. Else the kernel drops it, and
 *     flushes nothing: to close a file of our own mount asks our FUSE workers
 *     to flush it, and if we have been killed nobody answers. (So who sends one
 *     as his userfaultfd may have us hang if we are killed that moment.)
 *
 * C6. One that has had FORK answered belongs to no client any more: the parent
 *     may end before its child has come (a program that becomes a daemon). It is
 *     nobody's to be swept away, and counts for its user.
 *
 * All runs in the loop thread, but for conn_work() and what it calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "err.h"
#include "internal.h"
#include "uffd_abi.h"

#define MAX_RUNNING	4u	/* C4; a quarter of the workers */
#define HELLO_MS	10000u	/* to say who one is; arbitrary */
/* A vector of MINCORE has to fit: 64 KiB. */
#define SEND_BUFFER	(256 * 1024)

/* Fields: (C) constant; (L) the loop thread's; (W) the worker's, or while none
 *         runs the loop thread's. */
struct conn {
	int fd;			/* (C) */
	struct ucred peer;	/* (C) who connected */
	uint64_t born;		/* (C) the loop's time, ms */
	struct client *client;	/* (L) referenced; NULL before HELLO */
	struct client *newborn;	/* (W) HELLO's */
	struct request rq;	/* (W) */
	bool unread;		/* (W) C3 */
	bool running;		/* (L) C1 */
	bool waiting;		/* (L) C4 */
	bool closing;		/* (L) */
	struct list_head list;		/* (L) all of them */
	struct list_head of_client;	/* (L) client->conns */
	struct list_head wait_list;	/* (L) client->waiting */
	uv_poll_t poll;		/* (L) */
	uv_work_t work;		/* (L) */
};

/* Fields: (C) constant from conns_init() to conns_exit(); (L) the loop thread's. */
static struct {
	uv_loop_t *loop;	/* (C) */
	int dev_fd;		/* (C) /dev/userfaultfd, or -1 */
	struct list_head list;	/* (L) */
	unsigned int nr;	/* (L) */
	unsigned int nr_running;	/* (L) */
	bool quiescent;		/* (L) no request is read any more */
} conns = { .dev_fd = -1, .list = LIST_HEAD_INIT(conns.list) };

static struct log_limit garbage_limit;

static void on_readable(uv_poll_t *poll, int status, int events);
static void conn_start(struct conn *conn);

/* ---- life of a connection ---- */

static void conn_free(uv_handle_t *handle)
{
	struct conn *conn = container_of((uv_poll_t *)handle, struct conn, poll);

	close(conn->fd);	/* after libuv has let go of it */
	free(conn);
}

static void conn_detach(struct conn *conn)
{
	struct client *client = conn->client;

	if (!client)
		return;
	if (conn->waiting)
		list_del(&conn->wait_list);
	list_del(&conn->of_client);
	conn->client = NULL;
	/* exec() and exit() close it after the memory has gone. */
	if (!--client->nr_conns && client->in_table && client_is_gone(client))
		client_drop(client);
	client_put(client);
}

static void conn_close(struct conn *conn)
{
	if (conn->closing)
		return;
	if (conn->running) {
		shutdown(conn->fd, SHUT_RDWR);	/* C1: the rest follows */
		return;
	}
	conn->closing = true;
	list_del(&conn->list);
	conns.nr--;
	request_done(&conn->rq);
	if (conn->rq.fork)
		fork_end(conn->rq.fork);
	conn_detach(conn);
	uv_close((uv_handle_t *)&conn->poll, conn_free);
}

/* Its answer may be on the way, to a child by now. */
static bool is_forking(const struct conn *conn)
{
	return conn->running && conn->rq.in.type == PAGEFS_FORK;
}

void conn_close_all(struct client *client)
{
	struct conn *conn, *next;

	list_for_each_entry_safe(conn, next, &client->conns, of_client)
		if (!is_forking(conn))				/* C6 */
			conn_close(conn);
}

static void conn_attach(struct conn *conn, struct client *client)
{
	client_get(client);
	conn->client = client;
	client->nr_conns++;
	list_add(&conn->of_client, &client->conns);
}

static void conn_listen_again(struct conn *conn)
{
	if (conns.quiescent)
		return;
	if (uv_poll_start(&conn->poll, UV_READABLE | UV_DISCONNECT, on_readable))
		conn_close(conn);
}

/* ---- replies ---- */

static void put_fd(struct msghdr *msg, int fd)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

/* Return: 0 or -errno: it is to be closed. */
static int send_reply(struct conn *conn)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct request *rq = &conn->rq;
	struct iovec iov[2] = {
		{ .iov_base = &rq->out, .iov_len = sizeof(rq->out) },
		{ .iov_base = rq->vec, .iov_len = rq->vec_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = rq->vec_len ? 2 : 1 };

	if (rq->out_fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		put_fd(&msg, rq->out_fd);
	}
	return sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ?
		-errno : 0;
}

/* The request has its answer. Loop thread. */
static void conn_finish(struct conn *conn)
{
	conn->running = false;
	conns.nr_running--;
	request_done(&conn->rq);
	if (conn->rq.fork)
		conn_detach(conn);				/* C6 */
	if (conn->unread)
		conn_close(conn);
	else
		conn_listen_again(conn);
}

/* ---- HELLO ---- */

static int check_region(const uint64_t *in)
{
	if (!IS_ALIGNED(in[0] | in[1], PAGE_SIZE) || in[0] > TASK_SIZE ||
	    in[1] > TASK_SIZE - in[0] || !in[0] != !in[1])
		return -EINVAL;
	return 0;
}

/*
 * A descriptor that becomes readable when the process that connected ends. Not
 * for a number that is another's by now, if the kernel can tell.
 */
static int peer_pidfd(struct conn *conn)
{
	socklen_t len = sizeof(int);
	int fd;

	if (!getsockopt(conn->fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &len))
		return fd;
	if (errno != ENOPROTOOPT)
		return -errno;
	fd = pidfd_open(conn->peer.pid, 0);
	return fd < 0 ? -errno : fd;
}

/* In a worker: the client that a first HELLO makes. */
static int make_newborn(struct conn *conn)
{
	const uint64_t *in = conn->rq.in.args;
	struct client *client;
	int pidfd = peer_pidfd(conn);

	if (pidfd < 0)
		return pidfd;
	client = client_alloc(&conn->peer, pidfd, in[0], in[1]);
	if (IS_ERR(client)) {
		close(pidfd);
		return (int)PTR_ERR(client);
	}
	conn->newborn = client;
	return 0;
}

/* The client of this process, unless its memory is a former program's. */
static struct client *known_client(struct conn *conn)
{
	struct client *client = client_of_pid(conn->peer.pid);

	if (client && client_is_gone(client)) {
		client_drop(client);
		client_put(client);
		client = NULL;
	}
	return client;
}

static void fill_welcome(const struct client *client, struct request *rq)
{
	if (atomic_load(&client->uffd[UFFD_SYNC]) >= 0)
		rq->out.args[0] |= PAGEFS_HAVE_UFFD;
	if (uffd_features.has_async)
		rq->out.args[0] |= PAGEFS_WANT_ASYNC;
	if (conns.dev_fd >= 0) {
		rq->out.args[0] |= PAGEFS_USE_DEV;
		rq->out_fd = conns.dev_fd;
	}
	rq->out.args[1] = client->id;
	rq->out.args[2] = client->secret;
}

static void answer_hello(struct conn *conn, int err)
{
	struct request *rq = &conn->rq;

	rq->out.err = err;
	if (!err)
		fill_welcome(conn->client, rq);
	conn->unread = send_reply(conn);
}

/* Return: whether it is answered. */
static bool hello_again(struct conn *conn)
{
	struct client *client;
	int err = check_region(conn->rq.in.args);

	if (conn->client)
		err = -EISCONN;
	if (err) {
		answer_hello(conn, err);
		return true;
	}
	client = known_client(conn);
	if (!client)
		return false;
	conn_attach(conn, client);
	client_put(client);
	answer_hello(conn, 0);
	return true;
}

/* The worker has made one; another connection may have been faster. */
static void hello_done(struct conn *conn)
{
	struct client *newborn = conn->newborn;
	int err = conn->rq.out.err;

	conn->newborn = NULL;
	if (!err && !hello_again(conn)) {
		err = client_add(newborn);
		if (!err)
			conn_attach(conn, newborn);
		answer_hello(conn, err);
	} else if (err) {
		answer_hello(conn, err);
	}
	if (newborn)
		client_put(newborn);
}

/* ---- running requests ---- */

/* It has another request, or has gone. */
static bool conn_is_waiting(void *arg)
{
	struct conn *conn = arg;
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };

	return poll(&pfd, 1, 0) != 0;
}

static void conn_work(uv_work_t *work)
{
	struct conn *conn = container_of(work, struct conn, work);
	struct request *rq = &conn->rq;

	if (rq->in.type == PAGEFS_HELLO) {
		rq->out.err = make_newborn(conn);
		return;
	}
	request_run(conn->client, rq);
	conn->unread = send_reply(conn);
	if (!conn->unread)
		request_after(conn->client, rq, conn_is_waiting, conn);
}

/* One of the client's requests has ended: another may begin. */
static void start_next(struct client *client)
{
	struct conn *conn;

	if (list_empty(&client->waiting))
		return;
	conn = list_first_entry(&client->waiting, struct conn, wait_list);
	list_del(&conn->wait_list);
	conn->waiting = false;
	conn_start(conn);
}

static void conn_worked(uv_work_t *work, int status)
{
	struct conn *conn = container_of(work, struct conn, work);
	struct client *client = conn->client;

	(void)status;
	if (!client) {
		hello_done(conn);
		conn_finish(conn);
		return;
	}
	client_get(client);
	client->nr_running--;
	conn_finish(conn);
	start_next(client);
	client_put(client);
}

static void conn_start(struct conn *conn)
{
	struct client *client = conn->client;

	if (client && client->nr_running >= MAX_RUNNING) {
		conn->waiting = true;				/* C4 */
		list_add_tail(&conn->wait_list, &client->waiting);
		return;
	}
	conn->running = true;
	conns.nr_running++;
	if (client)
		client->nr_running++;
	BUG_ON(uv_queue_work(conns.loop, &conn->work, conn_work, conn_worked));
}

static void conn_request(struct conn *conn)
{
	struct request *rq = &conn->rq;

	rq->out = (struct pagefs_msg){
		.magic = PAGEFS_WIRE_MAGIC,
		.version = PAGEFS_WIRE_VERSION,
		.type = rq->in.type,
		.seq = rq->in.seq,
	};
	uv_poll_stop(&conn->poll);				/* C1 */
	if (rq->in.type != PAGEFS_HELLO || !hello_again(conn)) {
		conn_start(conn);
		return;
	}
	request_done(rq);
	if (conn->unread)
		conn_close(conn);
	else
		conn_listen_again(conn);
}

/* ---- messages in ---- */

/* Where @msg has room for one descriptor at most: it, or -1. */
static int take_fd(struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (cmsg && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS && cmsg->cmsg_len >= CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* C5: is a userfaultfd of the client's still to come? */
static bool expects_fd(const struct conn *conn)
{
	struct client *client = conn->client;

	return client && (atomic_load(&client->uffd[UFFD_SYNC]) < 0 ||
			  (uffd_features.has_async && !client_has_async(client)));
}

/* C2. Return: NULL, or what is wrong with it. */
static const char *check_message(const struct conn *conn, ssize_t len, int flags)
{
	const struct pagefs_msg *in = &conn->rq.in;
	const int nr_fds = conn->rq.in_fd >= 0;

	if (len != sizeof(*in) || (flags & MSG_TRUNC))
		return "wrong size";
	if (in->magic != PAGEFS_WIRE_MAGIC)
		return "wrong magic";
	if (in->version != PAGEFS_WIRE_VERSION)
		return "wrong version";
	if (request_nr_fds(in->type) < 0)
		return "unknown type";
	if ((flags & MSG_CTRUNC) || request_nr_fds(in->type) != nr_fds)
		return "wrong number of descriptors";
	if (!conn->client && in->type != PAGEFS_HELLO)
		return "no HELLO";
	return NULL;
}

/* Return: 1: a good message; 0: none yet; -errno: to be closed. */
static int conn_receive(struct conn *conn)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = &conn->rq.in,
			     .iov_len = sizeof(conn->rq.in) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const char *wrong;
	ssize_t len;

	if (expects_fd(conn)) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_LEN(sizeof(int));	/* not two */
	}
	len = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!len && !msg.msg_controllen)
		return -ENOTCONN;	/* or an empty packet: no message either */
	conn->rq.in_fd = take_fd(&msg);
	wrong = check_message(conn, len, msg.msg_flags);
	if (!wrong)
		return 1;
	if (log_allowed(&garbage_limit))
		log_msg(LOG_DEBUG, "process %d: bad message: %s", conn->peer.pid,
			wrong);
	return -EPROTO;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct conn *conn = container_of(poll, struct conn, poll);
	int ret = status < 0 ? status : conn_receive(conn);

	(void)events;
	if (ret < 0)
		conn_close(conn);
	else if (ret > 0)
		conn_request(conn);
}

/* ---- for listen.c ---- */

int conn_new(int fd, const struct ucred *peer)
{
	const int size = SEND_BUFFER;
	struct conn *conn = calloc(1, sizeof(*conn));
	int err = -ENOMEM;

	if (conn)
		err = uv_poll_init(conns.loop, &conn->poll, fd);
	if (err) {
		free(conn);
		close(fd);
		return err;
	}
	/* The kernel's own default would do, mostly. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	conn->fd = fd;
	conn->peer = *peer;
	conn->born = uv_now(conns.loop);
	conn->rq.in_fd = conn->rq.out_fd = -1;
	list_add(&conn->list, &conns.list);
	conns.nr++;
	conn_listen_again(conn);
	return 0;
}

void conns_count(const struct ucred *peer, struct conns_nr *nr)
{
	struct conn *conn;

	*nr = (struct conns_nr){ .all = conns.nr };
	list_for_each_entry(conn, &conns.list, list) {
		nr->of_process += conn->peer.pid == peer->pid &&
			!conn->rq.fork;
		nr->of_user += conn->peer.uid == peer->uid;
	}
}

bool conns_sweep(void)
{
	struct conn *conn, *next;

	list_for_each_entry_safe(conn, next, &conns.list, list)
		if (!conn->client && !conn->running && !conn->rq.fork &&
		    uv_now(conns.loop) - conn->born >= HELLO_MS)
			conn_close(conn);
	return !list_empty(&conns.list);
}

void conns_init(uv_loop_t *loop)
{
	conns.loop = loop;
	conns.dev_fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	conns.quiescent = false;
}

void conns_quiesce(void)
{
	struct conn *conn;

	conns.quiescent = true;
	list_for_each_entry(conn, &conns.list, list)
		uv_poll_stop(&conn->poll);
	while (conns.nr_running)
		uv_run(conns.loop, UV_RUN_ONCE);
}

void conns_exit(void)
{
	struct conn *conn, *next;

	list_for_each_entry_safe(conn, next, &conns.list, list)
		conn_close(conn);
	if (conns.dev_fd >= 0)
		close(conns.dev_fd);
}
