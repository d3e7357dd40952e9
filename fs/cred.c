// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/cred.c - acting for the caller: whose a new file is
 *
 *   cred_override   fsgid, fsuid = the caller's     capabilities restored
 *        |          openat / mkdirat / mknodat / symlinkat
 *   cred_revert     fsuid, fsgid = root's           (the kernel restores them)
 *
 * A file made by root and then given away would be root's for an instant,
 * would miss the rules of set-group-ID directories, and would cost one more
 * change of the backing inode. So the thread that makes it takes on the
 * caller's ids for file system access, which are a thread's own in Linux.
 *
 * The kernel has already decided that the caller may do it, with all his
 * supplementary groups, which we do not know. So the capabilities that a
 * change of fsuid drops are raised again at once; all but CAP_FSETID, as
 * without it a set-group-ID bit is dropped from a file of a group that the
 * caller is not in.
 *
 * I1. Outside override..revert a thread has the daemon's ids. A failure to go
 *     back is a BUG: the next request would be served as somebody else.
 *
 * Source: nfsd's nfsd_setuser(), the same in the kernel.
 */
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* (C) The capabilities a thread has, and those it has while overriding. */
static struct {
	struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct acting[_LINUX_CAPABILITY_U32S_3];
} caps;

/* The C library has no wrapper, and its header is another package's. */
static int set_caps(const struct __user_cap_data_struct *data)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int cred_init(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	if (syscall(SYS_capget, &header, caps.own))
		return -errno;
	for (unsigned int i = 0; i < ARRAY_SIZE(caps.own); i++)
		caps.acting[i] = caps.own[i];
	caps.acting[CAP_TO_INDEX(CAP_FSETID)].effective &=
		~CAP_TO_MASK(CAP_FSETID);
	return 0;
}

static bool is_own(const struct fs_cred *cred)
{
	return !sb.is_root || (cred->uid == 0 && cred->gid == 0);
}

/* By system call: the C library's may one day change all threads. */
static uid_t set_fsuid(uid_t uid)
{
	return (uid_t)syscall(SYS_setfsuid, uid);
}

static gid_t set_fsgid(gid_t gid)
{
	return (gid_t)syscall(SYS_setfsgid, gid);
}

static void go_back(void)
{
	set_fsuid(0);
	set_fsgid(0);
	BUG_ON(set_fsuid(-1) != 0 || set_fsgid(-1) != 0);	/* I1 */
	BUG_ON(set_caps(caps.own));
}

int cred_override(const struct fs_cred *cred)
{
	if (is_own(cred))
		return 0;
	set_fsgid(cred->gid);
	set_fsuid(cred->uid);
	/* They report the old id whatever happens; -1 is never valid. */
	if (set_fsuid(-1) != cred->uid || set_fsgid(-1) != cred->gid ||
	    set_caps(caps.acting)) {
		go_back();
		return -EOVERFLOW;	/* an id this user namespace lacks */
	}
	return 0;
}

void cred_revert(const struct fs_cred *cred)
{
	if (!is_own(cred))
		go_back();
}
