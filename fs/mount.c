// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/mount.c - one mount, from the options to the last byte written
 *
 *   fs_mount()          fs_init(), session, mount(2)
 *   fuse_serve_start()  notify thread, workers, INIT, the mount's bdi
 *        ...            serving, until a signal or the kernel's umount
 *   fuse_serve_stop()   syncfs, umount, syncfs; what is dirty is written, and
 *                       traces end; workers leave
 *   fs_umount()         session, open handles, fs_exit()
 *
 * I1. The notify thread, and whoever notifies by himself, is gone before the
 *     session's descriptor is closed: it is written to. The trace thread, too.
 * I2. The kernel's dirty pages come in while the workers serve. For that the
 *     mount is held open by the thread that syncs: umount then only takes the
 *     name away, and the file system dies when that thread lets go, after a
 *     second sync of what was written in between.
 * I3. Stopping ends, however the kernel or a program behaves: each wait is
 *     bounded, and closing the last device aborts all that is still waiting.
 *
 * No locks: the caller is one thread. closer.lock (a leaf) is between it and
 * the thread that syncs.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "pagefs_fs.h"
#include "fuse_i.h"

/* Seconds the kernel gets to hand in what it holds. Arbitrary; systemd kills
 * a service that takes 90. */
#define SYNC_TIMEOUT_S	30

/* The kernel reads ahead of programs at least this much, bytes: measured, 128
 * KiB leave a fast disk idle. */
#define MIN_READ_AHEAD	(512 * SZ_1K)

static struct fuse_session *session;
static char *mountpoint;

/* ---- messages ---- */

/* What libfuse said last, while mounting: the reason of its failure. */
static char fuse_said[256];
static bool mounting;

/* libfuse says some lines piece by piece; @line ends with '\n' when whole. */
static void fuse_said_add(const char *line)
{
	size_t len = strlen(fuse_said);

	if (len && fuse_said[len - 1] == '\n')
		len = 0;
	snprintf(fuse_said + len, sizeof(fuse_said) - len, "%s", line);
}

static void fuse_log_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[sizeof(fuse_said)];

	vsnprintf(line, sizeof(line), fmt, ap);
	if (mounting) {
		fuse_said_add(line);
		return;
	}
	line[strcspn(line, "\n")] = '\0';
	fs_log((int)level, "%s", line);		/* the levels are syslog's */
}

/* ---- mounting ---- */

/*
 * Should the kernel check modes and owners? With default_permissions it asks
 * for a directory's attributes again after every change in it, a second request
 * for each create, unlink and rename. A mount of root's that only root may
 * enter has nobody to keep out.
 */
static bool need_permission_checks(const struct fs_mount_options *opts)
{
	return opts->allow_other || geteuid() != 0;
}

/* The -o list for libfuse; what the user gave comes last, and wins. */
static char *mount_opts(const struct fs_mount_options *opts)
{
	char *list = NULL, *fsname;
	int err;

	if (asprintf(&fsname, "fsname=%s", opts->backing_dir) < 0)
		return NULL;
	err = fuse_opt_add_opt(&list, "subtype=pagefs");
	if (need_permission_checks(opts))
		err = err ?: fuse_opt_add_opt(&list, "default_permissions");
	err = err ?: fuse_opt_add_opt_escaped(&list, fsname);
	if (opts->allow_other)
		err = err ?: fuse_opt_add_opt(&list, "allow_other");
	if (opts->fuse_opts && opts->fuse_opts[0])
		err = err ?: fuse_opt_add_opt(&list, opts->fuse_opts);
	free(fsname);
	if (err) {
		free(list);
		return NULL;
	}
	return list;
}

static struct fuse_session *new_session(const struct fs_mount_options *opts)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	char *list = mount_opts(opts);

	if (list && !fuse_opt_add_arg(&args, "pagefsd") &&
	    !fuse_opt_add_arg(&args, "-o") && !fuse_opt_add_arg(&args, list))
		se = fuse_session_new(&args, &pagefs_ops, sizeof(pagefs_ops),
				      NULL);
	fuse_opt_free_args(&args);
	free(list);
	return se;
}

/* fusermount3 says on stderr why it refuses; this says what to do. */
static const char *mount_hint(const struct fs_mount_options *opts)
{
	if (geteuid() == 0)
		return "";
	if (opts->allow_other)
		return " (allow_other needs user_allow_other in /etc/fuse.conf)";
	return " (as a user: fusermount3 must be installed, and the mountpoint yours)";
}

