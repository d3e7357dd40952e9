// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/fault-inject.c - make the nth call of an allocator fail
 *
 * A test runs an operation with nth = 1, 2, ... until it succeeds, and has then
 * been through every error path an allocation can cause. What an allocator
 * takes only to be faster (a magazine) is not counted: failing it fails nobody,
 * and such a test would stop early.
 *
 * Locks:   none. Threads race for the nth call with compare-and-swap.
 * Source:  Linux lib/fault-inject.c. Differs: no probability.
 */
#include "internal.h"

/* Return: true for the call that is to fail. */
bool __should_fail(struct fault_attr *attr)
{
	unsigned long nth = READ_ONCE(attr->nth);

	while (nth) {
		if (nth == 1 && READ_ONCE(attr->sticky))
			return true;
		if (__atomic_compare_exchange_n(&attr->nth, &nth, nth - 1,
						false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return nth == 1;
	}
	return false;
}

void fault_attr_set(struct fault_attr *attr, unsigned long nth, bool sticky)
{
	WRITE_ONCE(attr->sticky, sticky);
	WRITE_ONCE(attr->nth, nth);
}
