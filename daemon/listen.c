// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/listen.c - who may connect: accepting, limits, and when it begins and ends
 *
 *   conn_listen() --> LISTENING --accept failed--> PAUSED     the sweep, each second
 *                         ^                          |        while there are any:
 *                         +----------sweep-----------+        nameless ones are closed
 *
 * L1. One process cannot take what others need, nor can one user: limits count
 *     what each has already, by the credentials the kernel noted at connect(2).
 * L2. What cannot be accepted leaves the socket readable: it is not looked at
 *     until the next sweep, rather than for ever and at once.
 *
 * All runs in the loop thread.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "internal.h"

/* Connections of one process; the library has a few. Arbitrary. */
#define MAX_CONNS_PER_PID	32u
#define MAX_CONNS	4096u	/* or a quarter of the descriptors */
#define SWEEP_MS	1000u

/* Fields: (C) constant while it listens; (L) the loop thread's. */
static struct {
	int fd;			/* (L) -1: not listening */
	uv_poll_t poll;		/* (L) */
	uv_timer_t sweep;	/* (L) runs while there are connections */
	unsigned int max_conns;	/* (C) */
	bool paused;		/* (L) L2 */
} server = { .fd = -1 };

static struct log_limit limit_limit;

/* ---- new connections ---- */

/* L1. Return: NULL, or why there may not be one more. */
static const char *check_limits(const struct ucred *peer)
{
	struct conns_nr nr;

	conns_count(peer, &nr);
	if (nr.all >= server.max_conns)
		return "too many connections";
	if (!peer->pid)
		return "not in our PID namespace";
	if (nr.of_process >= MAX_CONNS_PER_PID)
		return "too many connections of one process";
	if (nr.of_user >= server.max_conns / 2)
		return "too many connections of one user";
	return NULL;
}

static void on_connect(uv_poll_t *poll, int status, int events);

/* Those that have not said who they are; and those that wait since there was
 * no descriptor for them. */
static void on_sweep(uv_timer_t *timer)
{
	if (server.paused) {
		server.paused = false;
		BUG_ON(uv_poll_start(&server.poll, UV_READABLE, on_connect));
	}
	if (!conns_sweep() && !server.paused)
		uv_timer_stop(timer);
}

/* Out of descriptors, say: L2. */
static void pause_accepting(int err)
{
	uv_poll_stop(&server.poll);
	server.paused = true;
	if (log_allowed(&limit_limit))
		log_msg(LOG_WARNING, "cannot accept connections: %s",
			strerror(err));
}

/* Return: the next connection; or -1: no more for now. */
static int accept_one(void)
{
	int fd;

	do
		fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0 && errno != EAGAIN)
		pause_accepting(errno);
	return fd;
}

/* Takes @fd over. */
static void welcome(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	const char *why;
	int err;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	why = check_limits(&peer);
	if (why) {
		close(fd);
	} else {
		err = conn_new(fd, &peer);
		why = err ? strerror(-err) : NULL;
	}
	if (why && log_allowed(&limit_limit))
		log_msg(LOG_WARNING, "process %d may not connect: %s", peer.pid,
			why);
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
	int fd;

	(void)poll, (void)status, (void)events;
	while ((fd = accept_one()) >= 0)
		welcome(fd);
	if (!uv_is_active((uv_handle_t *)&server.sweep))
		uv_timer_start(&server.sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

/* ---- begin ---- */

static unsigned int connections_allowed(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur / 4 >= MAX_CONNS)
		return MAX_CONNS;
	return (unsigned int)rl.rlim_cur / 4;
}

/* Nothing below fails but for want of memory: libuv's. */
static void server_start(uv_loop_t *loop, int fd)
{
	conns_init(loop);
	server.fd = fd;
	server.max_conns = connections_allowed();
	server.paused = false;
	BUG_ON(uv_timer_init(loop, &server.sweep));
	BUG_ON(uv_poll_init(loop, &server.poll, fd));
	BUG_ON(uv_poll_start(&server.poll, UV_READABLE, on_connect));
}

int conn_listen(uv_loop_t *loop, const char *path, bool everybody)
{
	int fd = socket_open(path, everybody);

	if (fd < 0)
		return fd;
	server_start(loop, fd);
	return 0;
}

/* ---- the end ---- */

static void stop_listening(void)
{
	socket_remove();
	uv_poll_stop(&server.poll);
	uv_close((uv_handle_t *)&server.poll, NULL);
	uv_timer_stop(&server.sweep);
	uv_close((uv_handle_t *)&server.sweep, NULL);
}

void conn_quiesce(void)
{
	if (server.fd < 0)
		return;
	stop_listening();
	conns_quiesce();
}

void conn_exit(void)
{
	if (server.fd < 0)
		return;
	conns_exit();
	close(server.fd);
	server.fd = -1;
}
