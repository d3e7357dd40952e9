// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_files.c - .pagefs/files: what is cached of which file; .pagefs/advice:
 *                  what has been said of it
 *
 *   ino cached_kb dirty_kb writeback_kb mapped_kb oldest_ms path
 *   ino policy path
 *
 * A line a file that has pages or is mapped. cached_kb counts all its pages,
 * mapped_kb those of them in clients' reach, oldest_ms is the age of the page
 * that has been dirty for longest, or 0. In advice are those that have a policy,
 * with pages or without. A file that has no name we know of is
 * "-"; the others begin with the mount's root, "/".
 *
 * Files are met in the order of their numbers, and the cursor is the next of
 * them: what comes and goes meanwhile is there or not, but nothing is met twice.
 *
 * Inodes are looked at without taking references: those would make each the most
 * recently used one, and whoever looks on would change what is forgotten next.
 *
 * Locks:   sb.rename_lock (read) > icache.lock, for a few inodes at a time; then
 *          i_lock (names), tree_lock (ages).
 */
#include "ctl.h"
#include "icache.h"
#include "window.h"

#define GANG		16u	/* inodes at a time; arbitrary */
/*
 * Dirty pages looked at for the oldest, as all wait while we do; of a file with
 * more it is the oldest of these, or as old as the file's turn. Arbitrary.
 */
#define AGE_PAGES	4096u
#define AGE_GANG	64u

static unsigned long kb(unsigned long pages)
{
	return pages << (PAGE_SHIFT - 10);
}

/*
 * When the oldest of @mapping's dirty pages became so, as mm_centisecs(). A
 * file's turn begins no later than that, but may have begun long before.
 */
static uint32_t oldest_page(struct address_space *mapping)
{
	uint32_t oldest = UINT32_MAX;
	struct page *pages[AGE_GANG];
	uint64_t indices[AGE_GANG], next = 0;
	unsigned int nr, seen = 0;

	mutex_lock(&mapping->tree_lock);
	do {
		nr = radix_tree_gang_lookup_tag(&mapping->i_pages,
						(void **)pages, indices, next,
						UINT64_MAX, AGE_GANG,
						PAGECACHE_TAG_DIRTY);
		for (unsigned int i = 0; i < nr; i++)
			oldest = min(oldest, pages[i]->dirtied_cs);
		seen += nr;
		if (nr)
			next = indices[nr - 1] + 1;
	} while (nr == AGE_GANG && seen < AGE_PAGES);
	mutex_unlock(&mapping->tree_lock);
	/* Without list_lock: any recent value will do. */
	if (seen >= AGE_PAGES)
		oldest = min(oldest, READ_ONCE(mapping->dirtied_when));
	return oldest;
}

static unsigned long oldest_ms(struct address_space *mapping)
{
	uint32_t oldest, now;

	if (!READ_ONCE(mapping->nrdirty))
		return 0;
	oldest = oldest_page(mapping);
	now = mm_centisecs();
	return now > oldest ? (now - oldest) * 10UL : 0;
}

static unsigned long mapped_pages(struct address_space *mapping)
{
	struct window *w = mapping_win(mapping);

	return w ? atomic_load(&w->nr_pages) : 0;
}

/* Context: rename_lock, icache.lock. */
static void show_path(struct inode *inode, struct ctl_text *text)
{
	char buf[PATH_MAX];
	const char *path = __inode_path(inode, buf, sizeof(buf));

	ctl_escape(text, path ? path : "-", " \t\n\\");
	ctl_printf(text, "\n");
}

/* ---- a line of either ---- */

/* What one of the two texts is. */
struct inode_text {
	const char *head;
	bool (*wanted)(struct inode *inode);
	/* All but the path. */
	void (*show)(struct inode *inode, struct ctl_text *text);
};

static bool is_cached(struct inode *inode)
{
	struct address_space *mapping = &inode->i_data;

	return READ_ONCE(mapping->nrpages) || mapping_mapped(mapping);
}

static void show_cached(struct inode *inode, struct ctl_text *text)
{
	struct address_space *mapping = &inode->i_data;

	ctl_printf(text, "%llu %lu %lu %lu %lu %lu ",
		   (unsigned long long)inode->i_ino,
		   kb(READ_ONCE(mapping->nrpages)),
		   kb(READ_ONCE(mapping->nrdirty)),
		   kb(READ_ONCE(mapping->nrwriteback)),
		   kb(mapped_pages(mapping)), oldest_ms(mapping));
}

static bool is_advised(struct inode *inode)
{
	return atomic_load(&inode->i_data.advice);
}

static void show_advice(struct inode *inode, struct ctl_text *text)
{
	ctl_printf(text, "%llu %s ", (unsigned long long)inode->i_ino,
		   mapping_advice_name(&inode->i_data));
}

/* ---- all lines ---- */

/* The next few. False: no room, or no more of them. */
static bool show_gang(const struct inode_text *it, struct ctl_text *text)
{
	struct inode *inodes[GANG];
	uint64_t next = text->cursor;
	unsigned int nr;
	size_t len;

	nr = itable_gang(&next, inodes, GANG);
	for (unsigned int i = 0; i < nr; i++) {
		if (!S_ISREG(READ_ONCE(inodes[i]->i_mode)) ||
		    !it->wanted(inodes[i]))
			continue;
		len = text->len;
		it->show(inodes[i], text);
		show_path(inodes[i], text);
		if (text->full) {
			text->len = len;
			text->cursor = inodes[i]->i_nodeid;
			return false;
		}
	}
	text->cursor = next;
	text->end = !nr;
	return nr;
}

static int show_inodes(const struct inode_text *it, struct ctl_text *text)
{
	bool more;

	if (!text->cursor)
		ctl_printf(text, "%s\n", it->head);
	do {
		down_read(&sb.rename_lock);
		mutex_lock(&icache.lock);
		more = show_gang(it, text);
		mutex_unlock(&icache.lock);
		up_read(&sb.rename_lock);
	} while (more);
	return 0;
}

int ctl_files_show(struct ctl_handle *h, struct ctl_text *text)
{
	static const struct inode_text files = {
		.head = "ino cached_kb dirty_kb writeback_kb mapped_kb oldest_ms path",
		.wanted = is_cached,
		.show = show_cached,
	};

	(void)h;
	return show_inodes(&files, text);
}

int ctl_advice_show(struct ctl_handle *h, struct ctl_text *text)
{
	static const struct inode_text advice = {
		.head = "ino policy path",
		.wanted = is_advised,
		.show = show_advice,
	};

	(void)h;
	return show_inodes(&advice, text);
}
