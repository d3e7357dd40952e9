// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/kswapd.c - the threads that reclaim before others have to: one per node
 *
 *   below low: wakeup_kswapd() --wanted--> balance_pgdat() until high --> asleep
 *
 * Locks:  kswapd.lock, a leaf.
 * Source: Linux mm/vmscan.c (kswapd).
 */
#include <pthread.h>

#include "internal.h"
#include "swap.h"
#include "vmscan.h"

/* Fields: (K) lock. */
struct kswapd {
	pthread_t thread;
	pthread_cond_t wait;
	struct mutex lock;
	pg_data_t *pgdat;
	bool wanted;			/* (K) */
	bool stop;			/* (K) */
};

static struct kswapd kswapds[MAX_NUMNODES];

static void *kswapd_main(void *arg)
{
	struct kswapd *k = arg;

	pthread_setname_np(pthread_self(), "pagefs-kswapd");
	memalloc_save();
	mutex_lock(&k->lock);
	while (!k->stop) {
		if (!k->wanted) {
			pthread_cond_wait(&k->wait, &k->lock.m);
			continue;
		}
		/* From here on: who is short again has us look once more. */
		WRITE_ONCE(k->wanted, false);
		mutex_unlock(&k->lock);
		/* A fruitless pass ends the run: the next allocation that is
		 * short wakes us again. */
		while (!balance_pgdat(k->pgdat) && !READ_ONCE(k->stop))
			;
		mutex_lock(&k->lock);
	}
	mutex_unlock(&k->lock);
	return NULL;
}

void wakeup_kswapd(pg_data_t *pgdat)
{
	struct kswapd *k = pgdat->kswapd;

	if (!k || READ_ONCE(k->wanted))
		return;		/* will look; a stale read costs one wake-up */
	mutex_lock(&k->lock);
	WRITE_ONCE(k->wanted, true);
	pthread_cond_signal(&k->wait);
	mutex_unlock(&k->lock);
}

static int kswapd_run(pg_data_t *pgdat)
{
	struct kswapd *k = &kswapds[pgdat->node_id];
	int err;

	*k = (struct kswapd){ .pgdat = pgdat };
	mutex_init(&k->lock, LOCK_LEAF);
	BUG_ON(pthread_cond_init(&k->wait, NULL));
	err = pthread_create(&k->thread, NULL, kswapd_main, k);
	if (err)
		return -err;
	pgdat->kswapd = k;
	return 0;
}

static void kswapd_stop(pg_data_t *pgdat)
{
	struct kswapd *k = pgdat->kswapd;

	if (!k)
		return;
	mutex_lock(&k->lock);
	WRITE_ONCE(k->stop, true);
	pthread_cond_signal(&k->wait);
	mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	pgdat->kswapd = NULL;
	mutex_destroy(&k->lock);
	BUG_ON(pthread_cond_destroy(&k->wait));
}

int kswapds_start(void)
{
	int err = 0;

	for (int nid = 0; nid < nr_online_nodes && !err; nid++)
		err = kswapd_run(NODE_DATA(nid));
	return err;
}

void kswapds_stop(void)
{
	for (int nid = 0; nid < nr_online_nodes; nid++)
		kswapd_stop(NODE_DATA(nid));
}
