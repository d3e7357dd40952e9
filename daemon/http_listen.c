// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_listen.c - where the live page is served
 *
 *   "127.0.0.1:8080"  "[::1]:0" --> struct http_address --> socket --> URL
 *
 * An IPv6 socket takes no IPv4: an address is what it says.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_i.h"

/* Connections the kernel keeps for us. Arbitrary. */
#define BACKLOG	32

/* Splits "[HOST]:PORT" and "HOST:PORT"; @host has NI_MAXHOST bytes. */
static const char *split_address(const char *text, char *host)
{
	const bool v6 = *text == '[';
	const char *end = v6 ? strchr(text, ']') : strchr(text, ':');
	const char *colon = v6 && end ? end + 1 : end;

	text += v6;
	if (!end || *colon != ':' || end == text || end - text >= NI_MAXHOST)
		return NULL;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	if (v6 != !!strchr(host, ':'))
		return NULL;
	return colon + 1;
}

static bool is_port(const char *text)
{
	unsigned int port = 0;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	for (; *text && port <= UINT16_MAX; text++)
		port = port * 10 + (unsigned int)(*text - '0');
	return port <= UINT16_MAX;
}

int http_parse_address(const char *text, struct http_address *address)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	char host[NI_MAXHOST];
	const char *port = split_address(text, host);
	struct addrinfo *info;

	if (!port || !is_port(port) || getaddrinfo(host, port, &hints, &info))
		return -EINVAL;
	memcpy(&address->sa, info->ai_addr, info->ai_addrlen);
	address->len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

static bool v4_is_loopback(const uint8_t *addr)
{
	return addr[0] == 127;
}

bool http_is_loopback(const struct http_address *address)
{
	const struct sockaddr_in6 *v6 = (const void *)&address->sa;
	const struct sockaddr_in *v4 = (const void *)&address->sa;

	if (address->sa.ss_family == AF_INET)
		return v4_is_loopback((const uint8_t *)&v4->sin_addr);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v4_is_loopback(&v6->sin6_addr.s6_addr[12]);
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Return: 0 or -errno. */
static int bind_and_listen(int fd, const struct http_address *address)
{
	const bool v6 = address->sa.ss_family == AF_INET6;
	const struct sockaddr_in6 *sin6 = (const void *)&address->sa;
	const int on = 1;

	/* After a restart connections of the last daemon may still linger. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -errno;
	if (v6 && !IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr) &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address->sa, address->len) ||
	    listen(fd, BACKLOG))
		return -errno;
	return 0;
}

int http_listen(const struct http_address *address)
{
	int fd = socket(address->sa.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = bind_and_listen(fd, address);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int http_url(int fd, char *buf, size_t size)
{
	struct http_address at = { .len = sizeof(at.sa) };
	char host[NI_MAXHOST], port[NI_MAXSERV];
	bool v6;

	if (getsockname(fd, (struct sockaddr *)&at.sa, &at.len))
		return -errno;
	if (getnameinfo((struct sockaddr *)&at.sa, at.len, host, sizeof(host),
			port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return -EINVAL;
	v6 = at.sa.ss_family == AF_INET6;
	snprintf(buf, size, "http://%s%s%s:%s/", v6 ? "[" : "", host,
		 v6 ? "]" : "", port);
	return 0;
}