/* Return: 0, -EINVAL (the options are wrong) or -EPERM. */
static int start_session(const struct fs_mount_options *opts)
{
	session = new_session(opts);
	if (!session)
		return -EINVAL;
	if (!fuse_session_mount(session, opts->mountpoint) &&
	    !fuse_session_custom_io(session, &fuse_loop_io,
				    fuse_session_fd(session)))
		return 0;
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	session = NULL;
	return -EPERM;
}

static int mount_session(const struct fs_mount_options *opts,
			 const struct message *msg)
{
	int err;

	mounting = true;
	fuse_said[0] = '\0';
	err = start_session(opts);
	mounting = false;
	fuse_said[strcspn(fuse_said, "\n")] = '\0';
	if (err)
		complain(msg, err, "%s: cannot mount%s%s%s", opts->mountpoint,
			 fuse_said[0] ? ": " : "", fuse_said,
			 err == -EPERM ? mount_hint(opts) : "");
	return err;
}

static int init_fs(const struct fs_mount_options *opts,
		   const struct message *msg)
{
	struct fs_options fs_opts = {
		.backing_dir = opts->backing_dir,
		.mountpoint = opts->mountpoint,
		.memory = opts->memory,
		.cache = (enum fs_cache_mode)opts->cache,
		.allow_other = opts->allow_other,
		.low_latency = opts->low_latency,
	};

	return fs_init(&fs_opts, msg->buf, msg->size);
}

int fs_mount(const struct fs_mount_options *opts, char *buf, size_t size)
{
	struct message msg = { .buf = buf, .size = size };
	unsigned long lost;
	int err;

	fs_log = opts->log;
	fuse_set_log_func(fuse_log_line);
	mountpoint = strdup(opts->mountpoint);
	if (!mountpoint)
		return complain(&msg, -ENOMEM, "out of memory");
	err = init_fs(opts, &msg);
	if (err)
		goto out_free;
	handle_init();
	err = mount_session(opts, &msg);
	if (err)
		goto out_exit;
	return 0;

out_exit:
	handle_exit();
	fs_exit(&lost);
out_free:
	free(mountpoint);
	mountpoint = NULL;
	return err;
}

/* ---- the mount's backing_dev_info in the kernel ---- */

static void bdi_set(const char *bdi, const char *name, unsigned long value)
{
	char path[128], text[24];
	int fd, len, err = 0;

	snprintf(path, sizeof(path), "%s/%s", bdi, name);
	len = snprintf(text, sizeof(text), "%lu", value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)len) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	fs_log(LOG_DEBUG, "%s = %s%s%s", path, text, err ? ": " : "",
	       err ? strerror(err) : "");
}

/*
 * A FUSE mount's defaults throttle it: 1% of dirty memory, strictly, and 128
 * KiB of read-ahead. What that costs was measured: factors of 1.7 to 4.
 * Only root may change it; strict_limit came with Linux 6.2.
 */
static void tune_bdi(void)
{
	char bdi[64];

	if (geteuid() != 0)
		return;
	snprintf(bdi, sizeof(bdi), "/sys/class/bdi/%u:%u", major(sb.mnt_dev),
		 minor(sb.mnt_dev));
	bdi_set(bdi, "strict_limit", 0);
	bdi_set(bdi, "max_ratio", 100);
	bdi_set(bdi, "read_ahead_kb",
		max_t(unsigned long, sb.max_io, MIN_READ_AHEAD) / SZ_1K);
}

/* The device at the mountpoint, without a request to ourselves; 0: none. */
static dev_t look_at_mountpoint(void)
{
	struct statx stx;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, 0, &stx))
		return 0;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor);
}

/* ---- serving ---- */

int fuse_serve_start(void (*ended)(void *arg), void *arg)
{
	int err = notify_init(session);

	if (err)
		return err;
	err = ctl_trace_start();
	if (err)
		goto out_notify;
	err = fuse_loop_start(session, ended, arg);
	if (err)
		goto out_trace;
	sb.mnt_dev = look_at_mountpoint();
	if (sb.mnt_dev)
		tune_bdi();
	return 0;

out_trace:
	ctl_trace_stop();
	ctl_trace_exit();
out_notify:
	notify_exit();
	return err;
}

/* The thread that brings in what the kernel holds. Fields: (L) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;
	bool synced;			/* (L) may be unmounted */
	bool unmounted;			/* (L) */
	bool done;			/* (L) the file system is no more */
} closer;

