// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Products by transforms. The limbs are cut anew, into pieces of 80 bits: four
 * of them are five limbs, and the sum of 2^25 products of two of them is below
 * the product of the three primes, so the three remainders of a sum determine
 * it. A cyclic convolution of the pieces is a product modulo 2^(80 * points) - 1.
 *
 * The remainders modulo one prime are computed after those modulo another, so
 * that only what is left of each, one word a point, is kept.
 */
#include "ntt.h"
#include "ntt_prime.h"

#define PIECE_BITS	80
#define GROUP_PIECES	4	/* in */
#define GROUP_LIMBS	5

/*
 * The roots are 3 or 5 to the power of (p - 1) / 2^26. test/check_bn.c proves
 * every constant from p.
 */
const struct ntt_prime ntt_primes[NTT_PRIMES] = {
	{
		.p		= 0x3fffffffcc000001ULL,
		.inverse	= 0xca90000034000001ULL,
		.one		= 0x00000000cffffffcULL,
		.square		= 0x28fffff9e800000eULL,
		.root		= 0x3a360a1fa70494e8ULL,
	},
	{
		.p		= 0x3fffffff34000001ULL,
		.inverse	= 0x62900000cc000001ULL,
		.one		= 0x000000032ffffffcULL,
		.square		= 0x290000065fffffe8ULL,
		.root		= 0x35aa7b9075105ceaULL,
	},
	{
		.p		= 0x3ffffffe08000001ULL,
		.inverse	= 0xa0400001f8000001ULL,
		.one		= 0x00000007dffffffcULL,
		.square		= 0x040001a93fffff18ULL,
		.root		= 0x27ab678c03f4205bULL,
	},
};

/* In Montgomery form: 1 / p1 modulo p2, and 1 / p2, 1 / (p1 p2) modulo p3. */
#define INVERSE_1_MOD_2		0x35e50d7a46bca1b0ULL
#define INVERSE_2_MOD_3		0x0da740dae2fc9630ULL
#define INVERSE_12_MOD_3	0x297d15c61de51dc2ULL

/* p1 p2 */
#define MODULUS_12_HIGH		0x0fffffffc0000000ULL
#define MODULUS_12_LOW		0xa96fffff00000001ULL

static size_t pieces(size_t limbs)
{
	return (limbs * LIMB_BITS + PIECE_BITS - 1) / PIECE_BITS;
}

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

/* Cut a number into pieces, below 2p; the upper ones of @points are zero. */
static void cut(const struct ntt_prime *prime, u64 *x, size_t points,
		const u64 *a, size_t n)
{
	/* This is 2^62 modulo p, and so small that its product fits a word. */
	const u64 mask = (1ULL << 62) - 1, above = mask + 1 - prime->p;
	size_t i, j;

	for (i = 0; i < n; i += GROUP_LIMBS) {
		u64 l[GROUP_LIMBS] = { 0 };
		const size_t count = n - i < GROUP_LIMBS ? n - i : GROUP_LIMBS;

		for (j = 0; j < count; j++)
			l[j] = a[i + j];
		x[0] = (l[0] & mask) + (l[0] >> 62 | (l[1] & 0xffff) << 2) * above;
		x[1] = ((l[1] >> 16 | l[2] << 48) & mask) +
		       (l[2] >> 14 & 0x3ffff) * above;
		x[2] = ((l[2] >> 32 | l[3] << 32) & mask) +
		       (l[3] >> 30 & 0x3ffff) * above;
		x[3] = ((l[3] >> 48 | l[4] << 16) & mask) +
		       (l[4] >> 46) * above;
		x += GROUP_PIECES;
	}
	i = (n + GROUP_LIMBS - 1) / GROUP_LIMBS * GROUP_PIECES;
	memset(x, 0, (points - i) * sizeof(*x));
}

/* Factors that make the remainders what they are after a transform back. */
struct scale {
	u64 one, two, three;
};

/* 2^128 / 2^blocks_log2 modulo p: what the transforms and products left out. */
static u64 unscaled(const struct ntt_prime *prime, const struct ntt_plan *plan)
{
	u64 factor = prime->square;
	unsigned int i;

	for (i = 0; i < plan->blocks_log2; i++)
		factor = (factor & 1 ? factor + prime->p : factor) / 2;
	return factor;
}

static void fill_scale(struct scale *scale, const struct ntt_plan *plan)
{
	const struct ntt_prime *prime = ntt_primes;

	scale->one = unscaled(prime, plan);
	prime++;
	scale->two = ntt_reduce(ntt_times(unscaled(prime, plan), INVERSE_1_MOD_2,
					  prime), prime);
	prime++;
	scale->three = ntt_reduce(ntt_times(unscaled(prime, plan),
					    INVERSE_12_MOD_3, prime), prime);
}

/* A number of three words, from the least significant one. */
struct sum {
	u64 w0, w1, w2;
};

static __always_inline void add_product(struct sum *sum, u64 a, u64 b)
{
	u64 high, low = limb_mul(&high, a, b), carry = 0;

	sum->w0 = limb_add(&carry, sum->w0, low);
	sum->w1 = limb_add(&carry, sum->w1, high);
	sum->w2 += carry;
}

/*
 * Add the number below p1 p2 p3 that has three remainders, by H. Garner's
 * method: it is v1 + p1 (v2 + p2 v3), and each digit comes from the remainder
 * modulo its own prime and the digits before it.
 */
