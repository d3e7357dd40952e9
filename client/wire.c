// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/wire.c - one question to the daemon, and its answer
 *
 *   wire_send   [ pagefs_msg | fd ]  -->
 *   wire_recv                        <--  [ pagefs_msg | tail | fd ]
 *
 * Packets (SOCK_SEQPACKET) come whole or not at all, so a reply that is not
 * exactly what was asked for means that the other side is no daemon of ours:
 * the connection is of no more use, and its caller closes it.
 *
 * Locks: none; a connection belongs to whoever uses it.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"
#include "sys.h"

#define WIRE_MAX_FDS	GIVE_BATCH
/* As many as a reply may bring before we close the surplus; arbitrary. */
#define REPLY_MAX_FDS	4

static int connect_retry(int sock, const struct sockaddr_un *addr)
{
	int err;

	do {
		err = connect(sock, (const void *)addr, sizeof(*addr)) ?
		      -errno : 0;
	} while (err == -EINTR);
	return err;
}

int wire_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int sock, err;

	if (!len || len >= sizeof(addr.sun_path))
		return -ECONNREFUSED;
	memcpy(addr.sun_path, path, len);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	err = connect_retry(sock, &addr);
	if (!err)
		return sock;
	close(sock);
	switch (err) {
	case -EACCES:
	case -ENOMEM:
		return err;
	case -EPERM:
		return -EACCES;
	default:	/* no socket, nobody listens, not a socket */
		return -ECONNREFUSED;
	}
}

/* ---- sending ---- */

static int send_retry(int sock, const struct msghdr *hdr)
{
	ssize_t n;

	do {
		n = sendmsg(sock, hdr, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int send_packet(int sock, const void *buf, size_t len, const int *fds,
		       size_t nr)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (nr) {
		memset(&control, 0, CMSG_SPACE(nr * sizeof(int)));
		hdr.msg_control = control.buf;
		hdr.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	}
	return send_retry(sock, &hdr);
}

/* ---- receiving ---- */

/* The descriptors of a packet go to @fds; what is too many is closed. */
static size_t take_fds(struct msghdr *hdr, int *fds, size_t max)
{
	struct cmsghdr *cmsg;
	size_t nr = 0, here;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		here = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			       sizeof(int));
			if (nr < max)
				fds[nr++] = fd;
			else
				close(fd);
		}
	}
	return nr;
}

/* Return: bytes; -errno; -ENOTCONN at the end; *@truncated: fds were lost. */
static ssize_t recv_packet(int sock, struct iovec *iov, size_t nr_iov, int *fds,
			   size_t *nr_fds, bool *truncated)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr hdr = {
		.msg_iov = iov,
		.msg_iovlen = nr_iov,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do {
		n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*nr_fds = take_fds(&hdr, fds, *nr_fds);
	*truncated = hdr.msg_flags & MSG_CTRUNC;
	if (n == 0 || hdr.msg_flags & MSG_TRUNC) {
		for (size_t i = 0; i < *nr_fds; i++)
			close(fds[i]);
		return -ENOTCONN;
	}
	return n;
}

static bool is_reply_to(const struct pagefs_msg *reply,
			const struct pagefs_msg *msg)
{
	return reply->magic == PAGEFS_WIRE_MAGIC && reply->type == msg->type &&
	       reply->seq == msg->seq && reply->err <= 0 && reply->err >= -4095;
}

int wire_recv(int sock, struct pagefs_msg *msg, int *fdp, void *tail,
	      size_t tail_len)
{
	struct pagefs_msg reply;
	struct iovec iov[2] = {
		{ .iov_base = &reply, .iov_len = sizeof(reply) },
		{ .iov_base = tail, .iov_len = tail_len },
	};
	int fds[REPLY_MAX_FDS];
	size_t nr_fds = fdp ? 1 : 0;
	bool truncated;
	ssize_t n;

	if (fdp)
		*fdp = -1;
	n = recv_packet(sock, iov, tail ? 2 : 1, fds, &nr_fds, &truncated);
	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(reply) || !is_reply_to(&reply, msg) ||
	    (!reply.err && (size_t)n != sizeof(reply) + tail_len)) {
		if (nr_fds)
			close(fds[0]);
		return -EPROTO;
	}
	if (fdp)
		*fdp = nr_fds ? fds[0] : -1;
	*msg = reply;
	/* Whose fault: we have no number left for it. */
	return fdp && !nr_fds && truncated ? -EMFILE : 0;
}

int wire_send(int sock, struct pagefs_msg *msg, int fd)
{
	static atomic_uint seq;

	msg->magic = PAGEFS_WIRE_MAGIC;
	msg->version = PAGEFS_WIRE_VERSION;
	msg->seq = atomic_fetch_add(&seq, 1);
	msg->err = 0;
	return send_packet(sock, msg, sizeof(*msg), &fd, fd >= 0);
}

int wire_hello(int sock, const struct pagefs *p, struct pagefs_msg *reply,
	       int *fdp)
{
	int err;

	*reply = (struct pagefs_msg){
		.type = PAGEFS_HELLO,
		.args = { p->base, p->end - p->base },
	};
	err = wire_send(sock, reply, -1) ?:
	      wire_recv(sock, reply, fdp, NULL, 0);
	if (err)
		return err == -EPROTO || err == -EMFILE ? err : -ECONNREFUSED;
	err = reply->version == PAGEFS_WIRE_VERSION ? reply->err : -EPROTO;
	if (err && *fdp >= 0) {
		close(*fdp);
		*fdp = -1;
	}
	return err;
}

/* ---- files for a child ---- */

int wire_send_fds(int sock, const int *fds, size_t nr)
{
	int err;

	err = send_packet(sock, "f", 1, fds, nr);
	return err ? err : (int)nr;
}

int wire_recv_fds(int sock, int *fds, size_t max)
{
	struct iovec iov;
	size_t nr = max;
	bool truncated;
	char byte;
	ssize_t n;

	iov = (struct iovec){ .iov_base = &byte, .iov_len = 1 };
	n = recv_packet(sock, &iov, 1, fds, &nr, &truncated);
	return n < 0 ? (int)n : (int)nr;
}
