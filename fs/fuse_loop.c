// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_loop.c - the worker threads that read requests and answer them
 *
 *              read()          fuse_session_process_buf()
 *   READING ------------> BUSY ---------------------------> READING ...
 *      |                    |        reply: loop_writev()
 *      +--- told to leave --+--- told to leave ---> GONE --manager: join--> FREE
 *
 * Each worker has a device of its own, cloned from the session's, so that the
 * kernel does not look for the request of a reply among those of the others;
 * and a buffer of its own for one request. The manager thread adds a worker
 * when the last idle one has gone to work, and lets surplus ones leave.
 *
 * I1. A reply goes out on the device its request came in on: loop_writev()
 *     takes the descriptor from the thread, not from libfuse. A worker that
 *     leaves a request to another thread gives it a descriptor of the device.
 * I2. nr_idle is the number of workers that are READING or about to be. It is
 *     only a reason to add or dismiss workers. Whoever makes it 0 asks for one
 *     more, a worker that leaves included: the one that went to work before it
 *     may have counted on it.
 * I3. A signal only ever interrupts a worker that is READING or that has read
 *     a request an instant ago; it may be lost to one about to read. So it is
 *     sent again until the worker is gone.
 * I4. ended() is called at most once.
 *
 * Which of the idle workers reads, and on which CPU, is fuse_place.c's choice.
 *
 * Locks:  pool.lock (LOCK_WORKERS) guards the slots' life; states are atomic.
 * Source: libfuse lib/fuse_loop_mt.c, the thread count from idle workers.
 *         Differs: stops without waiting for a request, takes no signal of
 *         the program's, keeps a bound on memory, and the reply can be
 *         completed (fuse_init.c).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <linux/fuse.h>

#include "deadline.h"
#include "fuse_i.h"

#define START_WORKERS	2u
/* Idle workers kept for a burst. Arbitrary: a few per CPU of a small machine. */
#define IDLE_KEEP	5
#define MANAGER_TICK_S	5	/* how long a surplus must last; arbitrary */
#define STOP_RETRY_MS	10	/* I3; arbitrary */
/* The kernel sends INIT at once; a kernel that takes so long is broken. */
#define INIT_TIMEOUT_S	10
#define WAKE_SIGNAL	SIGUSR2

enum worker_state {
	WORKER_FREE,		/* the slot is unused */
	WORKER_READING,
	WORKER_BUSY,
	WORKER_GONE,		/* to be joined */
};

/* Fields: (A) atomic; (C) constant while the slot is used; (W) its thread's. */
struct worker {
	pthread_t thread;	/* (C) */
	unsigned int id;	/* (C) */
	int fd;			/* (C) */
	char *buf;		/* (C) */
	uint32_t opcode;	/* (W) of the request at work */
	atomic_int state;	/* (A) leaves FREE and GONE under pool.lock */
	atomic_bool leave;	/* (A) */
};

/* Fields: (A) atomic; (C) constant while it runs; (L) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;		/* anything below changed */
	struct fuse_session *se;	/* (C) */
	int master_fd;			/* (C) the session's, which is closed at
					 * umount while workers still serve */
	size_t buf_size;		/* (C) bytes */
	void (*ended)(void *arg);	/* (C) */
	void *ended_arg;		/* (C) */
	pthread_t manager;		/* (C) */
	struct worker workers[FUSE_MAX_WORKERS];
	unsigned int nr_workers;	/* (L) read without it as an estimate */
	bool more;			/* (L) add a worker */
	bool init_done;			/* (L) */
	atomic_bool stopping;		/* (A) */
	atomic_bool has_ended;		/* (A) */
	atomic_int nr_idle;		/* (A) I2 */
	atomic_int low_idle;		/* (A) least nr_idle since the last tick */
} pool;

static __thread struct worker *current_worker;
/* The device on which a thread that is no worker replies, or -1. */
static __thread int reply_fd = -1;

/* ---- I/O on the device ---- */

static ssize_t loop_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct worker *w = current_worker;

	(void)userdata;
	if (!w)		/* without reply_fd it is no reply, but a notification */
		return writev(reply_fd >= 0 ? reply_fd : fd, iov, count);
	if (w->opcode == FUSE_INIT)
		return fuse_init_reply(w->fd, iov, count);
	return writev(w->fd, iov, count);	/* I1 */
}

