// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/session.c - clients: one for each process that maps files
 *
 *   client_alloc --client_add--> in the table --client_drop--> no longer served
 *        |                                                          |
 *        +--- never added ------------------------------------------+
 *                                                                   v
 *      last client_put --> dead.list --worker--> mmput --> freed
 *                                                  |        ^
 *                                                  +--tick--+ others use the mm
 *
 * A client lives as long as its process's memory, not as long as its sockets:
 * a program may close all descriptors it does not know (daemons do), and the
 * last close of a userfaultfd would have its absent pages read as zeros. So it
 * is dropped when the process has ended (pidfd), or when its last connection
 * has closed and the memory has gone (exec); and replaced when its pid says
 * HELLO again and the memory has gone.
 *
 * S1. A table slot is written by the loop thread only. Readers look under RCU
 *     and take a reference unless there is none.
 * S2. The struct, its userfaultfd and its pidfd stay until nobody uses the mm
 *     any more: mmu_ops get the struct from there. Those who go through all
 *     mms (for_each_mm) may put it last.
 * S3. Events are acted upon in the order they were read, by whoever has
 *     client->lock; a request first does those that were read before it. An
 *     event that finds the lock taken is done by its holder. So a munmap(2)
 *     behind our back is done before the request that maps something there.
 *
 * Locks: client->lock (LOCK_CLIENT); dead.lock, a leaf.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/pidfd.h>
#include <sys/random.h>

#include "err.h"
#include "internal.h"
#include "uffd_abi.h"
#include "window.h"

#define TICK_MS	1000	/* retries of what failed; arbitrary */

/* Fields: (A) atomic; (C) constant after clients_init(); (L) the loop thread's. */
static struct {
	uv_loop_t *loop;		/* (C) */
	struct client *_Atomic slots[MAX_CLIENTS];	/* S1 */
	uint64_t next_number;		/* (L) */
	atomic_uint nr_alive;		/* (A) allocated and not yet freed */
	atomic_uint nr;			/* (A), written by the loop thread */
	uv_timer_t timer;		/* (L) */
	uv_work_t retry;		/* (L) */
	bool retrying;			/* (L) */
	bool exiting;			/* (L) userfaultfds stay open */
} table;

/* Fields: (C), (L) as above; (D) lock. */
static struct {
	struct mutex lock;
	struct list_head list;		/* (D) clients without references */
	struct list_head waiting;	/* (L) S2 */
	uv_async_t async;		/* (C) */
} dead;

static struct log_limit limit_limit;

/* ---- looking up ---- */

static struct client *client_get_unless_dead(struct client *client)
{
	int refs;

	if (!client)
		return NULL;
	refs = atomic_load(&client->refs);
	while (refs)
		if (atomic_compare_exchange_weak(&client->refs, &refs, refs + 1))
			return client;
	return NULL;
}

struct client *client_get_by_slot(unsigned int slot)
{
	struct client *client;

	mm_rcu_read_lock();
	client = client_get_unless_dead(atomic_load(&table.slots[slot]));
	mm_rcu_read_unlock();
	return client;
}

struct client *client_get_by_id(uint64_t id)
{
	struct client *client = client_get_by_slot(id % MAX_CLIENTS);

	if (client && client->id != id) {
		client_put(client);
		client = NULL;
	}
	return client;
}

struct client *client_of_pid(pid_t pid)
{
	for (unsigned int i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = atomic_load(&table.slots[i]);

		if (client && client->pid == pid) {
			client_get(client);
			return client;
		}
	}
	return NULL;
}

unsigned int nr_clients(void)
{
	return atomic_load(&table.nr);
}

/* ---- changes of its mappings ---- */

/* Attempts to arm, each of which has tried for 0.1 s. Arbitrary. */
#define ARM_TRIES	10

static int arm(struct client *client, unsigned long addr, size_t len,
	       int (*fn)(struct mm_struct *mm, unsigned long addr, size_t len))
{
	int err = -EAGAIN;

	for (int i = 0; i < ARM_TRIES && err == -EAGAIN; i++)
		err = fn(client->mm, addr, len);
	return err;
}

