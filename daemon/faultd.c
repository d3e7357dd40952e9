// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/faultd.c - the threads that serve faults
 *
 *   all userfaultfds --> one epoll --> threads with a slot (slots.c)
 *                                        |  read one message, serve it
 *                                        |  about to sleep: the slot goes to
 *                                        v
 *                                      parked threads; made when there are none
 *
 * T1. What epoll says names a client by its number, which is never reused; the
 *     client is looked up, and referenced while its messages are served.
 * T2. One client has at most three quarters of the threads at work for it; then
 *     it is not listened to. The others' faults find somebody.
 * T3. Whoever puts something into a client's backlog kicks, after that; the kick
 *     is taken back before the backlogs are looked at.
 *
 * T4. Where several threads fault a read of the disk is not waited for: the fault
 *     is kept, more are served meanwhile, and it is ended when its page has
 *     come. What may wait for something else ends our reads first, for that
 *     may be waiting for their pages; and the faults, for it may wait for long.
 *
 * Locks:  faultd.lock and client->msg_lock, leaves; never both.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "blocking.h"
#include "internal.h"
#include "pagefs_fs.h"
#include "pagemap.h"
#include "uffd_abi.h"

#define MAX_THREADS	64u
/* Threads for disk reads under way; more wait in the kernel. By choice. */
#define THREADS_PER_CPU	8u
#define MIN_MAX_THREADS	16u
#define SPARE_THREADS	2u	/* parked, at start */
/* Messages of one client in a row, before others get their turn. */
#define READ_ROW	8u
#define OOM_TRIES	10u	/* of a fault that finds no memory, ... */
#define OOM_PAUSE_NS	10000000	/* ... so far apart; arbitrary */
#define STOP_RETRY_MS	10u
#define WAKE_SIGNAL	SIGUSR1
#define KICK_ID		UINT64_MAX	/* in epoll: the eventfd */

/* Fields: (A) atomic; (C) constant while it runs; (L) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;		/* for the manager */
	unsigned int nr_threads;	/* (L) */
	pthread_t threads[MAX_THREADS];	/* (L) nr_threads of them */
	unsigned int nr_cpus;		/* (C) */
	unsigned int max_threads;	/* (C) */
	unsigned int max_per_client;	/* (C) T2 */
	bool more;			/* (L) a thread is wanted */
	atomic_bool stopping;		/* (A) */
	atomic_bool kicked;		/* (A) T3 */
	pthread_t manager;		/* (C) */
	int epfd, kick_fd;		/* (C) */
} faultd;

/*
 * Faults whose pages this thread reads. Arbitrary: the disk gains little from
 * more than 32 at a time, and there is a thread for each CPU.
 */
#define MAX_KEPT	16u

struct kept_fault {
	struct client *client;		/* referenced */
	struct uffd_msg msg;
	struct page *page;		/* referenced */
};

static __thread struct kept_fault kept_faults[MAX_KEPT];
static __thread unsigned int nr_kept;

/* ---- serving ---- */

static unsigned long fault_address(const struct uffd_msg *msg)
{
	return msg->arg.pagefault.address & PAGE_MASK;
}

static unsigned int fault_flags(const struct uffd_msg *msg)
{
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
		return FAULT_FLAG_WRITE | FAULT_FLAG_WP;
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
		return FAULT_FLAG_WRITE;
	return 0;
}

/* Memory may come back: reclaim has been at it, and goes on. */
static vm_fault_t handle_without_memory(struct client *client,
					unsigned long addr, unsigned int flags)
{
	const struct timespec pause = { .tv_nsec = OOM_PAUSE_NS };
	vm_fault_t ret = VM_FAULT_OOM;

	for (unsigned int i = 0; i < OOM_TRIES && (ret & VM_FAULT_OOM); i++) {
		thread_will_block();
		nanosleep(&pause, NULL);
		ret = handle_mm_fault(client->mm, addr, flags);
	}
	return ret;
}

static void end_fault(struct client *client, const struct uffd_msg *msg,
		      vm_fault_t ret)
{
	if (likely(!(ret & VM_FAULT_ERROR)))
		return;
	blk_flush_plug();					/* T4 */
	if (ret & VM_FAULT_OOM)
		ret = handle_without_memory(client, fault_address(msg),
					    fault_flags(msg));
	if (ret & VM_FAULT_ERROR)
		fault_failed(client, msg, ret);
}

/* To its end, whatever that waits for. */
static void serve_fault_now(struct client *client, const struct uffd_msg *msg,
			    unsigned int flags)
{
	end_fault(client, msg, handle_mm_fault(client->mm, fault_address(msg),
					       fault_flags(msg) | flags));
}

