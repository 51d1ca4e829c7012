// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From limbs to the points of a transform and back: the primes, pieces of 80
 * bits, and the Chinese remainder theorem. Four pieces are five limbs.
 */
#include "ntt_transform.h"

#define PIECE_BITS	80
/* A group: 4 pieces in 5 limbs. */
#define GROUP_PIECES	4
#define GROUP_LIMBS	5

/* The loops call port_poll() after so many groups. */
#define POLL_GROUPS	512

/*
 * The roots are 3 or 5 to the power of (p - 1) / 2^26. test/test_arith.py proves
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

size_t ntt_pieces(size_t limbs)
{
	return (limbs * LIMB_BITS + PIECE_BITS - 1) / PIECE_BITS;
}

int ntt_limbs_to_points(const struct ntt_prime *prime, u64 *x, size_t points,
			const u64 *a, size_t n)
{
	/*
	 * 2^62 modulo p: below 2^33. A piece has 18 bits above the lower 62, so
	 * their product with it is below 2^51, and a point below 2^62 + 2^51.
	 */
	const u64 mask = (1ULL << 62) - 1, above = mask + 1 - prime->p;
	size_t i, j;

	for (i = 0; i < n; i += GROUP_LIMBS) {
		u64 l[GROUP_LIMBS] = { 0 };
		const size_t count = n - i < GROUP_LIMBS ? n - i : GROUP_LIMBS;

		if (i % (POLL_GROUPS * GROUP_LIMBS) == 0 && port_poll())
			return -EINTR;
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
	return 0;
}

/* One factor a prime, which turns the points into the remainders. */
struct scale {
	u64 one, two, three;
};

/* 2^128 / 2^blocks_log2 modulo p: corrects the transform and its products. */
static u64 correction(const struct ntt_prime *prime, const struct ntt_plan *plan)
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

	scale->one = correction(prime, plan);
	prime++;
	scale->two = ntt_multiply(correction(prime, plan), INVERSE_1_MOD_2, prime);
	scale->two = ntt_reduce_to_p(scale->two, prime);
	prime++;
	scale->three = ntt_multiply(correction(prime, plan), INVERSE_12_MOD_3, prime);
	scale->three = ntt_reduce_to_p(scale->three, prime);
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
 * Add the number below p1 p2 p3 that has these three remainders, by H. Garner's
 * method: it is v1 + p1 (v2 + p2 v3), and each digit follows from the remainder
 * modulo its own prime and the digits before it.
 */
static __always_inline void add_remainders(struct sum *sum, u64 x1, u64 x2, u64 x3,
					   const struct scale *scale)
{
	const struct ntt_prime *one = ntt_primes, *two = one + 1, *three = two + 1;
	u64 v1, v2, v3, high, low, carry = 0;

	v1 = ntt_reduce_to_p(ntt_multiply(x1, scale->one, one), one);
	v2 = ntt_multiply(x2, scale->two, two);
	v2 -= ntt_multiply(v1, INVERSE_1_MOD_2, two);
	v2 = ntt_reduce_to_p(ntt_add_if_negative(v2, 2 * two->p), two);
	v3 = ntt_multiply(x3, scale->three, three);
	v3 -= ntt_multiply(v1, INVERSE_12_MOD_3, three);
	v3 = ntt_add_if_negative(v3, 2 * three->p);
	v3 -= ntt_multiply(v2, INVERSE_2_MOD_3, three);
	v3 = ntt_reduce_to_p(ntt_add_if_negative(v3, 2 * three->p), three);

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

int ntt_points_to_limbs(u64 *r, size_t first, size_t end, const u64 *x,
			const struct ntt_plan *plan)
{
	const u64 *x1 = x, *x2 = x1 + plan->points, *x3 = x2 + plan->points;
	/* From one group below them: a sum of 186 bits reaches two pieces up. */
	size_t group = first < GROUP_LIMBS ? 0 : first / GROUP_LIMBS - 1;
	struct sum sum = { 0 };
	struct scale scale;

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
		if (group % POLL_GROUPS == 0 && port_poll())
			return -EINTR;
	}
	return 0;
}
