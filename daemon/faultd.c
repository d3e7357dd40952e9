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
 * T4. Several messages are read at once if their faults are kept (serve.c). Of
 *     those behind one that is not, and may sleep, somebody else takes care.
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

#include "deadline.h"
#include "internal.h"
#include "uffd_abi.h"

#define MAX_THREADS	64u
/* Threads for disk reads under way; more wait in the kernel. By choice. */
#define THREADS_PER_CPU	8u
#define MIN_MAX_THREADS	16u
#define SPARE_THREADS	2u	/* parked, at start */
/* Messages read at once, and times that is done for one client, before others
 * get their turn. */
#define READ_ROW	8u
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

/* ---- T2: who is at work for whom ---- */

/* One that is not there, or not yet added, is refused: nothing is lost. */
static void listen_to(struct client *client, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = client->id };

	for (unsigned int kind = 0; kind < NR_UFFD_KINDS; kind++)
		epoll_ctl(faultd.epfd, EPOLL_CTL_MOD,
			  atomic_load(&client->uffd[kind]), &ev);
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

void faultd_begin_service(struct client *client)
{
	if (atomic_fetch_add(&client->in_service, 1) + 1 >= faultd.max_per_client)
		check_throttle(client);
}

void faultd_end_service(struct client *client)
{
	atomic_fetch_sub(&client->in_service, 1);
	if (unlikely(atomic_load(&client->throttled)))
		check_throttle(client);
}

/* ---- messages ---- */

/* Nothing is read before its events are done: wait for who is at it. */
static void run_full_backlog(struct client *client)
{
	client_lock(client);
	client_unlock(client);
}

/* T4. Context: as serve_fault(). */
static void serve_faults(struct client *client, const struct uffd_msg *msgs,
			 unsigned int nr)
{
	unsigned int i = 0;

	while (i + 1 < nr && serve_fault_nowait(client, &msgs[i]))
		i++;
	if (i + 1 < nr)
		uffd_unread(client, msgs + i + 1, nr - i - 1);
	if (nr)
		serve_fault(client, &msgs[i]);
}

/* Return: whether there may be more, and they should be asked for. */
static bool serve_some(struct client *client, unsigned int max)
{
	struct uffd_msg msgs[READ_ROW];
	unsigned int nr;

	switch (uffd_read(client, msgs, max, &nr)) {
	case UFFD_FAULT:
		serve_faults(client, msgs, nr);
		return nr == max;
	case UFFD_EVENT:
		end_kept();
		client_run_events(client);
		serve_faults(client, msgs, nr);
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

	faultd_begin_service(client);
	while (serve_some(client, min(faults_wanted(), READ_ROW)) &&
	       ++row < READ_ROW && slot_may_go_on())
		;
	faultd_end_service(client);
}

/* Somebody has cleared O_NONBLOCK: epoll says so again and again. */
static void mend_flags(struct client *client)
{
	for (unsigned int kind = 0; kind < NR_UFFD_KINDS; kind++) {
		int fd = atomic_load(&client->uffd[kind]);
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0)
			fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	}
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

/*
 * It has a slot: the next messages, if there are any or there is nothing else to
 * do. What they have started is submitted with the sleep, in one system call,
 * which ends at once if more have come; if it lasts, the slot goes to somebody
 * else (slots.c F3). Return: whether there may be messages.
 */
static bool wait_and_serve(bool look)
{
	struct epoll_event ev;

	if ((look || !has_kept()) &&
	    epoll_wait(faultd.epfd, &ev, 1, has_kept() ? 0 : -1) == 1)
		serve_event(&ev);
	return !has_kept() || wait_for_kept_or(faultd.epfd);
}

static void serve_until_stopped(void)
{
	bool look = true;

	for (;;) {
		if (has_kept() && !slot_try_enter()) {
			wait_for_kept();
			look = true;
		} else if (has_kept() || slot_enter()) {
			look = wait_and_serve(look);
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
	struct timespec ts = deadline_after(CLOCK_MONOTONIC, ms);

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

int faultd_add(struct client *client, int uffd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = client->id };

	return epoll_ctl(faultd.epfd, EPOLL_CTL_ADD, uffd, &ev) ? -errno : 0;
}

void faultd_del(struct client *client)
{
	for (unsigned int kind = 0; kind < NR_UFFD_KINDS; kind++) {
		int fd = atomic_load(&client->uffd[kind]);

		if (fd >= 0)
			epoll_ctl(faultd.epfd, EPOLL_CTL_DEL, fd, NULL);
	}
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
			ts = deadline_after(CLOCK_REALTIME, STOP_RETRY_MS);
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
