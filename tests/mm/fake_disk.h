/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/fake_disk.h - a backing store in memory, for tests of the page cache
 *
 *   fake_file { address_space, bytes }  --a_ops-->  fake_disk { bdi, workers }
 *
 * A disk has a mode, counters, faults to inject and a gate that holds back its
 * workers. It counts what mm/ must never do as violations; fake_disk_exit()
 * returns their number, and prints what the first one was.
 */
#ifndef PAGEFS_TESTS_FAKE_DISK_H
#define PAGEFS_TESTS_FAKE_DISK_H

#include <pthread.h>
#include "pagemap.h"
#include "writeback.h"

enum fake_mode {
	FAKE_SYNC,	/* all I/O has ended when a_ops return */
	FAKE_ASYNC,	/* workers end it, pages in random order, after delays */
	FAKE_PLUG,	/* writes end in current_plug->flush; read-ahead as ASYNC */
};

enum fake_op { FAKE_READ, FAKE_WRITE, NR_FAKE_OPS };

#define FAKE_WORKERS	3	/* arbitrary; more than one, to overtake */
#define FAKE_LOG	4096	/* runs remembered */
#define FAKE_CUTS	64u	/* truncates remembered */

/* Which pages fail; those of any of the three kinds. All under disk->lock. */
struct fake_fault {
	unsigned long nth;	/* the nth page from now on; 0: off */
	bool sticky;		/* and all after it */
	unsigned int per_mille;	/* at random */
	struct fake_file *file;	/* pages first..last of this one; NULL: off */
	pgoff_t first, last;
	int err;		/* -errno */
};

struct fake_run {		/* one call of writepages or readpages */
	struct fake_file *file;
	enum fake_op op;
	enum read_mode mode;
	pgoff_t index;
	unsigned int nr;
};

/* Fields: (A) atomic; (C) constant after init; (L) lock. */
struct fake_disk {
	struct backing_dev_info bdi;
	enum fake_mode mode;			/* (C) */
	unsigned int max_delay_us;		/* (C) per page, in workers */
	unsigned int pages_per_s;		/* (C) it is as slow as that; 0: not */
	double busy_until;			/* (L) seconds of now() */
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct list_head queue;			/* (L) jobs */
	unsigned int nr_running;		/* (L) jobs taken by workers */
	bool held, stop;			/* (L) */
	struct fake_fault fault[NR_FAKE_OPS];	/* (L) */
	struct fake_run log[FAKE_LOG];		/* (L) */
	unsigned int nr_log;			/* (L) ever; may exceed FAKE_LOG */
	uint64_t rand;				/* (L) */
	const char *what;			/* (L) the first violation */
	unsigned int violations;		/* (L) */
	pthread_t workers[FAKE_WORKERS];
	unsigned int nr_workers;		/* (C) */
	atomic_ulong calls[NR_FAKE_OPS];	/* (A) of a_ops */
	atomic_ulong pages[NR_FAKE_OPS];	/* (A) that ended well */
	atomic_ulong failed[NR_FAKE_OPS];	/* (A) */
	atomic_ulong past_eof;			/* (A) pages written to nowhere:
						 * legal only beside a truncate */
	atomic_ulong grabs, puts, grabs_refused;	/* (A) */
	atomic_ulong inodes_written;		/* (A) calls of write_inode */
};

struct fake_file {
	struct address_space mapping;	/* first: container_of is the identity */
	struct fake_disk *disk;
	struct rw_semaphore rwsem;	/* as an inode's: write, truncate */
	char *data;			/* capacity bytes; zero past size */
	size_t capacity;
	atomic_llong size;		/* the store's length */
	atomic_uint cuts;		/* times the store was cut */
	atomic_llong cut_size[FAKE_CUTS];	/* to what; a ring */
	atomic_bool kcopies;		/* the kernel has copies of some pages: those
					 * read are PG_kcached, as in fs/aops.c */
	pthread_mutex_t lock;
	pthread_cond_t unused;
	long users;			/* lock; grabs not yet put */
	bool dying;			/* lock */
};

/*
 * mm_init() and, at the end, what every test of the cache wants to be true:
 * all checks pass, no page and no frame is left behind. @threads: kswapd and
 * pdflush. Return of fake_mm_exit(): frames and objects lost (0 is right).
 */
void fake_mm_init(size_t memory, int nr_nodes, bool threads);
long fake_mm_exit(void);

/* No kswapd and no pdflush from here on: what checks want. */
void fake_mm_quiesce(struct fake_disk *disk);

void fake_disk_init(struct fake_disk *disk, enum fake_mode mode);
/* Ends the workers. Return: violations, after printing the first. */
unsigned int fake_disk_exit(struct fake_disk *disk);
/* The workers finish nothing between hold and release. */
void fake_hold(struct fake_disk *disk);
void fake_release(struct fake_disk *disk);
/* Waits until workers have nothing to do. */
void fake_drain(struct fake_disk *disk);

void fake_fail_nth(struct fake_disk *disk, enum fake_op op, unsigned long nth,
		   bool sticky, int err);
void fake_fail_range(struct fake_file *file, enum fake_op op, pgoff_t first,
		     pgoff_t last, int err);
void fake_fail_random(struct fake_disk *disk, enum fake_op op,
		      unsigned int per_mille, int err);
void fake_fail_off(struct fake_disk *disk);
void fake_log_clear(struct fake_disk *disk);

/* A file of @size bytes of the store, each fake_byte() of its position. */
struct fake_file *fake_file_new(struct fake_disk *disk, size_t capacity,
				size_t size);
/* As an inode is evicted: dirty pages are dropped. */
void fake_file_free(struct fake_file *file);
char fake_byte(loff_t pos);
/* True if @buf holds fake_byte() from @pos on. */
bool fake_is(const char *buf, loff_t pos, size_t len);

/* What fs/ does: the same locks in the same order. */
ssize_t fake_read(struct fake_file *file, struct file_ra_state *ra, loff_t pos,
		  void *buf, size_t len);
ssize_t fake_write(struct fake_file *file, loff_t pos, const void *buf,
		   size_t len);
void fake_truncate(struct fake_file *file, loff_t size);
/* Zeroes [@pos, @pos + @len), both multiples of a page. */
void fake_punch(struct fake_file *file, loff_t pos, loff_t len);

#endif /* PAGEFS_TESTS_FAKE_DISK_H */
