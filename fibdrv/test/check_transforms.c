// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The transforms: their bounds at the extreme points, every root of the longest
 * table, and each length there and back.
 */
#include "check.h"
#include "port_user.h"
#include "../arith/ntt_transform.h"

static u64 multiply_modulo(u64 a, u64 b, u64 p)
{
	return (u64)((__uint128_t)a * b % p);
}

/* 1 / 2^64 modulo p. */
static u64 inverse_word(u64 p)
{
	u64 value = 1;
	int i;

	for (i = 0; i < 64; i++)
		value = (value & 1 ? value + p : value) / 2;
	return value;
}

static struct ntt_plan make_plan(unsigned int blocks_log2, size_t block)
{
	return (struct ntt_plan){ blocks_log2, block, block << blocks_log2 };
}

/*
 * Products of points that are p - 1, 0 or anything modulo p, as large as they
 * may be, with each of the extreme roots.
 */
static void check_pointwise(const struct ntt_prime *prime, size_t block)
{
	const struct ntt_plan plan = make_plan(3, block);
	const u64 p = prime->p, inverse = inverse_word(p);
	u64 *x = limbs(plan.points), *y = limbs(plan.points), *r = limbs(plan.points);
	u64 roots[4] = { prime->one, p - 1, 1, any() % p };
	size_t i, j, k;

	for (i = 0; i < plan.points; i++) {
		x[i] = (any() % 4 ? p - 1 : any() % p) + any() % 4 * p;
		y[i] = (any() % 4 ? p - 1 : any() % p) + any() % 4 * p;
		if (i < 2 * block) {
			x[i] = 4 * p - 1;
			y[i] = 4 * p - 1;
		}
	}
	memcpy(r, x, plan.points * sizeof(*r));
	DEMAND(!ntt_pointwise(prime, &plan, roots, r, y), "interrupted");
	for (k = 0; k < plan.points; k++) {
		const size_t at = k / block * block;
		const u64 sign = k / block % 2;
		u64 root = roots[k / block / 2], sum = 0;

		/* Out of Montgomery form. */
		root = multiply_modulo(sign ? p - root : root, inverse, p);
		for (i = 0; i < block; i++) {
			u64 product;

			j = (k - at + block - i) % block;
			product = multiply_modulo(x[at + i] % p, y[at + j] % p, p);
			if (i + j >= block)
				product = multiply_modulo(product, root, p);
			sum = (u64)(((__uint128_t)sum + product) % p);
		}
		DEMAND(r[k] < 2 * p, "a product is not below 2p");
		DEMAND(r[k] % p == multiply_modulo(sum, inverse, p),
		       "point %zu of blocks of %zu", k, block);
	}
	free(x);
	free(y);
	free(r);
}

/* There from below 4p, and back from below 2p, with all points the greatest. */
static void check_round_trip(const struct ntt_prime *prime, const u64 *roots,
			     const struct ntt_plan *plan, bool extreme)
{
	const size_t points = plan->points;
	const u64 p = prime->p;
	u64 *x = limbs(points), *before = limbs(points);
	size_t i;

	for (i = 0; i < points; i++)
		x[i] = extreme ? 4 * p - 1 : any() % (4 * p);
	memcpy(before, x, points * sizeof(*x));
	DEMAND(!ntt_forward(prime, plan, roots, x, false), "interrupted");
	for (i = 0; i < points; i++) {
		DEMAND(x[i] < 4 * p, "a transform is not below 4p");
		x[i] = x[i] % p + (extreme ? p : 0);
	}
	DEMAND(!ntt_backward(prime, plan, roots, x), "interrupted");
	for (i = 0; i < points; i++) {
		const u64 factor = 1ULL << plan->blocks_log2;

		DEMAND(x[i] < 2 * p, "a transform back is not below 2p");
		DEMAND(x[i] % p == multiply_modulo(before[i] % p, factor, p),
		       "point %zu of %zu there and back", i, points);
	}
	free(x);
	free(before);
}

