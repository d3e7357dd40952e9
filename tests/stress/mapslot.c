// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapslot.c - mappings as they must be, page by page
 *
 *	slot->addr   | page | page | page | cut  | page | ...
 *	slot->pages  {inode, pgoff, prot, rights}   inode -1: cut out
 *
 * What an access to a range will meet: which bytes of which file, and at which
 * page a signal.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "mapops.h"

/* The page of a slot where an access to [@off, @off + *@lenp) gets a signal;
 * *@lenp becomes the bytes before it. Return: the signal, or 0. */
int access_ends(const struct slot *s, size_t off, size_t *lenp, bool store)
{
	const int prot = store ? PROT_WRITE : PROT_READ;

	for (size_t at = off; at < off + *lenp; at += PAGE - at % PAGE) {
		const struct slot_page *e = &s->pages[at / PAGE];
		int signo = 0;

		if (e->inode < 0 || !(e->prot & prot))
			signo = SIGSEGV;
		else if ((size_t)e->pgoff * PAGE >=
			 round_up(inodes[e->inode].size))
			signo = SIGBUS;
		if (!signo)
			continue;
		*lenp = at - off;
		return signo;
	}
	return 0;
}

/* Calls @fn for each piece inside one page that is below its file's end. */
void each_piece(const struct slot *s, size_t off, size_t len, uint8_t *buf,
		void (*fn)(int inode, size_t pos, uint8_t *buf, size_t len))
{
	for (size_t at = off, n; at < off + len; at += n) {
		const struct slot_page *e = &s->pages[at / PAGE];
		size_t pos = (size_t)e->pgoff * PAGE + at % PAGE, below_eof;

		n = PAGE - at % PAGE;
		if (n > off + len - at)
			n = off + len - at;
		if (pos >= inodes[e->inode].size)
			continue;
		below_eof = inodes[e->inode].size - pos;
		fn(e->inode, pos, buf + (at - off), n < below_eof ? n : below_eof);
	}
}

/* The pattern goes by the place in the file, which differs page by page; also
 * where nothing is known of the bytes: past the end. */
void fill_slot_bytes(const struct slot *s, size_t off, size_t len, uint8_t *buf)
{
	for (size_t at = off, n; at < off + len; at += n) {
		const struct slot_page *e = &s->pages[at / PAGE];

		n = PAGE - at % PAGE;
		if (n > off + len - at)
			n = off + len - at;
		pattern_fill(buf + (at - off), op_nr,
			     (size_t)e->pgoff * PAGE + at % PAGE, n);
	}
}

/*
 * Without --pollute nothing is stored between a file's end and its page's.
 * Return: how many of @len bytes may be stored.
 */
size_t up_to_eof(const struct slot *s, size_t off, size_t len)
{
	for (size_t at = off; at < off + len && !opt.pollute;
	     at += PAGE - at % PAGE) {
		const struct slot_page *e = &s->pages[at / PAGE];
		size_t end;

		if (e->inode < 0 || inodes[e->inode].size / PAGE != e->pgoff)
			continue;
		/* 0 of an end at a page's start: there the page is SIGBUS. */
		end = at / PAGE * PAGE + inodes[e->inode].size % PAGE;
		if (end % PAGE && end < off + len)
			return end > off ? end - off : 0;
	}
	return len;
}

void slot_set(struct slot *s, uint32_t first, uint32_t nr, int inode,
	      uint64_t pgoff, int prot, int rights)
{
	for (uint32_t i = 0; i < nr; i++)
		s->pages[first + i] = (struct slot_page){
			.inode = (int16_t)inode, .prot = (uint8_t)prot,
			.rights = (uint8_t)rights,
			.pgoff = (uint32_t)(pgoff + i),
		};
}

void slot_cut(struct slot *s, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++)
		s->pages[i].inode = -1;
	s->cut = true;
	for (uint32_t i = 0; i < s->nr; i++)
		if (s->pages[i].inode >= 0)
			return;
	s->addr = NULL;
}

struct map_cmd on_pages(const struct slot *s, uint32_t op, uint32_t first,
			uint32_t nr)
{
	return (struct map_cmd){
		.op = op, .addr = (uint64_t)(uintptr_t)s->addr +
			(uint64_t)first * PAGE, .len = (uint64_t)nr * PAGE,
	};
}

/* Pages from @first on that one mapping can have, going by the model. */
uint32_t alike(const struct slot *s, uint32_t first, uint32_t nr)
{
	const struct slot_page *a = &s->pages[first];
	uint32_t n = 1;

	while (n < nr && s->pages[first + n].inode == a->inode &&
	       s->pages[first + n].prot == a->prot &&
	       s->pages[first + n].rights == a->rights &&
	       s->pages[first + n].pgoff == a->pgoff + n)
		n++;
	return n;
}
