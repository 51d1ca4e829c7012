// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Toom-3: with B = 2^(64 * s) and s a third of the length, a number is the value
 * at B of a polynomial a0 + a1 x + a2 x^2, and a product is a polynomial of
 * degree 4, which its values at five points determine: at 0, 1, -1, 2 and
 * infinity. The sequence that gets it back is M. Bodrato's and A. Zanoni's
 * ("Integer and polynomial multiplication: towards optimal Toom-Cook
 * matrices", 2007): one division by 3, two by 2, and no negative number but
 * the value at -1.
 */
#include "bn_mul.h"
#include "limb.h"
#include "row.h"

/*
 * Gives a(1) in @plus and |a(-1)| in @minus, s + 1 limbs each, and says whether
 * a(-1) is negative. a2 has t limbs, at most s.
 */
static bool evaluate_one(u64 *plus, u64 *minus, const u64 *a, size_t s, size_t t)
{
	const u64 *a1 = a + s, *a2 = a + 2 * s;
	bool less;
	u64 carry;

	/* a0 + a2 first: the two values differ by the sign of a1. */
	carry = row_add(plus, a, a2, t);
	memcpy(plus + t, a + t, (s - t) * sizeof(*a));
	plus[s] = bn_add_limb(plus + t, s - t, carry);

	less = !plus[s] && bn_compare(plus, a1, s) < 0;
	if (less) {
		row_sub(minus, a1, plus, s);
		minus[s] = 0;
	} else {
		minus[s] = plus[s] - row_sub(minus, plus, a1, s);
	}
	plus[s] += row_add(plus, plus, a1, s);
	return less;
}

/* Gives a(2) = (a(1) + a2) * 2 - a0, where @value holds a(1): s + 1 limbs. */
static void evaluate_two(u64 *value, const u64 *a, size_t s, size_t t)
{
	u64 carry = row_add(value, value, a + 2 * s, t);

	bn_add_limb(value + t, s + 1 - t, carry);
	bn_shift_left(value, value, s + 1, 1);
	value[s] -= row_sub(value, value, a, s);
}

/*
 * a /= 3, which has no rest. A third of 2^64 - 1 is a whole number, so the
 * quotient is that times a, divided by 2^64 - 1: a sum that runs along.
 */
static void divide_by_3(u64 *a, size_t n)
{
	u64 sum = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		u64 high, low = limb_mul(&high, a[i], ~0ULL / 3);
		bool borrow = sum < low;

		sum -= low;
		a[i] = sum;
		sum -= high + borrow;
	}
}

/* a += b * B, for b of bn limbs at @at of a's n; a has room for the carry. */
static void add_at(u64 *a, size_t n, size_t at, const u64 *b, size_t bn)
{
	u64 carry = row_add(a + at, a + at, b, bn);

	bn_add_limb(a + at + bn, n - at - bn, carry);
}

/*
 * From the values, of 2s + 2 limbs each, to the product: r (2n limbs) holds the
 * values at 0 and at infinity at their places, the first and the fifth.
 */
static void interpolate(u64 *r, size_t n, size_t s, u64 *one, u64 *minus_one,
			bool negative, u64 *two)
{
	const size_t m = 2 * s + 2, top = 2 * n - 4 * s;
	const u64 *zero = r, *infinity = r + 4 * s;
	u64 carry;

	/* Coefficients by name: c0 to c4. */
	if (negative)
		row_add(two, two, minus_one, m);
	else
		row_sub(two, two, minus_one, m);
	divide_by_3(two, m);			/* c1 + c2 + 3 c3 + 5 c4 */
	if (negative)
		row_add(minus_one, one, minus_one, m);
	else
		row_sub(minus_one, one, minus_one, m);
	bn_shift_right(minus_one, m, 1);	/* c1 + c3 */
	carry = row_sub(one, one, zero, 2 * s);
	bn_sub_limb(one + 2 * s, 2, carry);	/* c1 + c2 + c3 + c4 */
	row_sub(two, two, one, m);
	bn_shift_right(two, m, 1);		/* c3 + 2 c4 */
	row_sub(one, one, minus_one, m);
	carry = row_sub(one, one, infinity, top);
	bn_sub_limb(one + top, m - top, carry);	/* c2 */
	carry = row_sub(two, two, infinity, top);
	carry += row_sub(two, two, infinity, top);
	bn_sub_limb(two + top, m - top, carry);	/* c3 */
	row_sub(minus_one, minus_one, two, m);	/* c1 */

	/* c0 and c4 are there; c2 goes between them, into the gap. */
	memcpy(r + 2 * s, one, 2 * s * sizeof(*r));
	bn_add_limb(r + 4 * s, top, one[2 * s]);
	add_at(r, 2 * n, s, minus_one, bn_trim(minus_one, m));
	add_at(r, 2 * n, 3 * s, two, bn_trim(two, m));
}

int bn_mul_toom3(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	const size_t s = (n + 2) / 3, t = n - 2 * s, m = s + 1;
	u64 *one = work, *minus_one = work + 2 * m, *two = work + 4 * m;
	u64 *rest = work + bn_toom3_level(n);
	u64 *a_plus = r, *b_plus = r + m, *a_minus = two, *b_minus = two + m;
	bool negative;
	int err;

	/*
	 * The result's own space and that of the value at 2 hold what goes into
	 * the products until these are there.
	 */
	negative = evaluate_one(a_plus, a_minus, a, s, t);
	negative ^= evaluate_one(b_plus, b_minus, b, s, t);
	err = bn_mul(minus_one, a_minus, b_minus, m, rest);
	if (!err)
		err = bn_mul(one, a_plus, b_plus, m, rest);
	if (err)
		return err;
	evaluate_two(a_plus, a, s, t);
	evaluate_two(b_plus, b, s, t);
	err = bn_mul(two, a_plus, b_plus, m, rest);
	if (!err)
		err = bn_mul(r, a, b, s, rest);
	if (!err)
		err = bn_mul(r + 4 * s, a + 2 * s, b + 2 * s, t, rest);
	if (!err)
		interpolate(r, n, s, one, minus_one, negative, two);
	return err;
}

int bn_square_toom3(u64 *r, const u64 *a, size_t n, u64 *work)
{
	const size_t s = (n + 2) / 3, t = n - 2 * s, m = s + 1;
	u64 *one = work, *minus_one = work + 2 * m, *two = work + 4 * m;
	u64 *rest = work + bn_toom3_level(n);
	int err;

	evaluate_one(r, two, a, s, t);
	err = bn_square(minus_one, two, m, rest);
	if (!err)
		err = bn_square(one, r, m, rest);
	if (err)
		return err;
	evaluate_two(r, a, s, t);
	err = bn_square(two, r, m, rest);
	if (!err)
		err = bn_square(r, a, s, rest);
	if (!err)
		err = bn_square(r + 4 * s, a + 2 * s, t, rest);
	if (!err)
		interpolate(r, n, s, one, minus_one, false, two);
	return err;
}