/* A long table is filled with pauses. */
static void interrupt_roots(void)
{
	const struct ntt_plan plan = make_plan(15, NTT_BLOCK_MIN);
	u64 *roots = limbs(ntt_roots(&plan));

	port_faults.interrupt = 1;
	DEMAND(ntt_fill_roots(ntt_primes, &plan, roots) == -EINTR, "no poll");
	free(roots);
}

void check_transform_bounds(void)
{
	size_t i, block;

	interrupt_roots();
	for (i = 0; i < NTT_PRIMES; i++) {
		const struct ntt_prime *prime = &ntt_primes[i];

		for (block = NTT_BLOCK_MIN; block <= NTT_BLOCK_MAX; block++) {
			const struct ntt_plan plan = make_plan(3 + any() % 6, block);
			u64 *roots = limbs(ntt_roots(&plan));

			check_pointwise(prime, block);
			DEMAND(!ntt_fill_roots(prime, &plan, roots), "interrupted");
			check_round_trip(prime, roots, &plan, true);
			check_round_trip(prime, roots, &plan, false);
			free(roots);
		}
	}
}

/* roots[2 i] is a root of roots[i], roots[2 i + 1] one of -roots[i]. */
static void check_roots(const struct ntt_prime *prime, const u64 *roots, size_t count)
{
	size_t i;

	DEMAND(roots[0] == prime->one, "the first root is not 1");
	for (i = 1; i < count; i++) {
		const u64 parent = roots[i / 2];
		u64 square = ntt_multiply(roots[i], roots[i], prime);

		DEMAND(roots[i] < prime->p, "root %zu is not below p", i);
		DEMAND(ntt_reduce_to_p(square, prime) ==
		       (i % 2 ? prime->p - parent : parent), "root %zu", i);
	}
}

/* A product of n limbs by its residues: long enough to use the last nodes. */
static void check_long_product(size_t n)
{
	static const u64 primes[] = { 0xffffffffffffffc5ULL, (1ULL << 61) - 1 };
	u64 *a = number(n), *b = number(n), *r = limbs(2 * n);
	u64 *work = limbs(ntt_mul_work(n));
	unsigned int i, square;

	for (square = 0; square < 2; square++) {
		const u64 *other = square ? a : b;

		if (square)
			DEMAND(!ntt_square(r, a, n, work), "interrupted");
		else
			DEMAND(!ntt_mul(r, a, b, n, work), "interrupted");
		for (i = 0; i < 2; i++) {
			const u64 p = primes[i];
			u64 expected = multiply_modulo(residue(a, n, p),
						       residue(other, n, p), p);

			DEMAND(residue(r, 2 * n, p) == expected,
			       "product of %zu limbs", n);
		}
	}
	free(a);
	free(b);
	free(r);
	free(work);
}

/* The transforms of F(FIB_INDEX_MAX). */
#define LONGEST_LOG2	22

/* Every root there is, and each length up to 2^last_log2 blocks. */
void check_transforms(unsigned int last_log2)
{
	const struct ntt_plan longest = make_plan(LONGEST_LOG2, NTT_BLOCK_MIN);
	u64 *all = limbs(ntt_roots(&longest)), *roots = limbs(ntt_roots(&longest));
	unsigned int log2;
	size_t i, block;

	for (i = 0; i < NTT_PRIMES; i++) {
		const struct ntt_prime *prime = &ntt_primes[i];

		DEMAND(!ntt_fill_roots(prime, &longest, all), "interrupted");
		check_roots(prime, all, ntt_roots(&longest));
		for (log2 = 3; log2 <= last_log2; log2++) {
			struct ntt_plan plan = make_plan(log2, NTT_BLOCK_MIN + any() % 4);

			DEMAND(!ntt_fill_roots(prime, &plan, roots), "interrupted");
			DEMAND(same(roots, all, ntt_roots(&plan)),
			       "roots of 2^%u blocks", log2);
			check_round_trip(prime, roots, &plan, false);
		}
	}
	for (log2 = 5; log2 <= last_log2; log2++) {
		/* Two numbers of half the points each, in pieces of 80 bits. */
		for (block = NTT_BLOCK_MIN; block <= NTT_BLOCK_MAX; block++)
			check_long_product((block << log2) / 2 * 80 / 64);
	}
	free(all);
	free(roots);
}
