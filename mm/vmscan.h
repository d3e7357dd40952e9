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

#endif /* PAGEFS_MM_VMSCAN_H */
