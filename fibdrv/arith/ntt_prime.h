/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Three primes, arithmetic modulo each, and the transforms over them.
 *
 * The primes are the three greatest below 2^62 that are 1 modulo 2^26. Numbers
 * modulo p are not reduced at once: a word has room for 4p, so they are kept
 * below that, or below 2p, and the functions here say which.
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
static __always_inline u64 ntt_times(u64 a, u64 b, const struct ntt_prime *prime)
{
	u64 high, low = limb_mul(&high, a, b);

	return ntt_montgomery(high, low, prime);
}

/*
 * a + m if the difference a is negative: for |a| <= m < 2^63. By a mask, since
 * compilers make branches of comparisons, and no branch depends on chance more
 * than these do.
 */
static __always_inline u64 ntt_wrap(u64 a, u64 m)
{
	return a + (m & (0 - (a >> 63)));
}

/* From below 4p to below 2p, and from below 2p to below p. */
static __always_inline u64 ntt_halve(u64 a, const struct ntt_prime *prime)
{
	return ntt_wrap(a - 2 * prime->p, 2 * prime->p);
}

static __always_inline u64 ntt_reduce(u64 a, const struct ntt_prime *prime)
{
	return ntt_wrap(a - prime->p, prime->p);
}

/**
 * struct ntt_plan - How long the transforms are.
 * @blocks_log2: a transform ends with 2^blocks_log2 blocks, at least 8,
 * @block: of this many points, NTT_BLOCK_MIN to NTT_BLOCK_MAX,
 * @points: so it has as many points.
 *
 * A number of points is a polynomial modulo x^points - 1. The transform splits
 * it into remainders modulo x^(points / 2) - 1 and x^(points / 2) + 1, and
 * these on and on by square roots, until there are polynomials modulo
 * x^block - r. These are short enough to be multiplied as at school, and leave
 * a choice of lengths in steps of a quarter at most.
 */
struct ntt_plan {
	unsigned int blocks_log2;
	size_t block;
	size_t points;
};

#define NTT_BLOCK_MIN	4
#define NTT_BLOCK_MAX	7

/* Words of the table of roots that a plan needs. */
static inline size_t ntt_roots(const struct ntt_plan *plan)
{
	return (size_t)1 << (plan->blocks_log2 - 1);
}

/* Fill the table of roots. */
void ntt_fill_roots(const struct ntt_prime *prime, const struct ntt_plan *plan,
		    u64 *roots);

/*
 * Transform x, points below 4p, in place; with @half, the upper half of it is
 * zero and not looked at. The result is below 4p.
 */
int ntt_forward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		const u64 *roots, u64 *x, bool half);

/* x = x * y / 2^64 between transforms: from below 4p to below 2p. y may be x. */
int ntt_pointwise(const struct ntt_prime *prime, const struct ntt_plan *plan,
		  const u64 *roots, u64 *x, const u64 *y);

/* Back, from below 2p to below 2p, and times 2^blocks_log2. */
int ntt_backward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		 const u64 *roots, u64 *x);

#endif /* FIBDRV_NTT_PRIME_H */
