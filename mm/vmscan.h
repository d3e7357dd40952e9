/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/vmscan.h - what the files about reclaim share: vmscan.c, swap.c, kswapd.c,
 *               shrinker.c
 */
#ifndef PAGEFS_MM_VMSCAN_H
#define PAGEFS_MM_VMSCAN_H

#include "swap.h"

/* Onto and off the list PG_active says. Context: lruvec->lock. */
void lruvec_add(struct lruvec *lruvec, struct page *page);
void lruvec_del(struct lruvec *lruvec, struct page *page);

/*
 * Reclaiming pages of files, or of memory without, has cost @nr pages of I/O:
 * written, or read again. mm/vmscan.c. Context: no lruvec->lock.
 */
enum lru_kind { LRU_ANON, LRU_FILE };
void lru_note_cost(struct lruvec *lruvec, enum lru_kind kind, unsigned long nr);

/*
 * Page locked, isolated, with one reference. Frees it if it is clean and nobody else
 * has one; then the caller's is the last (vmscan.c I1). Return: did it?
 */
bool remove_mapping(struct page *page);

/*
 * Reclaim until every zone is at its high watermark. Return: true if it got there,
 * or nothing could be had. For kswapd.c.
 */
bool balance_pgdat(pg_data_t *pgdat);

/*
 * mm/reclaim_wait.c. The number rises with every reclaim_progress(); waiting ends
 * when it is not @seq any more, or after @ms. Return: has it risen? Context: no lock
 * that who makes progress needs.
 */
unsigned int reclaim_progress_seq(void);
bool wait_for_progress(unsigned int seq, unsigned int ms);

/*
 * mm/shrinker.c: objects in the proportion the LRU passes take, with no minimum: a
 * stream that reclaims a few pages at a time would empty a small cache by it.
 * Return: objects freed.
 */
unsigned long shrink_slab(int priority);

#endif /* PAGEFS_MM_VMSCAN_H */
