// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Division of 2n limbs by n, n a power of two: C. Burnikel, J. Ziegler, "Fast
 * recursive division" (1998), which reduces it to multiplications of n/2 limbs.
 * Powers of two are all that the radix conversion asks for, and they leave the
 * recursion without a special case.
 */
#include "bn.h"
#include "limb.h"

/* Below this many limbs schoolbook division is faster. A power of two. */
#define DIV_RECURSIVE	64

/* a -= b * q, n limbs; gives what is to be taken from the limb above. */
static u64 sub_product(u64 *a, const u64 *b, size_t n, u64 q)
{
	u64 borrow = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		u64 product = limb_mul_add(&borrow, b[i], q, 0);

		/* The product's high limb is at most 2^64 - 2: it has room. */
		borrow += a[i] < product;
		a[i] -= product;
	}
	return borrow;
}

/*
 * Knuth's algorithm D (TAOCP volume 2, 4.3.1), with the estimate of each limb
 * by the reciprocal of the divisor's top limb and not by a division. The
 * estimate is never too small and at most 2 too large.
 */
static void div_school(u64 *q, u64 *a, const u64 *b, size_t n)
{
	const u64 d = b[n - 1], v = limb_reciprocal(d);
	size_t j = n;

	while (j--) {
		u64 top = a[j + n], guess = ~0ULL, rest;

		if (top < d)
			guess = limb_div(&rest, top, a[j + n - 1], d, v);
		top -= sub_product(a + j, b, n, guess);
		while (top) {
			guess--;
			top += bn_add(a + j, a + j, b, n);
		}
		a[j + n] = 0;
		q[j] = guess;
	}
}

/* Divides 3h limbs by 2h: one half of bn_div()'s quotient. */
static int div_three_halves(u64 *q, u64 *a, const u64 *b, size_t h, u64 *work)
{
	u64 top = 0;
	int err;

	/* An estimate from the upper half of b, with its remainder. */
	if (bn_compare(a + 2 * h, b + h, h) < 0) {
		err = bn_div(q, a + h, b + h, h, work);
		if (err)
			return err;
	} else {
		/* The upper parts are equal, so all ones is the estimate. */
		memset(q, 0xff, h * sizeof(*q));
		memset(a + 2 * h, 0, h * sizeof(*a));
		top = bn_add(a + h, a + h, b + h, h);
	}

	/* Then the lower half of b; the estimate is at most 2 too large. */
	err = bn_mul(work, q, b, h, work + 2 * h);
	if (err)
		return err;
	top -= bn_sub(a, a, work, 2 * h);
	while (top) {
		bn_sub_limb(q, h, 1);
		top += bn_add(a, a, b, 2 * h);
	}
	return 0;
}

int bn_div(u64 *q, u64 *a, const u64 *b, size_t n, u64 *work)
{
	const size_t h = n / 2;
	int err;

	/*
	 * A number seldom fills its power of two: most of the quotients of its
	 * leading part are zero, and to see that costs nothing.
	 */
	if (!bn_trim(a + n, n) && bn_compare(a, b, n) < 0) {
		memset(q, 0, n * sizeof(*q));
		return 0;
	}
	if (n < DIV_RECURSIVE) {
		div_school(q, a, b, n);
		return 0;
	}

	err = div_three_halves(q + h, a + h, b, h, work);
	if (!err)
		err = div_three_halves(q, a, b, h, work);
	return err;
}

/* The product of the outermost level and what multiplying it takes. */
size_t bn_div_work(size_t n)
{
	return n + bn_mul_work(n / 2);
}
