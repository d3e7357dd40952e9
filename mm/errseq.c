// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/errseq.c - see include/errseq.h
 *
 * I1. A value that was never SEEN may be overwritten by a newer error without
 *     a new sequence number: nobody has it as a sample.
 */
#include <errno.h>

#include "bug.h"
#include "errseq.h"

#define ERRSEQ_ERRNO	0xfffu
#define ERRSEQ_SEEN	0x1000u
#define ERRSEQ_CTR_INC	0x2000u

void errseq_set(errseq_t *eseq, int err)
{
	unsigned int old = atomic_load(eseq), new;

	BUG_ON(err >= 0 || -err > (int)ERRSEQ_ERRNO);
	do {
		new = (old & ~(ERRSEQ_ERRNO | ERRSEQ_SEEN)) | (unsigned int)-err;
		if (old & ERRSEQ_SEEN)
			new += ERRSEQ_CTR_INC;
		if (new == old)
			return;
	} while (!atomic_compare_exchange_weak(eseq, &old, new));
}

unsigned int errseq_sample(errseq_t *eseq)
{
	unsigned int old = atomic_load(eseq);

	/* 0 differs from every value with an error: an unseen one is reported */
	return (old & ERRSEQ_ERRNO) && !(old & ERRSEQ_SEEN) ? 0 : old;
}

int errseq_check(errseq_t *eseq, unsigned int since)
{
	unsigned int cur = atomic_load(eseq);

	return cur == since ? 0 : -(int)(cur & ERRSEQ_ERRNO);
}

int errseq_check_and_advance(errseq_t *eseq, atomic_uint *since)
{
	unsigned int old = atomic_load(eseq);
	unsigned int mine = atomic_load(since);
	unsigned int new;

	if (old == mine)
		return 0;
	/* Another reader may set SEEN, or an error come in: then look again. */
	do {
		new = old | ERRSEQ_SEEN;
	} while (new != old && !atomic_compare_exchange_weak(eseq, &old, new));
	if (!atomic_compare_exchange_strong(since, &mine, new))
		return 0;	/* another fsync of this open file reports it */
	return -(int)(new & ERRSEQ_ERRNO);
}
