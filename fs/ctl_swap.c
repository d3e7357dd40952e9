// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_swap.c - .pagefs/swapon and swapoff: swap areas while we serve
 *
 *   echo /swap:2G > swapon     done, or errno; why, in words, can be read from
 *                              the same open file
 *   echo /swap > swapoff       begun, or errno
 *   cat swapoff                what is left of those that go, and how the last
 *                              ones ended
 *
 *   job   NONE --write--> GOING --swap_off()--> ENDED --write--> GOING ...
 *
 * Bringing pages back takes as long as it takes, and memory that may have to be
 * written back first. A FUSE worker must not be kept from its work by that, so
 * it is a thread's of its own, and the write only begins it. Turning an area on
 * is done by the worker that is told to: one at a time (swapon.c), so that
 * others are left to serve what lies in its way.
 *
 * J1. A job's thread is joined before the job is used again, and by
 *     swapoff_stop(): it has objects of mm/'s until it is gone.
 *
 * Locks:  swapoff.lock (a leaf). No job is waited for under it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocking.h"
#include "ctl.h"
#include "pagefs_fs.h"
#include "swapfile.h"

/* Bytes of a line that is written here: a path, and numbers. */
#define SWAP_LINE_MAX	320u

enum job_state { JOB_NONE, JOB_GOING, JOB_ENDED };

/* Fields: (L) swapoff.lock; (J) who made it GOING, then swapoff_stop(). */
struct swapoff_job {
	char path[256];			/* (L) */
	enum job_state state;		/* (L) */
	unsigned long seq;		/* (L) the older of two that ended is less */
	unsigned long used, left;	/* (L) pages: at first, and now */
	int err;			/* (L) once it has ENDED */
	bool threaded;			/* (J) thread is there to be joined */
	pthread_t thread;		/* (J) */
};

static struct {
	struct mutex lock;
	struct swapoff_job jobs[MAX_SWAPFILES];
	unsigned long seq;		/* (L) */
	bool stop;			/* (A) relaxed: a hint to end */
} swapoff = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };

/* A line without its end into @line. Return: 0 or -EINVAL. */
static int take_line(const struct ctl_handle *h, const char *buf, size_t len,
		     loff_t pos, char *line)
{
	/* Where >> writes is where the kernel thinks that the end is. */
	if ((pos && !(h->flags & O_APPEND)) || memchr(buf, '\0', len))
		return -EINVAL;
	if (len && buf[len - 1] == '\n')
		len--;
	if (!len || len >= SWAP_LINE_MAX || memchr(buf, '\n', len))
		return -EINVAL;
	memcpy(line, buf, len);
	line[len] = '\0';
	return 0;
}

/* ---- swapon ---- */

/* Of one open file. */
struct swapon_said {
	struct mutex lock;
	char text[512];			/* lock; of the last write that failed */
};

static int swapon_open(struct ctl_handle *h, const struct fs_cred *cred)
{
	struct swapon_said *said = calloc(1, sizeof(*said));

	(void)cred;
	if (!said)
		return -ENOMEM;
	mutex_init(&said->lock, LOCK_LEAF);
	h->private = said;
	return 0;
}

static void swapon_release(struct ctl_handle *h)
{
	struct swapon_said *said = h->private;

	mutex_destroy(&said->lock);
	free(said);
}

static ssize_t swapon_write(struct ctl_handle *h, const char *buf, size_t len,
			    loff_t pos)
{
	struct swapon_said *said = h->private;
	char line[SWAP_LINE_MAX], msg[sizeof(said->text) - 1] = "";
	struct fs_swap swap;
	int err = take_line(h, buf, len, pos, line);

	if (!err)
		err = fs_parse_swap(line, &swap, msg, sizeof(msg));
	if (!err) {
		thread_will_block();
		err = fs_swapon(&swap, msg, sizeof(msg));
	}
	mutex_lock(&said->lock);
	snprintf(said->text, sizeof(said->text), "%s%s", msg, *msg ? "\n" : "");
	mutex_unlock(&said->lock);
	return err ? err : (ssize_t)len;
}

static ssize_t swapon_read(struct ctl_handle *h, char *buf, size_t size,
			   loff_t pos)
{
	struct swapon_said *said = h->private;
	size_t len, n = 0;

	mutex_lock(&said->lock);
	len = strlen(said->text);
	if (pos < (loff_t)len) {
		n = min(size, len - (size_t)pos);
		memcpy(buf, said->text + pos, n);
	}
	mutex_unlock(&said->lock);
	return (ssize_t)n;
}

static const struct ctl_file_ops swapon_ops = {
	.open		= swapon_open,
	.read		= swapon_read,
	.write		= swapon_write,
	.release	= swapon_release,
};

const struct ctl_file ctl_swapon_file = { .ops = &swapon_ops };

/* ---- swapoff: a job ---- */

static bool job_progress(unsigned long left, void *arg)
{
	struct swapoff_job *job = arg;

	mutex_lock(&swapoff.lock);
	job->left = left;
	mutex_unlock(&swapoff.lock);
	return !READ_ONCE(swapoff.stop);
}

static void job_end(struct swapoff_job *job, int err)
{
	mutex_lock(&swapoff.lock);
	job->err = err;
	if (!err)
		job->left = 0;
	job->state = JOB_ENDED;
	mutex_unlock(&swapoff.lock);
}

