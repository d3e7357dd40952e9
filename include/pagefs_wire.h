/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pagefs_wire.h - what client and daemon say to each other
 *
 * A Unix socket of type SOCK_SEQPACKET: one packet is one message of exactly
 * sizeof(struct pagefs_msg) bytes (MINCORE's reply has the vector after it). The
 * client asks, the daemon answers in order; a connection has one question under
 * way at a time. Descriptors travel as SCM_RIGHTS.
 *
 *   client                              daemon
 *   HELLO region                 -->    which process is it (SO_PEERCRED)
 *                                <--    cookie, an open /dev/userfaultfd if it
 *                                       has one
 *   UFFD + userfaultfd           -->    UFFDIO_API        (first connection only)
 *   UFFD + another               -->    one whose stores are scanned for, if
 *                                       HELLO's reply wants it
 *   ioctl(file, OFFER, cookie)   ==>    by FUSE: this client has that file open
 *                                <==    number
 *   MMAP addr len ... number     -->    may it? VMA, window
 *                                <--    address, kind, + window
 *   mmap(window, PROT_NONE)
 *   COMMIT addr len              -->    UFFDIO_REGISTER, arm
 *   mprotect(prot)
 *
 * Memory without a file comes in the same way, by MMAP_ANON; so do private
 * copies of a file. The windows of both are given to this process alone.
 *
 *   parent                    daemon                          child
 *   connect, HELLO, FORK -->  a copy of its memory
 *                        <--  token
 *   fork(): the connection is both processes', then the child's
 *                                  <-- its own session, ADOPT token
 *                                  <-- INHERIT, COMMIT: for each mapping
 *                                      it closes the connection
 *
 * While a range is registered or not yet, its real protection is PROT_NONE, so
 * that no access of another thread reads, and plants, a page of zeros. So too
 * to unmap: mprotect(PROT_NONE), MUNMAP (which unregisters), then munmap(2).
 *
 * What a client may map it shows by an ioctl on its own descriptor, and does not
 * send that: a daemon that holds a descriptor of its own mount when it is killed
 * asks itself, on the way out, to flush it, and hangs.
 *
 * Inode numbers, addresses and lengths are numbers the daemon checks; nothing
 * here is a pointer of its own.
 */
#ifndef PAGEFS_WIRE_H
#define PAGEFS_WIRE_H

#include <stdint.h>
#include <sys/ioctl.h>

#define PAGEFS_WIRE_MAGIC	0x53464750u	/* "PGFS" */
#define PAGEFS_WIRE_VERSION	3u

enum pagefs_msg_type {
	PAGEFS_HELLO = 1,	/* in: base, len of the region (0: none) */
				/* out: PAGEFS_HAVE_* cookie[2], fd: /dev/userfaultfd */
	PAGEFS_UFFD,		/* in: PAGEFS_UFFD_*, fd */
	PAGEFS_MMAP,		/* in: addr len prot flags pgoff number (of an
				 * offer, which is used up; else -EBADF) */
				/* out: addr, PAGEFS_KIND_*, dev, ino, fd: window */
	PAGEFS_COMMIT,		/* in: addr len; on failure it is unmapped here */
	PAGEFS_MUNMAP,		/* in: addr len */
	PAGEFS_MPROTECT,	/* in: addr len prot */
	PAGEFS_MREMAP,		/* in: addr old_len new_len flags new_addr */
				/* out: addr, PAGEFS_KIND_*, pgoff of the part that
				 * is new, its addr, its len, fd: window. The
				 * new part has to be mapped and committed */
	PAGEFS_MADVISE,		/* in: addr len advice (MADV_*) */
	PAGEFS_MSYNC,		/* in: addr len flags (MS_*) */
	PAGEFS_MLOCK,		/* in: addr len */
	PAGEFS_MUNLOCK,		/* in: addr len */
	PAGEFS_MINCORE,		/* in: addr len; out: the vector */
	PAGEFS_STATS,		/* out: enum pagefs_stat_arg */
	PAGEFS_MMAP_ANON,	/* in: addr len prot flags; memory without a file */
				/* out: addr, PAGEFS_KIND_*, pgoff, fd: window */
	PAGEFS_FORK,		/* of a connection that does nothing else: memory
				 * without a file as it is now, for a child, until
				 * the connection ends. -ENODATA: there is none */
				/* out: token[2] */
	PAGEFS_ADOPT,		/* in: token[2]; by the child, before it maps */
	PAGEFS_INHERIT,		/* in: addr len: what ADOPT has brought there */
				/* out: addr, PAGEFS_KIND_*, pgoff, len, fd: window.
				 * As much as one window shows, from addr on, has
				 * to be mapped and committed */
	PAGEFS_MMAP_SHM,	/* in: addr len prot flags mode PAGEFS_SHM_*,
				 * name[16] (args 6 and 7, padded with 0): a
				 * region all who know its name, and may, share */
				/* out: as MMAP_ANON */
	PAGEFS_SHM_UNLINK,	/* in: name[16] in args 6 and 7 */
	NR_PAGEFS_MSG_TYPES,
};

/* args[0] of HELLO's reply */
#define PAGEFS_HAVE_UFFD	0x1u	/* this process has given one already */
#define PAGEFS_USE_DEV		0x2u	/* make it from the descriptor that comes
					 * along, with USERFAULTFD_IOC_NEW; else
					 * userfaultfd(2), if need be
					 * UFFD_USER_MODE_ONLY */
#define PAGEFS_WANT_ASYNC	0x4u	/* a PAGEFS_UFFD_ASYNC is welcome */
/* args[0] of UFFD */
#define PAGEFS_UFFD_SYNC	0u
#define PAGEFS_UFFD_ASYNC	1u	/* after the other; may be refused */
/* args[3] of MMAP and args[3] of MREMAP */
#define PAGEFS_MAP_FIXED	0x1u	/* exactly there; what is there goes */
#define PAGEFS_MAP_NOREPLACE	0x2u	/* exactly there, or -EEXIST */
#define PAGEFS_MAP_POPULATE	0x4u
#define PAGEFS_MAP_LOCKED	0x8u
#define PAGEFS_MAP_PRIVATE	0x10u	/* only with PROT_READ, or with COW */
#define PAGEFS_MREMAP_MAYMOVE	0x20u
#define PAGEFS_MAP_COW		0x40u	/* MMAP, with PRIVATE: stores go to copies. The
					 * reply's pgoff is in args[4] */
#define PAGEFS_MAP_SHARED_ANON	0x80u	/* MMAP_ANON: children share it */

/* args[5] of MMAP_SHM */
#define PAGEFS_SHM_CREATE	0x1u	/* of this length, if there is none */
#define PAGEFS_SHM_EXCL		0x2u	/* and -EEXIST if there is */

/* How the client maps the window it gets. */
#define PAGEFS_KIND_SHARED	0u	/* MAP_SHARED */
#define PAGEFS_KIND_PRIVATE	1u	/* MAP_PRIVATE and PROT_READ for good */

enum pagefs_stat_arg {
	PAGEFS_STAT_MAJFLT,
	PAGEFS_STAT_MINFLT,
	PAGEFS_STAT_SOFTFLT,
	PAGEFS_STAT_WPFLT,
	PAGEFS_STAT_TOTAL_VM,	/* pages mapped */
	PAGEFS_STAT_RSS,	/* pages given */
	PAGEFS_STAT_LOCKED_VM,
	PAGEFS_STAT_NR_PTES,
};

struct pagefs_msg {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t seq;		/* the reply repeats it */
	int32_t err;		/* reply: 0 or -errno */
	uint64_t args[8];
};

#define PAGEFS_SHM_NAME	16u	/* bytes; terminated only if there is room */

#define PAGEFS_MINCORE_MAX	65536u	/* pages in one MINCORE */

/*
 * Asked of any descriptor of a regular file or directory of the mount: where
 * the daemon listens. ENOTTY: it is not a pagefs file.
 */
struct pagefs_ioc_info {
	uint32_t version;	/* PAGEFS_WIRE_VERSION */
	uint32_t flags;
	uint64_t dev;		/* of the mount */
	char socket[112];	/* path, terminated; empty: it listens nowhere */
};
#define PAGEFS_IOC_INFO		_IOR('P', 0x50, struct pagefs_ioc_info)

/*
 * Asked of a descriptor of a regular file: to be mapped by MMAP, once, as it is
 * open. The daemon keeps the last PAGEFS_OFFERS_MAX of a client, also when the
 * descriptor is closed.
 *	ENOTTY	not a regular file of a pagefs mount
 *	EBADF	not open for reading
 *	EPERM	the mount's daemon has no client with this cookie
 *	ENOMEM
 */
struct pagefs_ioc_offer {
	uint64_t cookie[2];	/* in: as HELLO's reply has it */
	uint64_t number;	/* out: for MMAP */
};
#define PAGEFS_IOC_OFFER	_IOWR('P', 0x51, struct pagefs_ioc_offer)
#define PAGEFS_OFFERS_MAX	64u	/* arbitrary; the library has one at a time */

/*
 * Asked of a descriptor of a regular file: how it will be used, by everybody.
 * The policies stay until others are set, or the daemon forgets the file; they
 * are the file's owner's to set, root's, and the daemon's user's.
 *	ENOTTY	not a regular file of a pagefs mount
 *	EINVAL	no such advice
 *	EPERM	a policy, and not the owner
 */
enum pagefs_advice {
	PAGEFS_ADVISE_QUERY,		/* only out is wanted */
	PAGEFS_ADVISE_NORMAL,
	PAGEFS_ADVISE_RANDOM,
	PAGEFS_ADVISE_SEQUENTIAL,
	PAGEFS_ADVISE_NOREUSE,
	PAGEFS_ADVISE_WILLNEED,
	PAGEFS_ADVISE_DONTNEED,
};

struct pagefs_ioc_advise {
	uint32_t advice;	/* in: enum pagefs_advice */
	uint32_t flags;		/* in: 0 */
	uint64_t nr_pages;	/* out: WILLNEED: cached or being read; DONTNEED:
				 * dropped */
	char policy[32];	/* out: "normal", or "random", "sequential" and
				 * "noreuse", with a comma between two */
};
#define PAGEFS_IOC_ADVISE	_IOWR('P', 0x52, struct pagefs_ioc_advise)

#endif /* PAGEFS_WIRE_H */