int client_arm(struct client *client, unsigned long addr, size_t len)
{
	return arm(client, addr, len, mmap_arm);
}

/*
 * A client that has moved its mapping writes where nobody looks until we know the
 * new place; if we cannot learn it, it must not go on.
 */
static void run_remap(struct client *client, unsigned long from,
		      unsigned long to, size_t len)
{
	int err = mremap_event(client->mm, from, to, len);

	if (!err)
		err = arm(client, to, len, mmap_arm_moved);
	if (err == -EINVAL)
		return;			/* unmapped, or moved on, since */
	if (err)
		client_kill(client, "it has moved a mapping, and cannot be followed");
	else
		window_moved(client->mm, to, to + len);
}

static void run_event(struct client *client, const struct uffd_msg *msg)
{
	const unsigned long start = msg->arg.remove.start;
	const unsigned long end = msg->arg.remove.end;

	switch (msg->event) {
	case UFFD_EVENT_UNMAP:
		if (do_munmap(client->mm, start, end - start) == -ENOMEM)
			client_kill(client, "too many pieces of mappings");
		break;
	case UFFD_EVENT_REMOVE:
		window_remove_event(client->mm, start, end);
		break;
	case UFFD_EVENT_REMAP:
		run_remap(client, msg->arg.remap.from, msg->arg.remap.to,
			  msg->arg.remap.len);
		break;
	}
}

/* Context: client->lock. */
static void __client_run_events(struct client *client)
{
	struct uffd_msg msg;

	lockdep_assert_held(&client->lock);
	while (uffd_next_event(client, &msg)) {
		run_event(client, &msg);
		uffd_event_done(client);
	}
}

/* S3: looks again after unlocking, for who came while it was locked. */
void client_run_events(struct client *client)
{
	while (uffd_has_events(client) && mutex_trylock(&client->lock)) {
		__client_run_events(client);
		mutex_unlock(&client->lock);
	}
}

void client_lock(struct client *client)
{
	if (!mutex_trylock(&client->lock)) {
		thread_will_block();
		mutex_lock(&client->lock);
	}
	__client_run_events(client);
}

void client_unlock(struct client *client)
{
	mutex_unlock(&client->lock);
	client_run_events(client);
}

/* ---- the end of a client ---- */

bool client_is_gone(struct client *client)
{
	struct pollfd pfd = { .fd = client->pidfd, .events = POLLIN };

	if (atomic_load(&client->uffd[UFFD_SYNC]) >= 0)
		return uffd_mm_is_gone(client);
	return poll(&pfd, 1, 0) == 1;
}

void client_kill(struct client *client, const char *why)
{
	int err;

	if (atomic_exchange(&client->killed, true))
		return;
	err = pidfd_send_signal(client->pidfd, SIGKILL, NULL, 0) ? errno : 0;
	log_msg(LOG_ERR, "client %d killed: %s%s%s", client->pid, why,
		err ? ": " : "", err ? strerror(err) : "");
}

void client_put(struct client *client)
{
	if (atomic_fetch_sub(&client->refs, 1) > 1)
		return;
	mutex_lock(&dead.lock);
	list_add_tail(&client->list, &dead.list);
	mutex_unlock(&dead.lock);
	uv_async_send(&dead.async);
}

static void free_client_rcu(struct rcu_head *head)
{
	rcu_tsan_gp_done();
	free(container_of(head, struct client, rcu));
}

/* Whoever is still in a mmu_op uses the mm: S2. */
static void client_free(struct client *client)
{
	mmdrop(client->mm);
	for (unsigned int kind = 0; kind < NR_UFFD_KINDS; kind++)
		if (atomic_load(&client->uffd[kind]) >= 0 && !table.exiting)
			close(atomic_load(&client->uffd[kind]));
	if (client_has_async(client))
		close(client->pagemap);
	close(client->pidfd);
	mutex_destroy(&client->lock);
	mutex_destroy(&client->msg_lock);
	mutex_destroy(&client->offer_lock);
	mm_call_rcu(&client->rcu, free_client_rcu);
	atomic_fetch_sub(&table.nr_alive, 1);
}

