// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mappick.c - asking a worker, and choosing what to ask
 *
 * Most operations fall around one page of a file, its spot, which now and then
 * moves: else large files would hardly ever be touched twice in one place.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "mapops.h"
#include "workers.h"

/* ---- talking to workers ---- */

struct map_reply call(struct proc *pr, const struct map_cmd *c)
{
	struct pollfd pfd = { .fd = pr->sock, .events = POLLIN };
	struct map_reply r;
	ssize_t n;

	if (send(pr->sock, c, sizeof(*c), MSG_NOSIGNAL) != sizeof(*c))
		die(-1, 0, 0, "worker %d has died", pr->id);
	if (poll(&pfd, 1, REPLY_SECONDS * 1000) != 1) {
		show_hung(pr->pid);
		die(-1, 0, 0, "worker %d (pid %d) hangs in this", pr->id,
		    (int)pr->pid);
	}
	n = recv(pr->sock, &r, sizeof(r), 0);
	if (n != sizeof(r))
		die(-1, 0, 0, "worker %d has died in this", pr->id);
	return r;
}

void must_be(int64_t is, int64_t must, int inode, size_t pos, size_t len,
	     const char *what)
{
	if (is != must)
		die(inode, pos, len, "%s: %" PRId64 "%s%s, must be %" PRId64, what,
		    is, is < 0 ? " " : "", is < 0 ? strerror((int)-is) : "",
		    must);
}

/* ---- picking ---- */

uint64_t some_page(struct inode *ino)
{
	const uint64_t pages = opt.maxlen / PAGE;

	if (!below(150))
		ino->spot = below(pages);
	switch (below(16)) {
	case 0:
		return below(pages);
	case 1:
	case 2:
		return ino->size / PAGE < pages ? ino->size / PAGE : pages - 1;
	case 3:
		return 0;
	default:
		return (ino->spot + below(SPOT_PAGES)) % pages;
	}
}

size_t some_pos(struct inode *ino)
{
	size_t pos = some_page(ino) * PAGE;

	switch (below(4)) {
	case 0:
		return pos;
	case 1:		/* the page's last bytes */
		return pos + PAGE - 1 - below(9);
	default:
		return pos + below(PAGE);
	}
}

size_t some_len(void)
{
	switch (below(16)) {
	case 0:
		return 1 + below(BUF_SIZE);
	case 1: case 2: case 3:
		return PAGE * (1 + below(8));
	case 4: case 5: case 6: case 7:
		return 1 + below(16);
	default:
		return 1 + below(3 * PAGE);
	}
}

/* A descriptor that is open: its file and which; false: none. */
bool some_fd(struct proc *pr, int *filep, int *fdp)
{
	int start = (int)below(opt.files * NR_FDS);

	for (unsigned int k = 0; k < opt.files * NR_FDS; k++) {
		int at = (start + (int)k) % (int)(opt.files * NR_FDS);

		*filep = at / NR_FDS;
		*fdp = at % NR_FDS;
		if (pr->fds[*filep][*fdp] >= 0)
			return true;
	}
	return false;
}

struct slot *some_slot(struct proc *pr)
{
	int start = (int)below(NR_SLOTS);

	for (int k = 0; k < NR_SLOTS; k++) {
		struct slot *s = &pr->slots[(start + k) % NR_SLOTS];

		if (s->addr)
			return s;
	}
	return NULL;
}

static uint32_t some_slot_page(const struct slot *s)
{
	for (int tries = 0; tries < 8; tries++) {
		uint32_t page = (uint32_t)below(s->nr);
		const struct slot_page *e = &s->pages[page];
		uint64_t want;

		if (e->inode < 0)
			continue;
		want = some_page(&inodes[e->inode]);
		if (want >= e->pgoff && want - e->pgoff < s->nr - page)
			page += (uint32_t)(want - e->pgoff);
		else if (e->pgoff > want && e->pgoff - want <= page)
			page -= (uint32_t)(e->pgoff - want);
		if (s->pages[page].inode >= 0)
			return page;
	}
	for (uint32_t i = 0; i < s->nr; i++)
		if (s->pages[i].inode >= 0)
			return i;
	return s->nr;
}

/* Pages [*@firstp, + *@nrp) of a slot that are mapped; at most @max. */
struct slot *some_pages(struct proc *pr, uint32_t max, uint32_t *firstp,
			uint32_t *nrp)
{
	struct slot *s = some_slot(pr);
	uint32_t first, nr;

	if (!s)
		return NULL;
	first = some_slot_page(s);
	if (first == s->nr)
		return NULL;
	for (nr = 1; nr < max && first + nr < s->nr &&
	     s->pages[first + nr].inode >= 0; nr++)
		;
	*firstp = first;
	*nrp = nr;
	return s;
}

struct slot *some_bytes(struct proc *pr, size_t *offp, size_t *lenp)
{
	size_t len = some_len(), in = below(3) ? below(PAGE) : 0;
	uint32_t first, nr;
	struct slot *s = some_pages(pr, BUF_SIZE / PAGE, &first, &nr);

	if (!s)
		return NULL;
	*offp = (size_t)first * PAGE + in;
	*lenp = len < (size_t)nr * PAGE - in ? len : (size_t)nr * PAGE - in;
	return s;
}
