// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/choose.c - which record is next
 *
 *   uniform	each as often as any
 *   zipfian	the one of rank r in proportion to 1 / r^theta. Ranks are records in
 *		order of number, and keys are hashes of numbers: so what is wanted
 *		often lies anywhere in the file.
 *   latest	the same, from the newest one back
 *
 * Source: Gray et al., "Quickly generating billion-record synthetic databases"
 *         (SIGMOD 1994), for drawing a rank in constant time; Cooper et al.,
 *         "Benchmarking cloud serving systems with YCSB" (SoCC 2010), for the
 *         distributions. Differs: YCSB hashes ranks to numbers, which then share
 *         some; here the hash is in the key, and each number has its own.
 */
#include <math.h>

#include "kv.h"

/* splitmix64, Steele et al. 2014. */
uint64_t kv_rand(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

double kv_rand_unit(uint64_t *state)
{
	return (double)(kv_rand(state) >> 11) * 0x1p-53;
}

static double zeta(uint64_t nr, double theta)
{
	double sum = 0;

	for (uint64_t i = 1; i <= nr; i++)
		sum += 1 / pow((double)i, theta);
	return sum;
}

void kv_chooser_init(struct kv_chooser *c, enum kv_distribution distribution,
		     uint64_t nr, double theta, uint64_t seed)
{
	*c = (struct kv_chooser){
		.distribution = distribution, .nr = nr, .theta = theta,
		.rand = seed,
	};
	if (distribution == KV_UNIFORM)
		return;
	c->zeta_n = zeta(nr, theta);
	c->zeta_2 = zeta(2, theta);
	c->alpha = 1 / (1 - theta);
	c->eta = (1 - pow(2.0 / (double)nr, 1 - theta)) /
		 (1 - c->zeta_2 / c->zeta_n);
}

static uint64_t zipfian_rank(struct kv_chooser *c)
{
	const double u = kv_rand_unit(&c->rand), uz = u * c->zeta_n;
	double rank;

	if (uz < 1)
		return 0;
	if (uz < 1 + pow(0.5, c->theta))
		return 1;
	rank = (double)c->nr * pow(c->eta * u - c->eta + 1, c->alpha);
	return rank < (double)c->nr ? (uint64_t)rank : c->nr - 1;
}

uint64_t kv_choose(struct kv_chooser *c, uint64_t nr)
{
	switch (c->distribution) {
	case KV_ZIPFIAN:
		return zipfian_rank(c);
	case KV_LATEST:
		return nr - 1 - zipfian_rank(c);
	default:
		return kv_rand(&c->rand) % nr;
	}
}
