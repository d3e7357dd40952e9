// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/main.c - pagefsd: the process
 *
 *   parent   config_parse, fork ... wait for the child's word ... exit 0 or 1
 *   child      setsid, mm_init, http_open, fs_mount, fuse_serve_start
 *              fs_swapon, faultd_start, conn_listen, http_start --"ready"--> parent,
 *              or service manager
 *              uv_run: SIGTERM, SIGINT, or the kernel ended the session
 *              requests end, fuse_serve_stop, faults end, clients go,
 *              http_stop, fs_umount, mm_exit, exit 0 or 1
 *
 * I1. fork() comes before the first thread.
 * I2. Until the word "ready" stderr is the caller's, and every failure has
 *     been said there; afterwards messages go to syslog.
 * I3. SIGTERM, SIGINT and SIGHUP are blocked while threads are created, so
 *     that all but the main thread keep them blocked.
 * I4. All threads that have allocated are gone before mm_exit(): each keeps a
 *     few free objects of its own until it ends.
 * I5. FUSE workers ask for clients (offer_take) from when there may be some until
 *     the workers have ended, and clients_exit() comes after that.
 *
 * Exit status: 0; 1 for what failed, data that could not be written included;
 * 2 for a wrong command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <uv.h>

#include "mm.h"
#include "mm_types.h"
#include "pagefs_fs.h"
#include "config.h"
#include "http.h"
#include "internal.h"
#include "log.h"
#include "service.h"

/* Heaps of the C library, for all threads. Its own rule, 8 per CPU, would let
 * each worker keep what it once needed. Arbitrary. */
#define MALLOC_ARENAS	2
/* Threads for requests of clients that map files. Arbitrary: most of them wait
 * for the disk. libuv's own default, 4, is for CPUs. */
#define UV_THREADS	"16"

/* The event loop and what lives in it. Main thread, but for uv_async_send(). */
struct server {
	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	uv_async_t ended;
	bool has_clients;	/* of those that map files */
};

static const struct server_signal {
	int signum;
	size_t offset;		/* of its uv_signal_t in struct server */
} server_signals[] = {
	{ SIGTERM, offsetof(struct server, sigterm) },
	{ SIGINT, offsetof(struct server, sigint) },
};

static void on_signal(uv_signal_t *handle, int signum)
{
	log_msg(LOG_INFO, "%s: writing back and unmounting",
		strsignal(signum));
	uv_stop(handle->loop);
}

static void on_ended(uv_async_t *handle)
{
	log_msg(LOG_INFO, "unmounted: writing back");
	uv_stop(handle->loop);
}

/* From a worker. */
static void session_ended(void *arg)
{
	struct server *server = arg;

	uv_async_send(&server->ended);
}

static int server_init(struct server *server)
{
	uv_signal_t *handle;
	int err;

	err = uv_loop_init(&server->loop);
	if (err)
		return err;
	err = uv_async_init(&server->loop, &server->ended, on_ended);
	for (size_t i = 0; i < ARRAY_SIZE(server_signals) && !err; i++) {
		handle = (void *)((char *)server + server_signals[i].offset);
		err = uv_signal_init(&server->loop, handle);
		err = err ?: uv_signal_start(handle, on_signal,
					     server_signals[i].signum);
	}
	return err;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void server_exit(struct server *server)
{
	uv_walk(&server->loop, close_handle, NULL);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	BUG_ON(uv_loop_close(&server->loop));
}

/* I3 */
static void termination_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(how, &set, NULL);
}

/* ---- detaching ---- */

/*
 * In the child: the descriptor for child_ready(), or -1 in the foreground.
 * The parent stays in here until it exits.
 */
static int detach(bool foreground)
{
	int fds[2], status;
	char word;
	pid_t pid;

	if (foreground)
		return -1;
	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0) {
		log_msg(LOG_ERR, "cannot detach: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	if (!pid) {
		close(fds[0]);
		setsid();
		return fds[1];
	}
	close(fds[1]);
	if (read(fds[0], &word, 1) == 1)
		_exit(EXIT_SUCCESS);
	/* It has ended without the word, and has said why (I2). */
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		log_msg(LOG_ERR, "the daemon died: %s",
			strsignal(WTERMSIG(status)));
	_exit(EXIT_FAILURE);
}

/* The mount serves: let the parent go, and be no longer seen. */
static void child_ready(int fd)
{
	int null;

	if (fd < 0)
		return;
	log_to_syslog();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(fd, "", 1) != 1)
		log_msg(LOG_WARNING, "whoever started us is gone");
	close(fd);
}

/* ---- clients that map files ---- */

static int start_listening(const struct config *config, struct server *server)
{
	const bool everybody = config->allow_other && !geteuid();
	int err = clients_init(&server->loop);

	if (err)
		log_msg(LOG_ERR, "event loop: %s", uv_strerror(err));
	else
		err = conn_listen(&server->loop,
				  *config->socket ? config->socket : NULL,
				  everybody);
	if (err)
		clients_exit();
	return err;
}

