// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The inverse of a number by Newton's iteration, and the middle of a product:
 * what it takes to convert a number to another base by multiplications alone.
 */
#include "bn.h"
#include "bn_thresholds.h"
#include "limb.h"
#include "ntt.h"

/*
 * With B = 2^64 and V the inverse of d, B^2n / d, one step makes from the
 * inverse V1 of d's upper h limbs
 *
 *	V = V1 B^(n-h) + V1 E / B^2h	where E = B^(n+h) - d V1
 *
 * All inverses lie between B^n and 2 B^n, so only what is above B^n is stored.
 * V1 is taken 4 less than it is, whereby it is too small for all of d, and no
 * number here is negative: leaving out d's lower limbs makes an inverse greater
 * by 4 at most. The error is squared by a step, and divided by B if h is more
 * than half of n; cutting the products off adds 2.
 */
static size_t half_of(size_t n)
{
	return n / 2 + 1;
}

/* Of two limbs: bit by bit, as at school. */
static void inverse_of_two(u64 *v, const u64 *d)
{
	const __uint128_t divisor = (__uint128_t)d[1] << LIMB_BITS | d[0];
	__uint128_t rest = ~divisor, quotient = 0;
	int bit;

	for (bit = 0; bit < 2 * LIMB_BITS; bit++) {
		const bool above = rest >> (2 * LIMB_BITS - 1);

		rest = rest << 1 | 1;
		quotient <<= 1;
		if (above || rest >= divisor) {
			rest -= divisor;
			quotient |= 1;
		}
	}
	v[0] = (u64)quotient;
	v[1] = (u64)(quotient >> LIMB_BITS);
}

int bn_inverse(u64 *v, const u64 *d, size_t n, u64 *work)
{
	const size_t h = half_of(n), low = n - h;
	u64 *v1 = v + low, *e = work, *product = e + 2 * h;
	u64 *part = product + 2 * h, *rest = part + h;
	u64 top;
	int err;

	if (n == 2) {
		inverse_of_two(v, d);
		return 0;
	}
	err = bn_inverse(v1, d + low, h, work);
	if (err)
		return err;
	if (bn_sub_limb(v1, h, 4))
		memset(v1, 0, h * sizeof(*v1));

	/* The lower n + 1 limbs of d V1: the others are known. */
	err = bn_mul(e, d, v1, h, rest);
	if (err)
		return err;
	memcpy(part, d + h, low * sizeof(*d));
	part[low] = 0;
	err = bn_mul(product, part, v1, low + 1, rest);
	if (err)
		return err;
	bn_add(e + h, e + h, product, low + 1);
	bn_add(e + h, e + h, d, low + 1);
	bn_negate(e, n + 1);

	/* V1 E, without the lower limbs of E, which count for nothing. */
	e += low;
	top = e[h];
	err = bn_mul(product, v1, e, h, rest);
	if (err)
		return err;
	top += bn_mul_limb(part, v1, h, top);
	top += bn_add(e, e, part, h);
	top += bn_add(e, e, product + h, h);

	/* In its place, so much of the sum is left. */
	memcpy(v, e + h - low, low * sizeof(*v));
	bn_add_limb(v1, h, top);
	return 0;
}

size_t bn_inverse_work(size_t n)
{
	return 5 * half_of(n) + bn_mul_work(half_of(n));
}

int bn_middle(u64 *r, const u64 *a, size_t an, const u64 *b, size_t bn,
	      u64 *work)
{
	const size_t rn = an - bn;
	u64 *product = work, *rest = work + 2 * bn;
	size_t at, count;
	int err;

	if (an >= bn_thresholds.middle_ntt)
		return ntt_middle(r, a, an, b, bn, work);

	/* The lowest part: its product's upper half. */
	err = bn_mul(product, a, b, bn, rest);
	if (err)
		return err;
	count = rn < bn ? rn : bn;
	memcpy(r, product + bn, count * sizeof(*r));
	memset(r + count, 0, (rn - count) * sizeof(*r));

	/* Those above it; of the last one's product, as much as is wanted. */
	for (at = 0; at < rn; at += bn) {
		size_t part = rn - at < bn ? rn - at : bn;

		err = bn_mul(product, a + bn + at, b, part, rest);
		if (err)
			return err;
		count = rn - at < 2 * part ? rn - at : 2 * part;
		bn_add_limb(r + at + count, rn - at - count,
			    bn_add(r + at, r + at, product, count));
	}
	return 0;
}

size_t bn_middle_work(size_t an, size_t bn)
{
	if (an >= bn_thresholds.middle_ntt)
		return ntt_middle_work(an);
	return 2 * bn + bn_mul_work(bn);
}