static void closer_set(bool *flag)
{
	mutex_lock(&closer.lock);
	*flag = true;
	pthread_cond_broadcast(&closer.cond);
	mutex_unlock(&closer.lock);
}

/* Return: false if @flag did not come within SYNC_TIMEOUT_S. */
static bool closer_wait(const bool *flag)
{
	struct timespec ts;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += SYNC_TIMEOUT_S;
	mutex_lock(&closer.lock);
	while (!*flag && !err)
		err = pthread_cond_timedwait(&closer.cond, &closer.lock.m, &ts);
	mutex_unlock(&closer.lock);
	return !err;
}

static void sync_mount(int fd)
{
	if (fd >= 0 && syncfs(fd))
		fs_log(LOG_WARNING, "%s: the kernel had write errors, now or earlier: %s",
		       mountpoint, strerror(errno));
}

static void *closer_main(void *arg)
{
	int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-closer");
	sync_mount(fd);
	closer_set(&closer.synced);
	closer_wait(&closer.unmounted);
	sync_mount(fd);						/* I2 */
	if (fd >= 0)
		close(fd);	/* the last one: what is left comes in here */
	closer_set(&closer.done);
	return NULL;
}

static void closer_init(void)
{
	pthread_condattr_t attr;

	closer.synced = closer.unmounted = closer.done = false;
	mutex_init(&closer.lock, LOCK_LEAF);
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&closer.cond, &attr));
	pthread_condattr_destroy(&attr);
}

static void closer_wait_or_log(const bool *flag)
{
	if (!closer_wait(flag))
		fs_log(LOG_ERR, "%s: the kernel has not handed in its data within %d s; going on without",
		       mountpoint, SYNC_TIMEOUT_S);
}

/*
 * Who watches sees what is written now, and is told that it is the end. Errors:
 * those pages stay dirty, for fs_exit() to try again and to count.
 */
static void end_traces(void)
{
	sync_bdi(&sb.bdi);
	ctl_trace_stop();
	ctl_trace_drain();
	ctl_trace_exit();
}

/* Unmounts; the workers serve all the while, and are gone in the end. */
static void close_mount(void)
{
	pthread_t thread;
	int err;

	fuse_take_lost(&err);	/* of those so far programs have been told */
	closer_init();
	err = pthread_create(&thread, NULL, closer_main, NULL);
	if (!err)
		closer_wait_or_log(&closer.synced);
	else
		fs_log(LOG_ERR, "no thread to sync the mount: %s", strerror(err));
	fuse_session_unmount(session);
	closer_set(&closer.unmounted);
	if (!err)
		closer_wait_or_log(&closer.done);
	end_traces();
	fuse_loop_stop();
	/* The last device is closed: whatever it waits for has failed (I3). */
	if (!err)
		BUG_ON(pthread_join(thread, NULL));
	pthread_cond_destroy(&closer.cond);
	mutex_destroy(&closer.lock);
}

/*
 * The connection was cut (umount -f, or its abort file): the mount is still
 * there and dead, and libfuse, which sees no difference to an umount, leaves
 * it. Both conditions, as somebody else may have mounted there by now.
 */
static void detach_dead_mount(void)
{
	struct statvfs st;	/* of this the kernel keeps no copy to show */

	if (!sb.mnt_dev || look_at_mountpoint() != sb.mnt_dev)
		return;
	if (!statvfs(mountpoint, &st) || errno != ENOTCONN)
		return;
	if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW))
		fs_log(LOG_WARNING, "%s: cut off, but still mounted; run fusermount3 -u",
		       mountpoint);
}

void fuse_serve_stop(void)
{
	int err;

	notify_exit();						/* I1 */
	if (!fuse_loop_ended()) {
		close_mount();
		return;
	}
	ctl_trace_stop();
	ctl_trace_exit();
	fuse_loop_stop();
	fuse_take_lost(&err);	/* programs, or umount, have been told */
	detach_dead_mount();
}

int fs_umount(unsigned long *lostp)
{
	unsigned long lost;
	int err, lost_err;

	fuse_session_unmount(session);	/* nothing to do if it was done */
	fuse_session_destroy(session);
	session = NULL;
	handle_exit();
	err = fs_exit(lostp);
	lost = fuse_take_lost(&lost_err);
	*lostp += lost;
	free(mountpoint);
	mountpoint = NULL;
	return err ? err : lost_err;
}