/* libfuse wants one; worker_receive() reads. */
static ssize_t loop_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	return read(fd, buf, len);
}

const struct fuse_custom_io fuse_loop_io = {
	.writev = loop_writev,
	.read = loop_read,
};

int fuse_loop_keep_device(void)
{
	int fd = fcntl(current_worker->fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? -errno : fd;
}

void fuse_loop_reply_on(int fd)
{
	reply_fd = fd;
}

/*
 * A device for one worker. A user who may not open /dev/fuse (it came from
 * fusermount3) shares the session's.
 */
static int clone_device(void)
{
	uint32_t master = (uint32_t)pool.master_fd;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && !ioctl(fd, FUSE_DEV_IOC_CLONE, &master))
		return fd;
	if (fd >= 0)
		close(fd);
	fd = fcntl(pool.master_fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

/* ---- a worker ---- */

static void session_ended(int err)
{
	if (atomic_exchange(&pool.has_ended, true))
		return;					/* I4 */
	if (err != -ENODEV)
		fs_log(LOG_ERR, "/dev/fuse: %s", strerror(-err));
	fuse_session_exit(pool.se);
	mutex_lock(&pool.lock);
	pthread_cond_broadcast(&pool.cond);
	mutex_unlock(&pool.lock);
	pool.ended(pool.ended_arg);
}

/* The last idle worker went to work. */
static void want_worker(void)
{
	if (READ_ONCE(pool.nr_workers) >= FUSE_MAX_WORKERS)
		return;
	mutex_lock(&pool.lock);
	pool.more = true;
	pthread_cond_broadcast(&pool.cond);
	mutex_unlock(&pool.lock);
}

static void worker_busy(struct worker *w)
{
	int idle = atomic_fetch_sub(&pool.nr_idle, 1) - 1;

	atomic_store(&w->state, WORKER_BUSY);
	/* Two at once may keep the larger: a worker more or less for a tick. */
	if (idle < atomic_load_explicit(&pool.low_idle, memory_order_relaxed))
		atomic_store_explicit(&pool.low_idle, idle, memory_order_relaxed);
	if (idle <= 0)
		want_worker();
}

static void worker_idle(struct worker *w)
{
	atomic_store(&w->state, WORKER_READING);
	atomic_fetch_add(&pool.nr_idle, 1);
}

/* Return: bytes of a request; 0: none, look whether to leave; or -errno. */
static ssize_t worker_receive(struct worker *w)
{
	const struct fuse_in_header *in = (const void *)w->buf;
	ssize_t len = read(w->fd, w->buf, pool.buf_size);
	int err = errno;

	if (len >= (ssize_t)sizeof(*in)) {
		w->opcode = in->opcode;
		/* Who reads our own files, or a trace again and again, is not
		 * whom the workers' places are chosen for. */
		place_received(in->opcode, is_ctl_nodeid(in->nodeid) ? 0 :
						in->pid);
		return len;
	}
	if (len >= 0)
		return -EIO;
	/* ENOENT: the request was interrupted before we had it. */
	if (err == ENOENT || err == EINTR || err == EAGAIN)
		return 0;
	return -err;
}

static void init_done(void)
{
	mutex_lock(&pool.lock);
	pool.init_done = true;
	pthread_cond_broadcast(&pool.cond);
	mutex_unlock(&pool.lock);
}

static void worker_process(struct worker *w, size_t len)
{
	struct fuse_buf fbuf = { .mem = w->buf, .size = len };

	if (w->opcode == FUSE_INIT)
		fuse_init_request(w->buf, len);
	fuse_session_process_buf(pool.se, &fbuf);
	if (w->opcode == FUSE_INIT)
		init_done();
}

static bool worker_stays(void)
{
	return !atomic_load(&current_worker->leave) &&
	       !atomic_load(&pool.stopping);
}

static void worker_loop(struct worker *w)
{
	ssize_t len;

	for (;;) {
		place_enter(worker_stays);
		if (!worker_stays())
			return;
		len = worker_receive(w);
		if (len < 0) {
			session_ended((int)len);
			return;
		}
		if (!len)
			continue;
		worker_busy(w);
		worker_process(w, (size_t)len);
		worker_idle(w);
	}
}

/* All but WAKE_SIGNAL are the main thread's. */
static void worker_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char name[16];
	int idle;

	worker_signals();
	snprintf(name, sizeof(name), "pagefs-fuse/%u", w->id);
	pthread_setname_np(pthread_self(), name);
	current_worker = w;
	place_thread_begin(w->id);
	worker_loop(w);
	place_thread_end();
	idle = atomic_fetch_sub(&pool.nr_idle, 1) - 1;
	mutex_lock(&pool.lock);
	if (idle <= 0 && !atomic_load(&pool.has_ended))
		pool.more = true;				/* I2 */
	atomic_store(&w->state, WORKER_GONE);
	pthread_cond_broadcast(&pool.cond);
	mutex_unlock(&pool.lock);
	return NULL;
}

/* ---- their number ---- */

static void worker_release(struct worker *w)
{
	munmap(w->buf, pool.buf_size);
	close(w->fd);
}

static int worker_prepare(struct worker *w)
{
	w->fd = clone_device();
	if (w->fd < 0)
		return w->fd;
	w->buf = mmap(NULL, pool.buf_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->buf == MAP_FAILED) {
		close(w->fd);
		return -ENOMEM;
	}
	atomic_store(&w->leave, false);
	return 0;
}

static struct worker *free_slot(void)
{
	for (unsigned int i = 0; i < FUSE_MAX_WORKERS; i++)
		if (atomic_load(&pool.workers[i].state) == WORKER_FREE)
			return &pool.workers[i];
	return NULL;
}

/* Context: pool.lock. Return: 0 (also when there are enough) or -errno. */
static int worker_add(void)
{
	struct worker *w = free_slot();
	int err;

	lockdep_assert_held(&pool.lock);
	if (!w)
		return 0;
	w->id = (unsigned int)(w - pool.workers);
	err = worker_prepare(w);
	if (err)
		return err;
	atomic_store(&w->state, WORKER_READING);
	atomic_fetch_add(&pool.nr_idle, 1);
	err = -pthread_create(&w->thread, NULL, worker_main, w);
	if (err) {
		atomic_fetch_sub(&pool.nr_idle, 1);
		atomic_store(&w->state, WORKER_FREE);
		worker_release(w);
		return err;
	}
	WRITE_ONCE(pool.nr_workers, pool.nr_workers + 1);
	return 0;
}

/* Join who has left. Context: pool.lock, which a GONE worker has let go of. */
static void workers_reap(void)
{
	struct worker *w;

	for (w = pool.workers; w < pool.workers + FUSE_MAX_WORKERS; w++) {
		if (atomic_load(&w->state) != WORKER_GONE)
			continue;
		BUG_ON(pthread_join(w->thread, NULL));
		worker_release(w);
		atomic_store(&w->state, WORKER_FREE);
		WRITE_ONCE(pool.nr_workers, pool.nr_workers - 1);
	}
}

/* Up to @nr workers that wait for a request leave. Context: pool.lock. */
static void workers_dismiss(int nr)
{
	struct worker *w = pool.workers + FUSE_MAX_WORKERS;

	while (nr > 0 && w-- > pool.workers) {
		if (atomic_load(&w->state) != WORKER_READING)
			continue;
		atomic_store(&w->leave, true);
		pthread_kill(w->thread, WAKE_SIGNAL);
		nr--;
	}
	place_kick();
}

/* Wait for a change. Context: pool.lock. Return: false when the time is up. */
static bool pool_wait(unsigned int ms)
{
	struct timespec ts = deadline_after(CLOCK_MONOTONIC, ms);
	int err;

	err = pthread_cond_timedwait(&pool.cond, &pool.lock.m, &ts);
	BUG_ON(err && err != ETIMEDOUT);
	return !err;
}

static void manager_grow(void)
{
	int err;

	if (!pool.more)
		return;
	pool.more = false;
	err = worker_add();
	if (err)	/* those there are go on, slower */
		fs_log(LOG_WARNING, "no further worker thread: %s", strerror(-err));
}

static void manager_shrink(void)
{
	int low = atomic_load(&pool.low_idle);

	atomic_store(&pool.low_idle, atomic_load(&pool.nr_idle));
	workers_dismiss(low - IDLE_KEEP);
}

static time_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

void fuse_loop_wake_manager(void)
{
	mutex_lock(&pool.lock);
	pthread_cond_broadcast(&pool.cond);
	mutex_unlock(&pool.lock);
}

/* The only thread that adds and joins workers, once it runs. */
static void *manager_main(void *arg)
{
	time_t next_shrink = seconds() + MANAGER_TICK_S;

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-pool");
	worker_signals();
	mutex_lock(&pool.lock);
	while (!atomic_load(&pool.stopping)) {
		unsigned int ms = place_tick_ms();

		workers_reap();		/* first: makes room for another */
		manager_grow();
		if (pool.more || pool_wait(ms ? ms : MANAGER_TICK_S * 1000))
			continue;
		place_tick();
		if (seconds() >= next_shrink) {
			manager_shrink();
			next_shrink = seconds() + MANAGER_TICK_S;
		}
	}
	mutex_unlock(&pool.lock);
	return NULL;
}

/* ---- start and stop ---- */

static void wake_handler(int sig)
{
	(void)sig;	/* read() returning EINTR is all that is wanted */
}

static int pool_init(struct fuse_session *se, void (*ended)(void *), void *arg)
{
	struct sigaction sa = { .sa_handler = wake_handler };
	pthread_condattr_t attr;

	place_init(sb.opts.low_latency);
	memset(&pool, 0, sizeof(pool));
	pool.master_fd = fcntl(fuse_session_fd(se), F_DUPFD_CLOEXEC, 3);
	if (pool.master_fd < 0)
		return -errno;
	mutex_init(&pool.lock, LOCK_WORKERS);
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&pool.cond, &attr));
	pthread_condattr_destroy(&attr);
	BUG_ON(sigaction(WAKE_SIGNAL, &sa, NULL));
	pool.se = se;
	pool.ended = ended;
	pool.ended_arg = arg;
	/* The kernel insists on room for a write's headers and max_write. */
	pool.buf_size = ALIGN(fuse_max_write() + PAGE_SIZE, PAGE_SIZE);
	return 0;
}

