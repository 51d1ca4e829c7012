// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Products between two transforms: of polynomials of 4 to 7 points, modulo
 * x^block - root, each with a root of its own.
 */
#include "ntt_transform.h"

/* The loop calls port_poll() after so many pairs of blocks. */
#define POLL_PAIRS	512

/*
 * A product modulo x^block - root: the coefficients from x^block on are added to
 * the lower ones, times the root. Unrolled for each length of a block, which is
 * a constant then.
 */
static __always_inline void multiply_points(const struct ntt_prime *prime,
					    u64 *x, const u64 *y,
					    const size_t block, u64 root)
{
	u64 a[NTT_BLOCK_MAX], b[2 * NTT_BLOCK_MAX];
	const struct ntt_prime pr = *prime;
	size_t i, j;

#pragma GCC unroll 7
	for (i = 0; i < block; i++) {
		a[i] = ntt_reduce_to_p(ntt_reduce_to_2p(x[i], &pr), &pr);
		b[block + i] = ntt_reduce_to_p(ntt_reduce_to_2p(y[i], &pr), &pr);
		b[i] = ntt_reduce_to_p(ntt_multiply(b[block + i], root, &pr), &pr);
	}
#pragma GCC unroll 7
	for (i = 0; i < block; i++) {
		u64 high = 0, low = 0;

#pragma GCC unroll 7
		for (j = 0; j < block; j++)
			limb_mul_accumulate(&high, &low, a[j], b[block + i - j]);
		/*
		 * Factors below p make a sum below NTT_BLOCK_MAX * p^2, and p is
		 * below 2^62: high < 7 p^2 / 2^64 < 1.75 p.
		 */
		x[i] = ntt_montgomery(ntt_reduce_to_p(high, &pr), low, &pr);
	}
}

static void multiply_block(const struct ntt_prime *prime, u64 *x, const u64 *y,
			   size_t block, u64 root)
{
	if (block == 4)
		multiply_points(prime, x, y, 4, root);
	else if (block == 5)
		multiply_points(prime, x, y, 5, root);
	else if (block == 6)
		multiply_points(prime, x, y, 6, root);
	else
		multiply_points(prime, x, y, 7, root);
}

int ntt_pointwise(const struct ntt_prime *prime, const struct ntt_plan *plan,
		  const u64 *roots, u64 *x, const u64 *y)
{
	const size_t block = plan->block, pairs = ntt_roots(plan);
	size_t i;

	for (i = 0; i < pairs; i++) {
		if (i % POLL_PAIRS == 0 && port_poll())
			return -EINTR;
		multiply_block(prime, x, y, block, roots[i]);
		multiply_block(prime, x + block, y + block, block,
			       prime->p - roots[i]);
		x += 2 * block;
		y += 2 * block;
	}
	return 0;
}