/* T4. Return: false: that is not for this fault. */
static bool serve_fault_nowait(struct client *client, const struct uffd_msg *msg)
{
	struct kept_fault *kept = &kept_faults[nr_kept];
	vm_fault_t ret;

	if (fault_flags(msg) || nr_kept == MAX_KEPT || !slot_may_go_on())
		return false;
	ret = handle_mm_fault_nowait(client->mm, fault_address(msg),
				     &kept->page);
	if (!kept->page) {
		end_fault(client, msg, ret);
		return true;
	}
	client_get(client);
	kept->client = client;
	kept->msg = *msg;
	nr_kept++;
	return true;
}

/* ---- T2, T4: who is at work for whom ---- */

static void listen_to(struct client *client, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = client->id };

	epoll_ctl(faultd.epfd, EPOLL_CTL_MOD, atomic_load(&client->uffd), &ev);
}

/* T2. Whoever makes it too many sees to it when he is done, at the latest. */
static void check_throttle(struct client *client)
{
	bool enough;

	mutex_lock(&client->msg_lock);
	enough = atomic_load(&client->in_service) >= faultd.max_per_client;
	if (enough != atomic_load(&client->throttled)) {
		atomic_store(&client->throttled, enough);
		listen_to(client, enough ? 0 : EPOLLIN);
	}
	mutex_unlock(&client->msg_lock);
}

static void begin_service(struct client *client)
{
	if (atomic_fetch_add(&client->in_service, 1) + 1 >= faultd.max_per_client)
		check_throttle(client);
}

static void end_service(struct client *client)
{
	atomic_fetch_sub(&client->in_service, 1);
	if (unlikely(atomic_load(&client->throttled)))
		check_throttle(client);
}

/* Is it the first one of its client? */
static bool keeps_first(unsigned int i)
{
	for (unsigned int j = 0; j < i; j++)
		if (kept_faults[j].client == kept_faults[i].client)
			return false;
	return true;
}

/* Who waits for what he reads is at work for all whose faults he keeps (T2). */
static void for_each_kept_client(void (*fn)(struct client *client))
{
	for (unsigned int i = 0; i < nr_kept; i++)
		if (keeps_first(i))
			fn(kept_faults[i].client);
}

/* Those whose pages have come; if nothing of ours is under way any more, all:
 * another thread reads the page. */
static void serve_kept(void)
{
	unsigned int i = 0;

	while (i < nr_kept) {
		struct kept_fault kept = kept_faults[i];

		if (current_plug && page_test(kept.page, PG_locked)) {
			i++;
			continue;
		}
		/* before it is served: that may come back here */
		kept_faults[i] = kept_faults[--nr_kept];
		/* and with no reference: the page's frame is to be freed */
		put_wait_page(kept.page);
		begin_service(kept.client);
		serve_fault_now(kept.client, &kept.msg, FAULT_FLAG_TRIED);
		end_service(kept.client);
		client_put(kept.client);
	}
}

/* T4. Before what may wait. */
static void end_kept(void)
{
	if (current_plug) {
		for_each_kept_client(begin_service);
		blk_flush_plug();
		for_each_kept_client(end_service);
	}
	serve_kept();
}

/*
 * Nobody is listened to meanwhile. Without @wait our reads are just submitted, and
 * what has come is seen to: a device may be so busy that this, too, waits.
 */
static void wait_for_kept(bool wait)
{
	for_each_kept_client(begin_service);
	fs_poll_io(-1, wait);
	for_each_kept_client(end_service);
	serve_kept();
}

static void serve_fault(struct client *client, const struct uffd_msg *msg)
{
	slot_serving(msg->arg.pagefault.feat.ptid);
	if (serve_fault_nowait(client, msg))
		return;
	end_kept();
	serve_fault_now(client, msg, 0);
}

/* Nothing is read before its events are done: wait for who is at it. */
static void run_full_backlog(struct client *client)
{
	client_lock(client);
	client_unlock(client);
}

/* Return: whether there may be more. */
static bool serve_one(struct client *client)
{
	struct uffd_msg msg;

	switch (uffd_read(client, &msg)) {
	case UFFD_FAULT:
		serve_fault(client, &msg);
		return true;
	case UFFD_EVENT:
		end_kept();
		client_run_events(client);
		return true;
	case UFFD_FULL:
		end_kept();
		run_full_backlog(client);
		return true;
	case UFFD_BROKEN:
		client_kill(client, "its userfaultfd cannot be read");
		return false;
	default:
		return false;
	}
}