/* Context: pool.lock. */
static int start_threads(void)
{
	int err = 0;

	for (unsigned int i = 0; i < START_WORKERS && !err; i++)
		err = worker_add();
	if (!err)
		err = -pthread_create(&pool.manager, NULL, manager_main, NULL);
	return err;
}

static int wait_for_init(void)
{
	int err = 0;

	mutex_lock(&pool.lock);
	while (!pool.init_done && !atomic_load(&pool.has_ended) && !err)
		if (!pool_wait(INIT_TIMEOUT_S * 1000))
			err = -ETIMEDOUT;
	/* libfuse ends the session when it cannot agree with the kernel. */
	if (!err && fuse_session_exited(pool.se))
		err = -EPROTO;
	mutex_unlock(&pool.lock);
	return err;
}

/* The rest of stopping, when there is no manager (any more). */
static void stop_workers(void)
{
	mutex_lock(&pool.lock);
	atomic_store(&pool.stopping, true);
	workers_reap();
	while (pool.nr_workers) {
		workers_dismiss(FUSE_MAX_WORKERS);
		pool_wait(STOP_RETRY_MS);			/* I3 */
		workers_reap();
	}
	mutex_unlock(&pool.lock);
	close(pool.master_fd);	/* the last device: the kernel aborts the rest */
	pthread_cond_destroy(&pool.cond);
	mutex_destroy(&pool.lock);
	place_exit();
}

int fuse_loop_start(struct fuse_session *se, void (*ended)(void *arg), void *arg)
{
	int err = pool_init(se, ended, arg);

	if (err)
		return err;
	mutex_lock(&pool.lock);
	err = start_threads();
	mutex_unlock(&pool.lock);
	if (err) {
		stop_workers();
		return err;
	}
	err = wait_for_init();
	if (err)
		fuse_loop_stop();
	return err;
}

void fuse_loop_stop(void)
{
	mutex_lock(&pool.lock);
	atomic_store(&pool.stopping, true);
	pthread_cond_broadcast(&pool.cond);
	mutex_unlock(&pool.lock);
	BUG_ON(pthread_join(pool.manager, NULL));
	stop_workers();
}

bool fuse_loop_ended(void)
{
	return atomic_load(&pool.has_ended);
}