static void *job_main(void *arg)
{
	struct swapoff_job *job = arg;
	int err;

	pthread_setname_np(pthread_self(), "pagefs-swapoff");
	/* The path is the job's as long as it is GOING. */
	err = swap_off(job->path, job_progress, job);
	if (err)
		fs_log(LOG_WARNING, "swap stays on %s: %s", job->path,
		       fs_swapoff_error(err));
	else
		fs_log(LOG_INFO, "swap off %s", job->path);
	job_end(job, err);
	return NULL;
}

/* Signals are for the daemon's threads. */
static int job_thread(struct swapoff_job *job)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	BUG_ON(pthread_sigmask(SIG_SETMASK, &all, &old));
	err = pthread_create(&job->thread, NULL, job_main, job);
	BUG_ON(pthread_sigmask(SIG_SETMASK, &old, NULL));
	return -err;
}

/* Its own, or one that is free, or of those that have ended the oldest.
 * Context: swapoff.lock. Return: NULL: it is GOING. */
static struct swapoff_job *job_pick(const char *path)
{
	struct swapoff_job *best = NULL;

	for (unsigned int i = 0; i < ARRAY_SIZE(swapoff.jobs); i++) {
		struct swapoff_job *job = &swapoff.jobs[i];

		if (job->state != JOB_NONE && !strcmp(job->path, path))
			return job->state == JOB_GOING ? NULL : job;
		if (job->state == JOB_GOING)
			continue;
		if (!best || job->state < best->state ||
		    (job->state == best->state && job->seq < best->seq))
			best = job;
	}
	return best;
}

/* GOING, if it can be. Return: the job, or NULL: another is at it. */
static struct swapoff_job *job_begin(const struct swap_area_info *info)
{
	struct swapoff_job *job;

	mutex_lock(&swapoff.lock);
	job = job_pick(info->path);
	if (job) {
		snprintf(job->path, sizeof(job->path), "%s", info->path);
		job->state = JOB_GOING;
		job->seq = ++swapoff.seq;
		job->used = job->left = info->nr_used;
		job->err = 0;
	}
	mutex_unlock(&swapoff.lock);
	return job;
}

static int job_start(const struct swap_area_info *info)
{
	struct swapoff_job *job = job_begin(info);
	int err;

	if (!job)
		return -EBUSY;
	if (job->threaded)
		BUG_ON(pthread_join(job->thread, NULL));	/* J1 */
	err = job_thread(job);
	job->threaded = !err;
	if (err)
		job_end(job, err);
	return err;
}

/* ---- swapoff: the file ---- */

static bool find_area(const char *path, struct swap_area_info *info)
{
	for (unsigned int i = 0; swap_area_info(i, info); i++)
		if (!strcmp(info->path, path))
			return true;
	return false;
}

static ssize_t swapoff_write(struct ctl_handle *h, const char *buf, size_t len,
			     loff_t pos)
{
	char line[SWAP_LINE_MAX], real[SWAP_LINE_MAX];
	struct swap_area_info info;
	int err = take_line(h, buf, len, pos, line);

	if (err)
		return err;
	thread_will_block();
	if (!find_area(line, &info)) {
		fs_swap_path(line, real, sizeof(real));
		if (!find_area(real, &info))
			return -ENOENT;
	}
	err = job_start(&info);
	return err ? err : (ssize_t)len;
}

static const char *job_state(const struct swapoff_job *job)
{
	if (job->state == JOB_GOING)
		return "going";
	return job->err ? "failed" : "done";
}

static void show_job(struct ctl_text *text, const struct swapoff_job *job)
{
	const unsigned int shift = PAGE_SHIFT - 10;
	size_t start = text->len;
	int width;

	ctl_escape(text, job->path, " \t\n\\");
	width = 39 - (int)(text->len - start);
	ctl_printf(text, "%*s%s\t\t%lu\t\t%lu\t\t%s\n", max(width, 0) + 1, " ",
		   job_state(job), job->left << shift, job->used << shift,
		   job->state == JOB_ENDED && job->err ?
		   fs_swapoff_error(job->err) : "-");
}

static int swapoff_show(struct ctl_handle *h, struct ctl_text *text)
{
	(void)h;
	ctl_printf(text, "Filename\t\t\t\tState\t\tLeft\t\tUsed\t\tError\n");
	mutex_lock(&swapoff.lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(swapoff.jobs); i++)
		if (swapoff.jobs[i].state != JOB_NONE)
			show_job(text, &swapoff.jobs[i]);
	mutex_unlock(&swapoff.lock);
	text->end = true;
	return 0;
}

static const struct ctl_file_ops swapoff_ops = {
	.read	= ctl_text_read,
	.write	= swapoff_write,
};

const struct ctl_file ctl_swapoff_file = {
	.ops = &swapoff_ops, .show = swapoff_show,
};

/* No worker is there any more that could begin another. */
void swapoff_stop(void)
{
	WRITE_ONCE(swapoff.stop, true);
	for (unsigned int i = 0; i < ARRAY_SIZE(swapoff.jobs); i++) {
		struct swapoff_job *job = &swapoff.jobs[i];

		if (job->threaded)
			BUG_ON(pthread_join(job->thread, NULL));	/* J1 */
		job->threaded = false;
		job->state = JOB_NONE;
	}
	WRITE_ONCE(swapoff.stop, false);
}
