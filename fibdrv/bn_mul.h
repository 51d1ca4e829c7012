/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ways to multiply, in the order in which they begin to pay. Each takes n
 * limbs and gives 2n; those that take working memory want bn_mul_work(n) limbs
 * of it, and hand their smaller products to bn_mul() and bn_square().
 */
#ifndef FIBDRV_BN_MUL_H
#define FIBDRV_BN_MUL_H

#include "bn.h"

/* Schoolbook: n^2 products of limbs, a square some n^2 / 2. n >= 1. */
void bn_mul_base(u64 *r, const u64 *a, const u64 *b, size_t n);
void bn_square_base(u64 *r, const u64 *a, size_t n);

/* Karatsuba: three products of half the length. n >= 4. */
int bn_mul_karatsuba(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work);
int bn_square_karatsuba(u64 *r, const u64 *a, size_t n, u64 *work);

/* Toom-3: five products of a third of the length. n >= 9. */
int bn_mul_toom3(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work);
int bn_square_toom3(u64 *r, const u64 *a, size_t n, u64 *work);

/* Working memory of one level of each, without that of its products. */
static inline size_t bn_karatsuba_level(size_t n)
{
	return 2 * (n - n / 2) + 1;
}

static inline size_t bn_toom3_level(size_t n)
{
	return 6 * ((n + 2) / 3 + 1);
}

/**
 * struct bn_thresholds - Where each way begins to pay, in limbs.
 * @mul_karatsuba: at least 4.
 * @mul_toom3: at least 9.
 * @mul_ntt: at least NTT_MIN.
 * @square_karatsuba: at least 4.
 * @square_toom3: at least 9.
 * @square_ntt: at least NTT_MIN.
 * @middle_ntt: where bn_middle() takes a transform; at least NTT_MIN.
 * @radix_leaf: the most limbs that are converted one by one; at least 32.
 * @radix_split: the fewest that are split at all; at least 64.
 *
 * bn_tune.h has what test/tune.c found for an architecture. All values from the
 * least on are correct, which the tests, and the tuning itself, make use of:
 * they define BN_THRESHOLDS_VARY.
 */
struct bn_thresholds {
	size_t mul_karatsuba;
	size_t mul_toom3;
	size_t mul_ntt;
	size_t square_karatsuba;
	size_t square_toom3;
	size_t square_ntt;
	size_t middle_ntt;
	size_t radix_leaf;
	size_t radix_split;
};

#ifdef BN_THRESHOLDS_VARY
extern struct bn_thresholds bn_thresholds;
#else
#include "bn_tune.h"
static const struct bn_thresholds bn_thresholds __maybe_unused = BN_TUNED;
#endif

#endif /* FIBDRV_BN_MUL_H */
