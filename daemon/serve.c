// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/serve.c - one fault: served at once, or kept while its page is read
 *
 *             the page is there, or                it is to be read
 *             it is a write to a file
 *   message ------------------------> served     ----------------> started, kept
 *                                                     | other messages meanwhile
 *                                                     v
 *                                                its page has come: served
 *
 * K1. A thread that keeps faults keeps pages locked, whose reads are on its own
 *     ring (current_plug). What may wait for somebody else ends those reads
 *     first, for that may be waiting for the pages; and the faults, for it may
 *     wait for long.
 * K2. Reads may be under way for which no fault is kept: read-ahead's. They are
 *     ended like the others.
 * K3. Who sleeps for what he reads, or submits it to a device that may make him
 *     wait, is at work for all clients whose faults he keeps (faultd.c, T2).
 *
 * Locks:  none; faults are kept by one thread.
 * Source: Linux FAULT_FLAG_RETRY_NOWAIT, for the two steps.
 */
#include <time.h>

#include "blocking.h"
#include "internal.h"
#include "pagefs_fs.h"
#include "pagemap.h"
#include "trace.h"
#include "uffd_abi.h"

#define OOM_TRIES	10u	/* of a fault that finds no memory, ... */
#define OOM_PAUSE_NS	10000000	/* ... so far apart; arbitrary */

/*
 * Faults whose pages this thread reads. Arbitrary: the disk gains little from
 * more than 32 at a time, and there is a thread for each CPU.
 */
#define MAX_KEPT	16u

struct kept_fault {
	struct client *client;		/* referenced */
	struct uffd_msg msg;
	struct page *page;		/* referenced */
	uint64_t began_us;		/* trace_clock_us(), or 0 */
};

static __thread struct kept_fault kept_faults[MAX_KEPT];
static __thread unsigned int nr_kept;
/* The last fault could have been kept: most likely the next can. */
static __thread bool keeping;

/* ---- to its end ---- */

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
	blk_flush_plug();					/* K1 */
	if (ret & VM_FAULT_OOM)
		ret = handle_without_memory(client, fault_address(msg),
					    fault_flags(msg));
	if (ret & VM_FAULT_ERROR)
		fault_failed(client, msg, ret);
}

/* To its end, whatever that waits for, other faults included. */
static void serve_fault_now(struct client *client, const struct uffd_msg *msg,
			    unsigned int flags, uint64_t began_us)
{
	const uint64_t outer_us = trace_fault_began_us;

	trace_fault_began_us = began_us;
	end_fault(client, msg, handle_mm_fault(client->mm, fault_address(msg),
					       fault_flags(msg) | flags));
	trace_fault_began_us = outer_us;
}

/* ---- in two steps ---- */

unsigned int faults_wanted(void)
{
	if (!keeping || !slot_may_go_on())
		return 1;
	return max(MAX_KEPT - nr_kept, 1u);
}

/* Return: false: that is not for this fault. */
static bool __serve_fault_nowait(struct client *client,
				 const struct uffd_msg *msg, uint64_t began_us)
{
	struct kept_fault *kept = &kept_faults[nr_kept];
	vm_fault_t ret;

	keeping = nr_kept < MAX_KEPT && slot_is_mine();
	if (!keeping)
		return false;
	ret = handle_mm_fault_nowait(client->mm, fault_address(msg),
				     fault_flags(msg), &kept->page);
	keeping = !(ret & VM_FAULT_FALLBACK);
	if (!keeping)
		return false;
	if (!kept->page) {
		end_fault(client, msg, ret);
		return true;
	}
	client_get(client);
	kept->client = client;
	kept->msg = *msg;
	kept->began_us = began_us;
	nr_kept++;
	return true;
}

/* Is it the first one of its client? */
static bool keeps_first(unsigned int i)
{
	for (unsigned int j = 0; j < i; j++)
		if (kept_faults[j].client == kept_faults[i].client)
			return false;
	return true;
}

/* K3 */
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
		faultd_begin_service(kept.client);
		serve_fault_now(kept.client, &kept.msg, FAULT_FLAG_TRIED,
				kept.began_us);
		faultd_end_service(kept.client);
		client_put(kept.client);
	}
}

/* K1. Before what may wait. */
void end_kept(void)
{
	if (current_plug) {
		for_each_kept_client(faultd_begin_service);
		blk_flush_plug();
		for_each_kept_client(faultd_end_service);
	}
	serve_kept();
}

/* Nobody is listened to meanwhile. */
static void poll_kept(void)
{
	for_each_kept_client(faultd_begin_service);
	fs_poll_io(-1, true);
	for_each_kept_client(faultd_end_service);
	serve_kept();
}

bool has_kept(void)
{
	return nr_kept || current_plug;
}

void wait_for_kept(void)
{
	poll_kept();
}

bool wait_for_kept_or(int fd)
{
	bool readable = true;

	if (nr_kept == MAX_KEPT) {
		thread_will_block();	/* somebody else listens meanwhile */
		poll_kept();
		return true;
	}
	if (current_plug) {
		for_each_kept_client(faultd_begin_service);	/* K3 */
		readable = fs_poll_io(fd, true);
		for_each_kept_client(faultd_end_service);
	}
	serve_kept();
	return readable;
}

bool serve_fault_nowait(struct client *client, const struct uffd_msg *msg)
{
	slot_serving(msg->arg.pagefault.feat.ptid);
	return __serve_fault_nowait(client, msg, trace_begin_us(mm_fault));
}

void serve_fault(struct client *client, const struct uffd_msg *msg)
{
	/* Its message has been read just now. */
	const uint64_t began_us = trace_begin_us(mm_fault);

	slot_serving(msg->arg.pagefault.feat.ptid);
	if (__serve_fault_nowait(client, msg, began_us))
		return;
	end_kept();
	serve_fault_now(client, msg, 0, began_us);
}
