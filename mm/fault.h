/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/fault.h - the steps of a page fault: memory.c, for memory_anon.c too
 *
 *   the page, and pages after it (->fault, fault_gather)
 *     fault_prepare	memory for tables and the window, chunk armed
 *     fault_charge	room in the window
 *     fault_lock_pages
 *     fault_promote	into the window
 *     fault_note_...	our ptes
 *     fault_map_pages	the client's
 *
 * Pages are those of consecutive indices from vmf->pgoff on. Context: mmap_lock.
 */
#ifndef PAGEFS_MM_FAULT_H
#define PAGEFS_MM_FAULT_H

#include "mmap.h"

/*
 * What needs memory, before pages are locked. Return: 0; VM_FAULT_OOM; RETRY: some
 * client cannot be reached now.
 */
vm_fault_t fault_prepare(const struct vm_fault *vmf, unsigned int nr);
/*
 * Uptodate pages from vmf->page on, referenced, at most @nr. Marks that start
 * read-ahead are acted on: nobody else will meet them. Return: how many, >= 1.
 */
unsigned int fault_gather(const struct vm_fault *vmf, struct page **pages,
			  unsigned int nr);
unsigned int count_in_arena(struct page **pages, unsigned int nr);
/*
 * Room for those that are in the arena: *@charged; if not for all, for the first,
 * and the others are put. Return: false if there is none.
 */
bool fault_charge(struct page **pages, unsigned int *nr, unsigned int *charged);
/* The first is waited for. Return: how many, from it on, are locked and good. */
unsigned int fault_lock_pages(const struct vm_fault *vmf, struct page **pages,
			      unsigned int nr);
/* A demoted page is back: it was wanted. */
void fault_count_soft(struct page *page, vm_fault_t *ret);
/*
 * Those of the locked pages that are in the arena, into the window. @charged: room
 * for so many; what is not used of it goes back. Return: how many of @pages, from
 * the first on, are in the window now.
 */
unsigned int fault_promote(struct page **pages, unsigned int nr,
			   unsigned int charged);
/* Return: of how many, from the first on; the next one's table has gone. */
unsigned int fault_note_writable(const struct vm_fault *vmf, unsigned int nr);
/* The pages are in the window: let the client have them. @nr > 0, all locked. */
void fault_map_pages(const struct vm_fault *vmf, struct page **pages,
		     unsigned int nr, bool write);
/*
 * All of the above for a read, with pages that were gathered, and puts them.
 * Return: VM_FAULT_RETRY: woken, or to be tried again.
 */
vm_fault_t fault_map_read(struct vm_fault *vmf, struct page **pages,
			  unsigned int nr);

#endif /* PAGEFS_MM_FAULT_H */
