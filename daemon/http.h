/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/http.h - what the process knows of the live page
 *
 * Order: http_open() before the mount is there, so that an address that cannot
 * be had stops us while nothing has happened yet; http_start() when it serves;
 * http_stop() when it serves no longer and before fs_umount().
 */
#ifndef PAGEFS_DAEMON_HTTP_H
#define PAGEFS_DAEMON_HTTP_H

#include <stdbool.h>
#include <sys/socket.h>

struct config;

/* ---- http_listen.c ---- */

struct http_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/*
 * "127.0.0.1:8080" or "[::1]:8080": no names, for it would depend on others
 * what they mean. Port 0: whichever is free. Return: 0 or -EINVAL.
 */
int http_parse_address(const char *text, struct http_address *address);
/* Can it be reached from this machine alone? */
bool http_is_loopback(const struct http_address *address);

/* ---- http.c ---- */

/* All that can go wrong with config->http, if that is set. Return: 0, or -errno
 * and a message was logged. */
int http_open(const struct config *config);
/* Does nothing if nothing is open. The same. */
int http_start(void);
/* No later than a second after it is called, whatever clients do. */
void http_stop(void);

#endif /* PAGEFS_DAEMON_HTTP_H */
