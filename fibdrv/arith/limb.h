/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Operations on one or two 64-bit limbs. Everything that knows of 128-bit
 * products is here, so this is the file that an architecture's own
 * instructions (mulx, adcx, umulh) would replace.
 *
 * 128-bit integers are only ever added, multiplied and shifted: dividing them
 * would call __udivti3(), which the kernel does not have.
 */
#ifndef FIBDRV_LIMB_H
#define FIBDRV_LIMB_H

#include "port.h"

#define LIMB_BITS 64

/* a * b; the high half goes to *hi, the low half is returned. */
static inline u64 limb_mul(u64 *hi, u64 a, u64 b)
{
	__uint128_t product = (__uint128_t)a * b;

	*hi = (u64)(product >> LIMB_BITS);
	return (u64)product;
}

/*
 * a * b + c + *carry; the high half goes to *carry, the low half is returned.
 * It cannot overflow: (2^64 - 1)^2 + 2 * (2^64 - 1) is 2^128 - 1.
 */
static inline u64 limb_mul_add(u64 *carry, u64 a, u64 b, u64 c)
{
	__uint128_t sum = (__uint128_t)a * b + c + *carry;

	*carry = (u64)(sum >> LIMB_BITS);
	return (u64)sum;
}

/* *high * 2^64 + *low += a * b; the caller knows that it fits. */
static inline void limb_mul_accumulate(u64 *high, u64 *low, u64 a, u64 b)
{
	__uint128_t sum = (__uint128_t)*high << LIMB_BITS | *low;

	sum += (__uint128_t)a * b;
	*high = (u64)(sum >> LIMB_BITS);
	*low = (u64)sum;
}

/* a + b + *carry; *carry is 0 or 1 before and after. */
static inline u64 limb_add(u64 *carry, u64 a, u64 b)
{
	u64 partial = a + b;
	u64 sum = partial + *carry;

	*carry = (partial < a) | (sum < partial);
	return sum;
}

/* a - b - *borrow; *borrow is 0 or 1 before and after. */
static inline u64 limb_sub(u64 *borrow, u64 a, u64 b)
{
	u64 partial = a - b;
	u64 difference = partial - *borrow;

	*borrow = (a < b) | (partial < *borrow);
	return difference;
}

/*
 * (high * 2^64 + low) / d, where high < d, the top bit of d is set and v is its
 * reciprocal, floor((2^128 - 1) / d) - 2^64; the remainder goes to *rest. N.
 * Moeller, T. Granlund, "Improved division by invariant integers" (2011),
 * algorithm 4.
 */
static inline u64 limb_div(u64 *rest, u64 high, u64 low, u64 d, u64 v)
{
	u64 q1, q0, r, carry = 0;

	q0 = limb_mul(&q1, v, high);
	q0 = limb_add(&carry, q0, low);
	q1 += high + carry + 1;
	r = low - q1 * d;
	if (r > q0) {
		q1--;
		r += d;
	}
	if (r >= d) {
		q1++;
		r -= d;
	}
	*rest = r;
	return q1;
}

#endif /* FIBDRV_LIMB_H */
