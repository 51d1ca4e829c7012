/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The steps of a product by transforms, which ntt.c puts together: limbs to
 * points, the transform, products of points, the transform back, points to limbs.
 */
#ifndef FIBDRV_NTT_TRANSFORM_H
#define FIBDRV_NTT_TRANSFORM_H

#include "ntt_prime.h"

/**
 * struct ntt_plan - How long the transforms are.
 * @blocks_log2: a transform ends with 2^blocks_log2 blocks, at least 8,
 * @block: of this many points, NTT_BLOCK_MIN to NTT_BLOCK_MAX,
 * @points: so it has as many points.
 *
 * So many points are a polynomial modulo x^points - 1. The transform splits it
 * into remainders modulo x^(points / 2) - 1 and x^(points / 2) + 1, and these
 * again by square roots, until there are polynomials modulo x^block - r. These
 * are short enough for schoolbook multiplication, and leave a choice of lengths
 * in steps of a quarter at most.
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

/* All of these return 0, or -EINTR if port_poll() requested it. */

/* Fill the table of roots. */
int ntt_fill_roots(const struct ntt_prime *prime, const struct ntt_plan *plan,
		   u64 *roots);

/* Split n limbs into the pieces that are points, below 2p; the others are 0. */
int ntt_limbs_to_points(const struct ntt_prime *prime, u64 *x, size_t points,
			const u64 *a, size_t n);

/* The pieces that so many limbs have. */
size_t ntt_pieces(size_t limbs);

/*
 * Transform x, points below 4p, in place. With @half, its upper half is zero and
 * not read. The result is below 4p.
 */
int ntt_forward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		const u64 *roots, u64 *x, bool half);

/* x = x * y / 2^64 between transforms: from below 4p to below 2p. y may be x. */
int ntt_pointwise(const struct ntt_prime *prime, const struct ntt_plan *plan,
		  const u64 *roots, u64 *x, const u64 *y);

/* Back, from below 2p to below 2p, and times 2^blocks_log2. */
int ntt_backward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		 const u64 *roots, u64 *x);

/*
 * The limbs from @first to @end - 1 of a product, from the points of its three
 * transforms, which follow each other in @x.
 */
int ntt_points_to_limbs(u64 *r, size_t first, size_t end, const u64 *x,
			const struct ntt_plan *plan);

#endif /* FIBDRV_NTT_TRANSFORM_H */