/* With one slot the next fault is not made before this CPU is free. */
static void serve_client(struct client *client)
{
	unsigned int row = 0;

	begin_service(client);
	while (serve_one(client) && ++row < READ_ROW && slot_may_go_on())
		;
	end_service(client);
}

/* Somebody has cleared O_NONBLOCK: epoll says so again and again. */
static void mend_flags(struct client *client)
{
	int fd = atomic_load(&client->uffd), flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void serve_backlog(struct client *client)
{
	struct uffd_msg msg;

	end_kept();		/* another client's, too */
	client_run_events(client);
	while (uffd_next_fault(client, &msg))
		serve_fault(client, &msg);
}

static void serve_kick(void)
{
	struct client *client;
	uint64_t count;

	if (atomic_load(&faultd.stopping))
		return;		/* all shall see it */
	if (read(faultd.kick_fd, &count, sizeof(count)) != sizeof(count))
		return;		/* another thread was faster */
	atomic_store(&faultd.kicked, false);			/* T3 */
	for (unsigned int slot = 0; slot < MAX_CLIENTS; slot++) {
		client = client_get_by_slot(slot);
		if (!client)
			continue;
		serve_backlog(client);
		client_put(client);
	}
}

static void serve_event(const struct epoll_event *ev)
{
	struct client *client;

	if (ev->data.u64 == KICK_ID) {
		serve_kick();
		return;
	}
	client = client_get_by_id(ev->data.u64);	/* T1 */
	if (!client)
		return;		/* it is being removed from epoll */
	if (unlikely(ev->events & EPOLLERR))
		mend_flags(client);
	serve_client(client);
	client_put(client);
}

void faultd_kick(void)
{
	const uint64_t one = 1;

	if (atomic_exchange(&faultd.kicked, true))
		return;
	/* It can only fail when it counts to 2^64 - 1. */
	BUG_ON(write(faultd.kick_fd, &one, sizeof(one)) != sizeof(one));
}

/* ---- threads ---- */

/* All but WAKE_SIGNAL are the main thread's. */
static void fault_thread_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

/* Reads of ours are under way: read-ahead's too, for which no fault is kept. */
static bool has_io(void)
{
	return nr_kept || current_plug;
}

/* It has a slot: the next messages. */
static void wait_and_serve(void)
{
	const bool had_io = has_io();
	struct epoll_event ev;
	bool came;

	came = epoll_wait(faultd.epfd, &ev, 1, had_io ? 0 : -1) == 1;
	if (came)
		serve_event(&ev);
	if (!has_io())
		return;
	if (nr_kept == MAX_KEPT) {	/* somebody else listens meanwhile */
		thread_will_block();
		wait_for_kept(true);
	} else if (had_io && !came && current_plug) {
		fs_poll_io(faultd.epfd, true);
		serve_kept();
	} else {
		wait_for_kept(false);
	}
}

static void serve_until_stopped(void)
{
	for (;;) {
		if (has_io() && !slot_try_enter()) {
			wait_for_kept(true);
		} else if (has_io() || slot_enter()) {
			wait_and_serve();
		} else {
			break;
		}
	}
}

static void *fault_thread(void *arg)
{
	unsigned int id = (unsigned int)(uintptr_t)arg;
	char name[16];

	fault_thread_signals();
	snprintf(name, sizeof(name), "pagefs-fault/%u", id);
	pthread_setname_np(pthread_self(), name);
	slots_thread_begin(id);
	serve_until_stopped();
	slots_thread_end();
	return NULL;
}

void faultd_wake_manager(void)
{
	mutex_lock(&faultd.lock);
	pthread_cond_signal(&faultd.cond);
	mutex_unlock(&faultd.lock);
}

void faultd_want_thread(void)
{
	mutex_lock(&faultd.lock);
	if (faultd.nr_threads < faultd.max_threads) {
		faultd.more = true;
		pthread_cond_signal(&faultd.cond);
	}
	mutex_unlock(&faultd.lock);
}

/* Context: faultd.lock. */
static int add_thread(void)
{
	unsigned int nr = faultd.nr_threads;
	int err;

	lockdep_assert_held(&faultd.lock);
	faultd.more = false;
	if (nr >= faultd.max_threads)
		return 0;
	err = -pthread_create(&faultd.threads[nr], NULL, fault_thread,
			      (void *)(uintptr_t)nr);
	if (!err)
		faultd.nr_threads++;
	return err;
}

/* ---- the manager ---- */

/* Context: faultd.lock. Return: whether the time is up. */
static bool manager_wait(unsigned int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += (long)ms * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return pthread_cond_timedwait(&faultd.cond, &faultd.lock.m,
				      &ts) == ETIMEDOUT;
}

static void *manager_thread(void *arg)
{
	unsigned int ms;
	int err;

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-faultd");
	fault_thread_signals();
	mutex_lock(&faultd.lock);
	while (!atomic_load(&faultd.stopping)) {
		err = faultd.more ? add_thread() : 0;
		if (err)	/* those there are go on, slower */
			log_msg(LOG_WARNING, "no further fault thread: %s",
				strerror(-err));
		ms = slots_tick_ms();
		if (!ms) {
			pthread_cond_wait(&faultd.cond, &faultd.lock.m);
		} else if (manager_wait(ms)) {
			mutex_unlock(&faultd.lock);
			slots_tick();
			mutex_lock(&faultd.lock);
		}
	}
	mutex_unlock(&faultd.lock);
	return NULL;
}

/* ---- begin and end ---- */

int faultd_add(struct client *client)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = client->id };

	if (epoll_ctl(faultd.epfd, EPOLL_CTL_ADD, atomic_load(&client->uffd), &ev))
		return -errno;
	return 0;
}