static int start_serving(const struct config *config, struct server *server)
{
	int err = uffd_probe(config->scan_stores);

	if (err) {
		log_msg(LOG_WARNING, "no userfaultfd (%s): programs cannot map files by themselves",
			strerror(-err));
		return err;
	}
	err = faultd_start(config->low_latency);
	if (err) {
		log_msg(LOG_ERR, "fault threads: %s", strerror(-err));
		return err;
	}
	err = start_listening(config, server);
	if (err) {
		faultd_stop();
		return err;
	}
	server->has_clients = true;
	fs_set_offer_taker(offer_take);		/* I5 */
	return 0;
}

/* Without them the mount is still of use; but what was asked for shall be. */
static int start_clients(const struct config *config, struct server *server)
{
	int err;

	if (!config->socket)
		return 0;
	err = start_serving(config, server);
	return *config->socket ? err : 0;
}

/* ---- the mount's life ---- */

static int mount_all(const struct config *config, struct server *server)
{
	const struct fs_mount_options opts = {
		.backing_dir = config->backing_dir,
		.mountpoint = config->mountpoint,
		.memory = config->memory,
		.cache = config->cache,
		.allow_other = config->allow_other,
		.low_latency = config->low_latency,
		.fuse_opts = config->fuse_opts,
		.log = log_msg,
	};
	char msg[512] = "";
	unsigned long lost;
	int err;

	err = fs_mount(&opts, msg, sizeof(msg));
	if (err) {
		log_msg(LOG_ERR, "%s", msg[0] ? msg : strerror(-err));
		return err;
	}
	err = fuse_serve_start(session_ended, server);
	if (err) {
		log_msg(LOG_ERR, "%s: cannot serve: %s", config->mountpoint,
			strerror(-err));
		fs_umount(&lost);
	}
	return err;
}

/*
 * Faults are served until the mount is gone: what the kernel hands in last may
 * come from mapped memory.
 */
static int umount_all(const struct config *config, struct server *server)
{
	unsigned long lost = 0;
	int err;

	if (server->has_clients)
		conn_quiesce();
	fuse_serve_stop();
	fs_set_offer_taker(NULL);
	if (server->has_clients) {
		faultd_stop();
		conn_exit();
		clients_exit();
	}
	if (config->http)
		fs_sync();	/* who watches sees it; errors come again */
	http_stop();
	err = fs_umount(&lost);
	if (lost)
		log_msg(LOG_ERR, "%s: %lu bytes could not be written and are lost: %s",
			config->backing_dir, lost, strerror(-err));
	else if (err)
		log_msg(LOG_ERR, "%s: not everything could be synced: %s",
			config->backing_dir, strerror(-err));
	return err;
}

/* What is asked for at the start shall be, or there is no start. */
static int start_swap(const struct config *config)
{
	char msg[512];
	int err = 0;

	for (unsigned int i = 0; i < config->nr_swaps && !err; i++) {
		err = fs_swapon(&config->swaps[i], msg, sizeof(msg));
		if (err)
			log_msg(LOG_ERR, "swap: %s", msg);
	}
	return err;
}

static int serve(const struct config *config, struct server *server, int ready_fd)
{
	int err = http_open(config);

	if (err)
		return err;
	err = mount_all(config, server);
	if (err) {
		http_stop();
		return err;
	}
	err = start_swap(config);
	if (!err)
		err = start_clients(config, server);
	if (!err)
		err = http_start();
	if (err) {
		umount_all(config, server);
		return err;
	}
	log_msg(LOG_INFO, "%s on %s, memory=%zuM, cache=%s",
		config->backing_dir, config->mountpoint,
		config->memory / SZ_1M, config_cache_name(config));
	child_ready(ready_fd);
	service_ready(config);
	termination_signals(SIG_UNBLOCK);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	service_stopping(config);
	return umount_all(config, server);
}

static int run(const struct config *config, int ready_fd)
{
	const struct mm_config mm = {
		.memory = config->memory,
		.nr_nodes = config->fake_nodes,
	};
	struct server server = { .has_clients = false };
	int err;

	err = server_init(&server);
	if (err) {
		log_msg(LOG_ERR, "event loop: %s", uv_strerror(err));
		return err;
	}
	err = mm_init(&mm);
	if (err) {
		log_msg(LOG_ERR, "memory=%zuM: %s", config->memory / SZ_1M,
			strerror(-err));
		server_exit(&server);
		return err;
	}
	err = serve(config, &server, ready_fd);
	server_exit(&server);
	uv_library_shutdown();	/* its threads have memory of mm/'s: I4 */
	mm_exit();
	return err;
}

static void process_init(bool foreground)
{
	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	setenv("UV_THREADPOOL_SIZE", UV_THREADS, 0);
	umask(0);	/* modes are the callers' */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* EFBIG, not death, at a limit of ours */
	signal(SIGHUP, SIG_IGN);
	termination_signals(SIG_BLOCK);
	if (!foreground && chdir("/"))
		log_msg(LOG_WARNING, "/: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct config config;
	int ready_fd, err;

	switch (config_parse(argc, argv, &config)) {
	case CONFIG_RUN:
		break;
	case CONFIG_DONE:
		return EXIT_SUCCESS;
	case CONFIG_USAGE:
		return 2;
	case CONFIG_ERROR:
		return EXIT_FAILURE;
	}
	log_set_level(config.log_level);
	if (config.dry_run)
		return EXIT_SUCCESS;
	ready_fd = detach(config.foreground);
	process_init(config.foreground);
	err = run(&config, ready_fd);
	config_free(&config);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