static bool client_free_if_unused(struct client *client)
{
	if (atomic_load(&client->mm->mm_count) > 1)
		return false;
	client_free(client);
	return true;
}

static void on_tick(uv_timer_t *timer);

static void start_ticking(void)
{
	if (!uv_is_active((uv_handle_t *)&table.timer))
		uv_timer_start(&table.timer, on_tick, TICK_MS, TICK_MS);
}

/* In a worker: dirty pages are sorted out, and files that were deleted go, which
 * may take its time. */
static void client_destroy(uv_work_t *work)
{
	struct client *client = container_of(work, struct client, work);

	uffd_drop_backlog(client);
	offers_drop(client);
	mmput(client->mm);
}

static void client_destroyed(uv_work_t *work, int status)
{
	struct client *client = container_of(work, struct client, work);

	(void)status;
	if (client_free_if_unused(client))
		return;
	list_add_tail(&client->list, &dead.waiting);
	start_ticking();
}

static void on_dead(uv_async_t *async)
{
	struct client *client, *next;
	LIST_HEAD(list);

	(void)async;
	mutex_lock(&dead.lock);
	list_splice_init(&dead.list, &list);
	mutex_unlock(&dead.lock);
	list_for_each_entry_safe(client, next, &list, list) {
		list_del(&client->list);
		BUG_ON(uv_queue_work(table.loop, &client->work, client_destroy,
				     client_destroyed));
	}
}

static void free_waiting(void)
{
	struct client *client, *next;

	list_for_each_entry_safe(client, next, &dead.waiting, list) {
		list_del(&client->list);
		if (!client_free_if_unused(client)) {
			list_add(&client->list, &dead.waiting);
			return;		/* the others later, too */
		}
	}
}

/* ---- the table ---- */

static void on_death_closed(uv_handle_t *handle)
{
	client_put(container_of((uv_poll_t *)handle, struct client, death));
}

static void on_death(uv_poll_t *handle, int status, int events)
{
	struct client *client = container_of(handle, struct client, death);

	(void)status, (void)events;
	uv_poll_stop(handle);
	client->died = true;
	/* Unless somebody shares its memory (vfork): the tick asks again. */
	if (client_is_gone(client))
		client_drop(client);
}

static void retry_work(uv_work_t *work)
{
	(void)work;
	sigbus_retry();
}

static void retry_done(uv_work_t *work, int status)
{
	(void)work, (void)status;
	table.retrying = false;
}

static void on_tick(uv_timer_t *timer)
{
	for (unsigned int i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = atomic_load(&table.slots[i]);

		if (client && client->died && client_is_gone(client))
			client_drop(client);
	}
	free_waiting();
	if (sigbus_pending() && !table.retrying) {
		table.retrying = true;
		BUG_ON(uv_queue_work(table.loop, &table.retry, retry_work,
				     retry_done));
	}
	if (!atomic_load(&table.nr) && list_empty(&dead.waiting))
		uv_timer_stop(timer);
}