void faultd_del(struct client *client)
{
	int fd = atomic_load(&client->uffd);

	if (fd >= 0)
		epoll_ctl(faultd.epfd, EPOLL_CTL_DEL, fd, NULL);
}

static int init_descriptors(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = KICK_ID };

	faultd.epfd = epoll_create1(EPOLL_CLOEXEC);
	faultd.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (faultd.epfd < 0 || faultd.kick_fd < 0 ||
	    epoll_ctl(faultd.epfd, EPOLL_CTL_ADD, faultd.kick_fd, &ev))
		return -errno;
	return 0;
}

static void close_all(void)
{
	int fds[] = { faultd.epfd, faultd.kick_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_cond_destroy(&faultd.cond);
	mutex_destroy(&faultd.lock);
	slots_exit();
}

static void wake_handler(int sig)
{
	(void)sig;	/* EINTR is all that is wanted */
}

static void init_faultd(bool low_latency)
{
	struct sigaction sa = { .sa_handler = wake_handler };
	pthread_condattr_t attr;

	memset(&faultd, 0, sizeof(faultd));
	mutex_init(&faultd.lock, LOCK_LEAF);
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&faultd.cond, &attr));
	pthread_condattr_destroy(&attr);
	BUG_ON(sigaction(WAKE_SIGNAL, &sa, NULL));
	faultd.nr_cpus = slots_init(low_latency);
	faultd.max_threads = min(MAX_THREADS,
				 max(MIN_MAX_THREADS,
				     THREADS_PER_CPU * faultd.nr_cpus));
	faultd.max_per_client = faultd.max_threads * 3 / 4;
}

static int start_threads(void)
{
	int err = 0;

	mutex_lock(&faultd.lock);
	for (unsigned int i = 0; i < faultd.nr_cpus + SPARE_THREADS && !err; i++)
		err = add_thread();
	mutex_unlock(&faultd.lock);
	return err;
}

/* A thread may be anywhere: parked, in epoll_wait(), or in a read() that a
 * client has made to wait. */
static void stop_threads(void)
{
	struct timespec ts;

	slots_stop();
	faultd_kick();		/* nobody reads it: all see it */
	for (unsigned int i = 0; i < faultd.nr_threads; i++) {
		do {
			pthread_kill(faultd.threads[i], WAKE_SIGNAL);
			clock_gettime(CLOCK_REALTIME, &ts);
			ts.tv_nsec += STOP_RETRY_MS * 1000000;
			ts.tv_sec += ts.tv_nsec / 1000000000;
			ts.tv_nsec %= 1000000000;
		} while (pthread_timedjoin_np(faultd.threads[i], NULL, &ts));
	}
}

int faultd_start(bool low_latency)
{
	int err;

	init_faultd(low_latency);
	err = init_descriptors();
	if (err) {
		close_all();
		return err;
	}
	err = start_threads();
	if (!err)
		err = -pthread_create(&faultd.manager, NULL, manager_thread, NULL);
	if (err) {
		atomic_store(&faultd.stopping, true);
		stop_threads();
		close_all();
	}
	return err;
}

void faultd_stop(void)
{
	mutex_lock(&faultd.lock);
	atomic_store(&faultd.stopping, true);
	pthread_cond_signal(&faultd.cond);
	mutex_unlock(&faultd.lock);
	BUG_ON(pthread_join(faultd.manager, NULL));
	stop_threads();
	close_all();
}
