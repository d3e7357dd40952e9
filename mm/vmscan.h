/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/vmscan.h - list primitives that mm/vmscan.c borrows from mm/swap.c
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

#endif /* PAGEFS_MM_VMSCAN_H */
