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

#endif /* FIBDRV_BN_MUL_H */