struct client *client_alloc(const struct ucred *who, int pidfd,
			    unsigned long base, unsigned long len)
{
	struct client *client = calloc(1, sizeof(*client));
	int err = -ENOMEM;

	if (!client)
		return ERR_PTR(-ENOMEM);
	if (getrandom(&client->secret, sizeof(client->secret), 0) !=
	    sizeof(client->secret)) {
		err = -errno;
		goto out_free;
	}
	client->mm = mm_alloc(who->pid, base, base + len, &uffd_mmu_ops, client);
	if (!client->mm)
		goto out_free;
	mmgrab(client->mm);
	atomic_fetch_add(&table.nr_alive, 1);
	atomic_store(&client->refs, 1);
	client->pid = who->pid;
	client->uid = who->uid;
	client->gid = who->gid;
	client->pidfd = pidfd;
	for (unsigned int kind = 0; kind < NR_UFFD_KINDS; kind++)
		atomic_store(&client->uffd[kind], -1);
	mutex_init(&client->lock, LOCK_CLIENT);
	mutex_init(&client->msg_lock, LOCK_LEAF);
	mutex_init(&client->offer_lock, LOCK_LEAF);
	INIT_LIST_HEAD(&client->offers);
	INIT_LIST_HEAD(&client->events);
	INIT_LIST_HEAD(&client->faults);
	INIT_LIST_HEAD(&client->conns);
	INIT_LIST_HEAD(&client->waiting);
	return client;

out_free:
	free(client);
	return ERR_PTR(err);
}

/* NULL: there are too many, or too many of this user. */
static struct client *_Atomic *free_slot(uid_t uid)
{
	struct client *_Atomic *slot = NULL;
	unsigned int nr = 0;

	for (unsigned int i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = atomic_load(&table.slots[i]);

		if (!client)
			slot = &table.slots[i];
		else
			nr += client->uid == uid;
	}
	return nr < MAX_CLIENTS / 2 ? slot : NULL;
}

int client_add(struct client *client)
{
	struct client *_Atomic *slot = free_slot(client->uid);
	int err;

	if (!slot) {
		if (log_allowed(&limit_limit))
			log_msg(LOG_WARNING, "client %d: refused: too many",
				client->pid);
		return -EUSERS;
	}
	err = uv_poll_init(table.loop, &client->death, client->pidfd);
	if (err)
		return err;
	client_get(client);		/* death's */
	err = uv_poll_start(&client->death, UV_READABLE, on_death);
	if (err) {
		uv_close((uv_handle_t *)&client->death, on_death_closed);
		return err;
	}
	client->id = ++table.next_number * MAX_CLIENTS +
		(uint64_t)(slot - table.slots);
	client->in_table = true;
	client_get(client);		/* the table's */
	atomic_store(slot, client);
	atomic_fetch_add(&table.nr, 1);
	start_ticking();
	log_msg(LOG_DEBUG, "client %d: here", client->pid);
	return 0;
}

void client_drop(struct client *client)
{
	if (!client->in_table)
		return;
	client->in_table = false;
	log_msg(LOG_DEBUG, "client %d: gone", client->pid);
	atomic_store(&table.slots[client->id % MAX_CLIENTS], NULL);
	atomic_fetch_sub(&table.nr, 1);
	faultd_del(client);
	uv_close((uv_handle_t *)&client->death, on_death_closed);
	conn_close_all(client);
	client_put(client);
}

/* ---- begin and end ---- */

int clients_init(uv_loop_t *loop)
{
	int err;

	memset(&table, 0, sizeof(table));
	table.loop = loop;
	fork_init(loop);
	memset(&dead, 0, sizeof(dead));
	mutex_init(&dead.lock, LOCK_LEAF);
	INIT_LIST_HEAD(&dead.list);
	INIT_LIST_HEAD(&dead.waiting);
	err = uv_timer_init(loop, &table.timer);
	err = err ?: uv_async_init(loop, &dead.async, on_dead);
	if (err)
		return err;
	/* Has libuv make its threads now, while signals are blocked (main.c I3). */
	table.retrying = true;
	return uv_queue_work(loop, &table.retry, retry_work, retry_done);
}

void clients_exit(void)
{
	fork_exit();
	table.exiting = true;
	for (unsigned int i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = atomic_load(&table.slots[i]);

		if (client)
			client_drop(client);
	}
	while (atomic_load(&table.nr_alive) || table.retrying) {
		start_ticking();
		uv_run(table.loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&table.timer, NULL);
	uv_close((uv_handle_t *)&dead.async, NULL);
	shm_exit();
	sigbus_exit();
}
