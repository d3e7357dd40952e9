// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http.c - the live page: requests, and what every answer says
 *
 *   http_open()   address, files of the page        before the mount is there
 *   http_start()  MHD's thread, the feed's thread   it serves
 *      request -> who asks? -> method? -> path -> page, /metrics, /events
 *   http_stop()   what is written at the end is still told; threads end
 *
 * The connections are all served by one thread of libmicrohttpd's, which sleeps
 * in epoll and waits for nobody: what it has not got yet, or a client does not
 * take, is gone on with later.
 *
 * H1. Nothing here opens, reads or looks at a path on our own mount. The page's
 *     library is read into memory before there is one.
 * H2. A browser must not become a tool of other pages: answers carry no leave for
 *     other origins to read them, a name in Host that is not ours is refused (a
 *     page whose name is made to mean our address comes with it), and what other
 *     sites embed is refused.
 * H3. Everything is bounded: connections, streams of events among them, memory of
 *     each, and how long a client may do nothing.
 *
 * Locks: none here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "config.h"
#include "err.h"
#include "http_i.h"
#include "internal.h"

/*
 * Arbitrary, all of them. Beyond MAX_CONNECTIONS the answer is 503, for which
 * there is room for some more; what comes on top of these waits in the kernel.
 */
#define MAX_CONNECTIONS		64u
#define MHD_CONNECTIONS		(MAX_CONNECTIONS + 32u)
#define CONNECTION_MEMORY	(32 * (size_t)SZ_1K)	/* headers; one block */
#define TIMEOUT_S		15	/* without a byte in or out */
#define SEND_BUFFER		(64 * 1024)	/* bytes; the kernel doubles it */
#define END_MS			500u	/* for listeners to take the rest */

/* Only what we serve ourselves; nobody may show us in a frame. */
#define POLICY								\
	"default-src 'none'; script-src 'self'; style-src 'self'; "	\
	"img-src 'self'; connect-src 'self'; base-uri 'none'; "		\
	"form-action 'none'; frame-ancestors 'none'"

/* Fields: (A) atomic; (C) constant while requests come. */
static struct {
	int fd;				/* (C) listens; -1: nothing is open */
	struct MHD_Daemon *mhd;		/* (C) */
	const struct config *config;	/* (C) */
	char hostname[256];		/* (C) "": of no interest */
	atomic_uint connections;	/* (A) */
	atomic_ulong answers[HTTP_STATUS_CLASSES];	/* (A) by status / 100 */
} http = { .fd = -1 };

void http_get_counts(struct http_counts *counts)
{
	for (unsigned int i = 0; i < HTTP_STATUS_CLASSES; i++)
		counts->requests[i] = atomic_load(&http.answers[i]);
	counts->connections = atomic_load(&http.connections);
	http_streams_count(counts);
}

/* ---- answers ---- */

static void add_headers(struct MHD_Response *response, const char *type)
{
	static const char *const headers[][2] = {
		{ MHD_HTTP_HEADER_CACHE_CONTROL, "no-store" },
		{ "Content-Security-Policy", POLICY },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Referrer-Policy", "no-referrer" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "X-Frame-Options", "DENY" },
	};

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

/* @response is used up. NULL: no memory, the connection is closed. */
static enum MHD_Result answer(struct MHD_Connection *connection,
			      unsigned int status, const char *type,
			      struct MHD_Response *response)
{
	enum MHD_Result ret;

	if (!response)
		return MHD_NO;
	add_headers(response, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					"GET, HEAD");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER,
					"5");
	/* Who is refused has nothing to gain from asking more. */
	if (status != MHD_HTTP_OK)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION,
					"close");
	ret = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	if (ret == MHD_YES)
		atomic_fetch_add(&http.answers[status / 100], 1);
	return ret;
}

/* @text is constant. */
static enum MHD_Result refuse(struct MHD_Connection *connection,
			      unsigned int status, const char *text)
{
	return answer(connection, status, "text/plain; charset=utf-8",
		      MHD_create_response_from_buffer(strlen(text),
				(void *)text, MHD_RESPMEM_PERSISTENT));
}

/* ---- who asks ---- */

/* "localhost", an address as a number, or this machine's name. */
static bool is_our_name(const char *name)
{
	struct in6_addr addr;

	return !strcasecmp(name, "localhost") ||
		inet_pton(AF_INET, name, &addr) == 1 ||
		inet_pton(AF_INET6, name, &addr) == 1 ||
		(http.hostname[0] && !strcasecmp(name, http.hostname));
}

