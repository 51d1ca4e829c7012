/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Three primes, and arithmetic modulo each.
 *
 * The primes are the three greatest below 2^62 that are 1 modulo 2^26. A word has
 * room for 4p, so a number modulo p is seldom reduced to below p: the functions
 * here name their bounds, 4p, 2p or p.
 *
 * Constants are in Montgomery form, x * 2^64 mod p, so that the product of a
 * number and a constant is a plain number.
 */
#ifndef FIBDRV_NTT_PRIME_H
#define FIBDRV_NTT_PRIME_H

#include "limb.h"

struct ntt_prime {
	u64 p;
	u64 inverse;		/* of p modulo 2^64 */
	u64 one;		/* 2^64 mod p: 1 in Montgomery form */
	u64 square;		/* 2^128 mod p: 2^64 in Montgomery form */
	u64 root;		/* of unity, of order 2^NTT_ORDER_LOG2 */
};

#define NTT_PRIMES	3
#define NTT_ORDER_LOG2	26

extern const struct ntt_prime ntt_primes[NTT_PRIMES];

/* (high * 2^64 + low) / 2^64 modulo p, below 2p, for high < p. */
static __always_inline u64 ntt_montgomery(u64 high, u64 low,
					  const struct ntt_prime *prime)
{
	u64 above;

	limb_mul(&above, low * prime->inverse, prime->p);
	return high - above + prime->p;
}

/* a * b / 2^64 modulo p, below 2p, for any a and b < p. */
static __always_inline u64 ntt_multiply(u64 a, u64 b, const struct ntt_prime *prime)
{
	u64 high, low = limb_mul(&high, a, b);

	return ntt_montgomery(high, low, prime);
}

/*
 * a + m if the difference a is negative: for |a| <= m < 2^63. By a mask, because
 * compilers make branches of comparisons, and these would be taken at random.
 */
static __always_inline u64 ntt_add_if_negative(u64 a, u64 m)
{
	return a + (m & (0 - (a >> 63)));
}

/* From below 4p to below 2p, and from below 2p to below p. */
static __always_inline u64 ntt_reduce_to_2p(u64 a, const struct ntt_prime *prime)
{
	return ntt_add_if_negative(a - 2 * prime->p, 2 * prime->p);
}

static __always_inline u64 ntt_reduce_to_p(u64 a, const struct ntt_prime *prime)
{
	return ntt_add_if_negative(a - prime->p, prime->p);
}

#endif /* FIBDRV_NTT_PRIME_H */