static __always_inline void add_remainders(struct sum *sum, u64 x1, u64 x2, u64 x3,
					   const struct scale *scale)
{
	const struct ntt_prime *one = ntt_primes, *two = one + 1, *three = two + 1;
	u64 v1, v2, v3, high, low, carry = 0;

	v1 = ntt_reduce(ntt_times(x1, scale->one, one), one);
	v2 = ntt_wrap(ntt_times(x2, scale->two, two) -
		      ntt_times(v1, INVERSE_1_MOD_2, two), 2 * two->p);
	v2 = ntt_reduce(v2, two);
	v3 = ntt_wrap(ntt_times(x3, scale->three, three) -
		      ntt_times(v1, INVERSE_12_MOD_3, three), 2 * three->p);
	v3 = ntt_wrap(v3 - ntt_times(v2, INVERSE_2_MOD_3, three), 2 * three->p);
	v3 = ntt_reduce(v3, three);

	low = limb_mul(&high, v2, one->p);
	low = limb_add(&carry, low, v1);
	high += carry;
	carry = 0;
	sum->w0 = limb_add(&carry, sum->w0, low);
	sum->w1 = limb_add(&carry, sum->w1, high);
	sum->w2 += carry;
	add_product(sum, v3, MODULUS_12_LOW);
	low = limb_mul(&high, v3, MODULUS_12_HIGH);
	carry = 0;
	sum->w1 = limb_add(&carry, sum->w1, low);
	sum->w2 += high + carry;
}

/*
 * The limbs from @first to @end - 1 of the product, from the points of the
 * three transforms, each of which reaches into the two points above it.
 */
static int gather(u64 *r, size_t first, size_t end, const u64 *x,
		  const struct ntt_plan *plan)
{
	const u64 *x1 = x, *x2 = x1 + plan->points, *x3 = x2 + plan->points;
	/* A group more below them, for what is carried out of it. */
	size_t group = first < GROUP_LIMBS ? 0 : first / GROUP_LIMBS - 1;
	struct sum sum = { 0 };
	struct scale scale;
	int err;

	fill_scale(&scale, plan);
	for (; group * GROUP_LIMBS < end; group++) {
		u64 l[GROUP_LIMBS], low[GROUP_PIECES], high[GROUP_PIECES];
		size_t i;

		for (i = 0; i < GROUP_PIECES; i++) {
			const size_t at = group * GROUP_PIECES + i;

			add_remainders(&sum, x1[at], x2[at], x3[at], &scale);
			low[i] = sum.w0;
			high[i] = sum.w1 & 0xffff;
			sum.w0 = sum.w1 >> 16 | sum.w2 << 48;
			sum.w1 = sum.w2 >> 16;
			sum.w2 = 0;
		}
		l[0] = low[0];
		l[1] = high[0] | low[1] << 16;
		l[2] = low[1] >> 48 | high[1] << 16 | low[2] << 32;
		l[3] = low[2] >> 32 | high[2] << 32 | low[3] << 48;
		l[4] = low[3] >> 16 | high[3] << 48;
		for (i = 0; i < GROUP_LIMBS; i++) {
			const size_t at = group * GROUP_LIMBS + i;

			if (at >= first && at < end)
				r[at - first] = l[i];
		}
		if (group % 512 == 0) {
			err = port_poll();
			if (err)
				return err;
		}
	}
	return 0;
}

/*
 * The three remainders of a * b, or of a * a if @b is NULL, in work: 3 * points
 * words, and the roots' table behind. @y has room for points more.
 */
static int convolve(const struct ntt_plan *plan, const u64 *a, size_t an,
		    const u64 *b, size_t bn, u64 *y, u64 *work)
{
	const size_t points = plan->points;
	u64 *roots = work + NTT_PRIMES * points;
	size_t i;
	int err = 0;

	for (i = 0; i < NTT_PRIMES && !err; i++) {
		const struct ntt_prime *prime = &ntt_primes[i];
		u64 *x = work + i * points;
		bool half = pieces(an) <= points / 2;

		ntt_fill_roots(prime, plan, roots);
		cut(prime, x, half ? points / 2 : points, a, an);
		err = ntt_forward(prime, plan, roots, x, half);
		if (!err && b) {
			half = pieces(bn) <= points / 2;
			cut(prime, y, half ? points / 2 : points, b, bn);
			err = ntt_forward(prime, plan, roots, y, half);
		}
		if (!err)
			err = ntt_pointwise(prime, plan, roots, x, b ? y : x);
		if (!err)
			err = ntt_backward(prime, plan, roots, x);
	}
	return err;
}

/* A product of 2n limbs: its points are fewer, so r has room for a transform. */
static int multiply_by_transform(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	const struct ntt_plan plan = plan_transform(2 * pieces(n));
	int err = convolve(&plan, a, n, b, n, r, work);

	return err ? err : gather(r, 0, 2 * n, work, &plan);
}

int ntt_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	return multiply_by_transform(r, a, b, n, work);
}

int ntt_square(u64 *r, const u64 *a, size_t n, u64 *work)
{
	return multiply_by_transform(r, a, NULL, n, work);
}

size_t ntt_mul_work(size_t n)
{
	const struct ntt_plan plan = plan_transform(2 * pieces(n));

	return NTT_PRIMES * plan.points + ntt_roots(&plan);
}

/*
 * The whole product would take an + bn limbs. In the transform its upper end
 * comes back at the lower end, onto limbs that nobody asked for, but for one
 * that keeps what is carried there away from the rest.
 */
int ntt_middle(u64 *r, const u64 *a, size_t an, const u64 *b, size_t bn,
	       u64 *work)
{
	const struct ntt_plan plan = plan_transform(pieces(an + 1));
	u64 *y = work + NTT_PRIMES * plan.points + ntt_roots(&plan);
	int err = convolve(&plan, a, an, b, bn, y, work);

	return err ? err : gather(r, bn, an, work, &plan);
}

size_t ntt_middle_work(size_t an)
{
	const struct ntt_plan plan = plan_transform(pieces(an + 1));

	return (NTT_PRIMES + 1) * plan.points + ntt_roots(&plan);
}