/* H2: "NAME", "NAME:PORT", "[ADDRESS]:PORT". Any port: it may be forwarded. */
static bool is_our_host(const char *host)
{
	const bool bracket = host && *host == '[';
	char name[256];
	size_t len;

	if (!host)
		return false;
	host += bracket;
	len = strcspn(host, bracket ? "]" : ":");
	if (!len || len >= sizeof(name) || (bracket && host[len] != ']'))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	if (bracket != !!strchr(name, ':') || !is_our_name(name))
		return false;
	host += len + bracket;
	return !*host || (*host == ':' &&
			  strspn(host + 1, "0123456789") == strlen(host + 1));
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* H2: part of another site's page, as browsers say. A link to us is none. */
static bool is_embedded(struct MHD_Connection *connection)
{
	const char *site = header(connection, "Sec-Fetch-Site");
	const char *mode = header(connection, "Sec-Fetch-Mode");

	if (!site || !strcmp(site, "same-origin") || !strcmp(site, "none"))
		return false;
	return !mode || strcmp(mode, "navigate");
}

/* ---- what for ---- */

static enum MHD_Result serve_file(struct MHD_Connection *connection,
				  const struct http_file *file)
{
	if (!file->data)
		return refuse(connection, MHD_HTTP_NOT_FOUND,
			      "This part of dygraphs is not installed.\n");
	return answer(connection, MHD_HTTP_OK, file->type,
		      MHD_create_response_from_buffer(file->len,
				(void *)file->data, MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result serve_metrics(struct MHD_Connection *connection)
{
	struct MHD_Response *response;
	size_t len;
	char *text = http_metrics_text(http.config, &len);

	if (!text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(len, text,
						   MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(text);
	return answer(connection, MHD_HTTP_OK,
		      "text/plain; version=0.0.4; charset=utf-8", response);
}

/* What each stream begins with: how soon to come again, and who we are. */
static char *hello_text(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool failed;

	if (!f)
		return NULL;
	fprintf(f, "retry: 1000\nevent: hello\ndata: {\"event\":\"hello\","
		"\"pid\":%d,\"version\":\"%s\",\"cache\":\"%s\",\"mountpoint\":",
		getpid(), PAGEFS_VERSION, config_cache_name(http.config));
	http_put_json(f, http.config->mountpoint);
	fputs(",\"backing_dir\":", f);
	http_put_json(f, http.config->backing_dir);
	fputs("}\n\n", f);
	failed = ferror(f);
	if (fclose(f) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

static enum MHD_Result serve_stream(struct MHD_Connection *connection,
				    unsigned int kinds)
{
	struct MHD_Response *response;
	char *hello = hello_text();
	enum MHD_Result ret;
	int err;

	if (!hello)
		return MHD_NO;
	err = http_stream_new(connection, kinds, hello, &response);
	free(hello);
	if (err == -EUSERS)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			      "As many listen to events as can.\n");
	if (err)
		return MHD_NO;
	ret = answer(connection, MHD_HTTP_OK, "text/event-stream", response);
	http_feed_kick();
	return ret;
}

/* ?event=NAME,NAME: these; without it, all there are. */
static enum MHD_Result serve_events(struct MHD_Connection *connection)
{
	const char *names = MHD_lookup_connection_value(connection,
					MHD_GET_ARGUMENT_KIND, "event");
	unsigned int kinds = names ? http_parse_kinds(names) : ~0u;

	if (!kinds)
		return refuse(connection, MHD_HTTP_BAD_REQUEST,
			      "event=: there is no event of that name.\n");
	return serve_stream(connection, kinds);
}

static enum MHD_Result serve(struct MHD_Connection *connection,
			     const char *path)
{
	const struct http_file *file = http_page_find(path);

	if (file)
		return serve_file(connection, file);
	if (!strcmp(path, "/metrics"))
		return serve_metrics(connection);
	if (!strcmp(path, "/events"))
		return serve_events(connection);
	return refuse(connection, MHD_HTTP_NOT_FOUND,
		      "There are /, /metrics and /events.\n");
}

/* MHD_AccessHandlerCallback: once with the headers, and again with the body. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	static char headers_seen;

	(void)arg, (void)version, (void)data;
	if (!*state) {
		*state = &headers_seen;
		if (!is_our_host(header(connection, MHD_HTTP_HEADER_HOST)))
			return refuse(connection, MHD_HTTP_FORBIDDEN,
				"Host: must be localhost or an address.\n");
		if (strcmp(method, MHD_HTTP_METHOD_GET) &&
		    strcmp(method, MHD_HTTP_METHOD_HEAD))
			return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				      "There is only GET and HEAD.\n");
		if (is_embedded(connection))
			return refuse(connection, MHD_HTTP_FORBIDDEN,
				      "Not for other sites.\n");
		if (atomic_load(&http.connections) > MAX_CONNECTIONS)
			return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				      "Too many connections.\n");
		return MHD_YES;
	}
	if (*data_len) {
		*data_len = 0;		/* nobody wants it */
		return MHD_YES;
	}
	return serve(connection, path);
}

/* H3. The kernel's own bounds are megabytes: who takes nothing would be found out
 * when they are full. Failure: it is, later. */
static void bound_connection(struct MHD_Connection *connection)
{
	const int size = SEND_BUFFER, ms = TIMEOUT_S * 1000;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (!info)
		return;
	setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(info->connect_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms,
		   sizeof(ms));
}

static void on_connection(void *arg, struct MHD_Connection *connection,
			  void **state, enum MHD_ConnectionNotificationCode code)
{
	(void)arg, (void)state;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		atomic_fetch_add(&http.connections, 1);
		bound_connection(connection);
	} else {
		atomic_fetch_sub(&http.connections, 1);
	}
}

/* UnescapeCallback: %00 would be the end of a path that goes on. */
static size_t unescape(void *arg, struct MHD_Connection *connection, char *s)
{
	(void)arg, (void)connection;
	return strstr(s, "%00") ? strlen(s) : MHD_http_unescape(s);
}

/* ---- begin and end ---- */

static void on_mhd_log(void *arg, const char *fmt, va_list ap)
{
	static struct log_limit limit;
	char line[256];

	(void)arg;
	if (!log_allowed(&limit))
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_msg(LOG_DEBUG, "http: %s", line);
}

int http_open(const struct config *config)
{
	struct http_address address;
	int fd;

	if (!config->http)
		return 0;
	fd = http_parse_address(config->http, &address);
	if (!fd)
		fd = http_listen(&address);
	if (fd < 0) {
		log_msg(LOG_ERR, "http=%s: %s", config->http, strerror(-fd));
		return fd;
	}
	http.config = config;
	/* Whoever reaches us from elsewhere may do so by name. */
	http.hostname[0] = '\0';
	if (!http_is_loopback(&address))
		gethostname(http.hostname, sizeof(http.hostname) - 1);
	http_page_init();
	http.fd = fd;
	return 0;
}

/* MHD's epoll: other ways end at descriptor 1024, and we have many. */
static struct MHD_Daemon *start_mhd(void)
{
	const unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD |
		MHD_USE_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL,
		MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, http.fd,
		MHD_OPTION_CONNECTION_LIMIT, MHD_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)TIMEOUT_S,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
		MHD_OPTION_END);
}

static int start_threads(void)
{
	int err = http_streams_init();

	if (err)
		return err;
	err = http_feed_start();
	if (err)
		goto out_streams;
	http.mhd = start_mhd();
	if (http.mhd)
		return 0;
	http.fd = -1;		/* it has closed it */
	err = -ENOMEM;		/* it does not say; there is little else */
	http_feed_stop();
out_streams:
	http_streams_exit();
	return err;
}

int http_start(void)
{
	char url[128];
	int err;

	if (http.fd < 0)
		return 0;
	err = http_url(http.fd, url, sizeof(url));
	if (!err)
		err = start_threads();
	if (err) {
		log_msg(LOG_ERR, "http=%s: %s", http.config->http,
			strerror(-err));
		return err;
	}
	fs_set_http(url);
	log_msg(LOG_INFO, "live page: %s", url);
	return 0;
}

static void stop_threads(void)
{
	MHD_quiesce_daemon(http.mhd);
	http_feed_stop();
	http_streams_wait(END_MS);
	MHD_stop_daemon(http.mhd);
	http.mhd = NULL;
	http_streams_exit();
}

void http_stop(void)
{
	if (http.fd < 0)
		return;
	fs_set_http(NULL);
	if (http.mhd)
		stop_threads();
	close(http.fd);
	http.fd = -1;
	http_page_exit();
}
