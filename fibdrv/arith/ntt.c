// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Products by transforms: the outline. The steps are in ntt_pieces.c,
 * ntt_transform.c and ntt_pointwise.c.
 *
 * The limbs are cut into pieces of 80 bits, the coefficients of polynomials, of
 * which a product is computed modulo each of three primes. The piece i of the
 * product is a sum of at most 2^25 products of two pieces, less than the product
 * of the primes, so its three remainders determine it. A cyclic convolution of
 * the pieces is a product modulo 2^(80 * points) - 1.
 *
 * One prime is processed after the other, so only the result of each, one word a
 * point, is kept.
 */
#include "ntt.h"
#include "ntt_transform.h"

/* The shortest transform of at least so many points. */
static struct ntt_plan plan_transform(size_t points)
{
	struct ntt_plan plan = { .blocks_log2 = 3 };

	while ((points - 1) >> plan.blocks_log2 >= NTT_BLOCK_MAX)
		plan.blocks_log2++;
	plan.block = ((points - 1) >> plan.blocks_log2) + 1;
	if (plan.block < NTT_BLOCK_MIN)
		plan.block = NTT_BLOCK_MIN;
	plan.points = plan.block << plan.blocks_log2;
	return plan;
}

/* The transform x of a number: n limbs of @a. */
static int transform(const struct ntt_prime *prime, const struct ntt_plan *plan,
		     const u64 *roots, u64 *x, const u64 *a, size_t n)
{
	const bool half = ntt_pieces(n) <= plan->points / 2;
	const size_t points = half ? plan->points / 2 : plan->points;
	int err = ntt_limbs_to_points(prime, x, points, a, n);

	return err ? err : ntt_forward(prime, plan, roots, x, half);
}

/*
 * The three remainders of a * b, or of a * a if @b is NULL, in work: 3 * points
 * words, followed by the table of roots. @y has room for another transform.
 */
static int convolve(const struct ntt_plan *plan, const u64 *a, size_t an,
		    const u64 *b, size_t bn, u64 *y, u64 *work)
{
	u64 *roots = work + NTT_PRIMES * plan->points;
	size_t i;
	int err = 0;

	for (i = 0; i < NTT_PRIMES && !err; i++) {
		const struct ntt_prime *prime = &ntt_primes[i];
		u64 *x = work + i * plan->points;

		err = ntt_fill_roots(prime, plan, roots);
		if (!err)
			err = transform(prime, plan, roots, x, a, an);
		if (!err && b)
			err = transform(prime, plan, roots, y, b, bn);
		if (!err)
			err = ntt_pointwise(prime, plan, roots, x, b ? y : x);
		if (!err)
			err = ntt_backward(prime, plan, roots, x);
	}
	return err;
}

/* A product of 2n limbs: its points are fewer, so r has room for a transform. */
static int multiply(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	const struct ntt_plan plan = plan_transform(2 * ntt_pieces(n));
	int err = convolve(&plan, a, n, b, n, r, work);

	return err ? err : ntt_points_to_limbs(r, 0, 2 * n, work, &plan);
}

int ntt_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	return multiply(r, a, b, n, work);
}

int ntt_square(u64 *r, const u64 *a, size_t n, u64 *work)
{
	return multiply(r, a, NULL, n, work);
}

size_t ntt_mul_work(size_t n)
{
	const struct ntt_plan plan = plan_transform(2 * ntt_pieces(n));

	return NTT_PRIMES * plan.points + ntt_roots(&plan);
}

/*
 * The whole product would take an + bn limbs. The transform is shorter, so the
 * upper bn limbs are added to the lower ones, which are not wanted. It has a limb
 * more than a, which keeps their carries away from the wanted limbs.
 */
int ntt_middle(u64 *r, const u64 *a, size_t an, const u64 *b, size_t bn,
	       u64 *work)
{
	const struct ntt_plan plan = plan_transform(ntt_pieces(an + 1));
	u64 *y = work + NTT_PRIMES * plan.points + ntt_roots(&plan);
	int err = convolve(&plan, a, an, b, bn, y, work);

	return err ? err : ntt_points_to_limbs(r, bn, an, work, &plan);
}

size_t ntt_middle_work(size_t an)
{
	const struct ntt_plan plan = plan_transform(ntt_pieces(an + 1));

	return (NTT_PRIMES + 1) * plan.points + ntt_roots(&plan);
}
