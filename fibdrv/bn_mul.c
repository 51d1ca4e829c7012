// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Multiplication and squaring: schoolbook below a threshold, Karatsuba above.
 * Working memory comes from the caller, in one piece, for the whole recursion.
 */
#include "bn.h"
#include "limb.h"

/*
 * Where Karatsuba begins to pay, in limbs. Squaring's schoolbook does about
 * half the products, so it stays ahead for longer. Any value from 4 up is
 * correct: Karatsuba's halves must be smaller than the whole.
 */
#define MUL_KARATSUBA	32
#define SQUARE_KARATSUBA	48

/*
 * Multiplications of at least this many limbs look for a fatal signal and
 * yield: often enough for a kill to be felt at once on an emulated CPU
 * (a product of this size is some 50,000 limb products), seldom enough to
 * cost nothing.
 */
#define POLL_LIMBS	512

/* r += a * b, n limbs of a; gives the limb carried out. */
static u64 add_product(u64 *r, const u64 *a, size_t n, u64 b)
{
	u64 carry = 0;
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_mul_add(&carry, a[i], b, r[i]);
	return carry;
}

static void mul_school(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	size_t i;

	memset(r, 0, n * sizeof(*r));
	for (i = 0; i < n; i++)
		r[n + i] = add_product(r + i, a, n, b[i]);
}

/* Each product of two different limbs occurs twice: it is computed once. */
static void square_school(u64 *r, const u64 *a, size_t n)
{
	u64 carry = 0;
	size_t i;

	memset(r, 0, (n + 1) * sizeof(*r));
	for (i = 0; i + 1 < n; i++)
		r[n + i] = add_product(r + 2 * i + 1, a + i + 1, n - i - 1, a[i]);
	r[2 * n - 1] = 0;

	bn_double(r, r, 2 * n, 1);
	for (i = 0; i < n; i++) {
		u64 high, low = limb_mul(&high, a[i], a[i]);

		r[2 * i] = limb_add(&carry, r[2 * i], low);
		r[2 * i + 1] = limb_add(&carry, r[2 * i + 1], high);
	}
}

/*
 * r = |a - b|, where a has n limbs and b has n or n - 1; says whether a < b.
 * The sign is as random as the digits, so Karatsuba must know it.
 */
static bool distance(u64 *r, const u64 *a, size_t n, const u64 *b, size_t bn)
{
	bool less = (bn == n || !a[n - 1]) && bn_compare(a, b, bn) < 0;
	u64 borrow;

	if (less)
		borrow = bn_sub(r, b, a, bn);
	else
		borrow = bn_sub(r, a, b, bn);
	if (bn < n)
		r[n - 1] = less ? 0 : a[n - 1] - borrow;
	return less;
}

/*
 * The last step of Karatsuba. With B = 2^(64 * low), r holds the products of
 * the low halves and of the high halves one above the other, z0 + z2 * B^2,
 * and middle the product of the halves' distances, zm. The coefficient of B,
 * z0 + z2 - zm or z0 + z2 + zm, is computed in middle (2 * low + 1 limbs) and
 * added. It is a sum of products, so it is never negative at the end, though
 * its top limb may wrap on the way.
 */
static void join_halves(u64 *r, size_t n, size_t low, u64 *middle, bool plus)
{
	const size_t high = n - low;
	const u64 *z0 = r, *z2 = r + 2 * low;
	u64 top, carry;

	if (plus)
		top = bn_add(middle, z0, middle, 2 * low);
	else
		top = 0 - bn_sub(middle, z0, middle, 2 * low);
	carry = bn_add(middle, middle, z2, 2 * high);
	top += bn_add_limb(middle + 2 * high, 2 * (low - high), carry);
	middle[2 * low] = top;

	carry = bn_add(r + low, r + low, middle, 2 * low);
	bn_add_limb(r + 3 * low, 2 * n - 3 * low, carry);
	bn_add_limb(r + 3 * low, 2 * n - 3 * low, top);
}

int bn_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	const size_t low = n - n / 2, high = n / 2;
	u64 *rest = work + 2 * low + 1;
	bool differ;
	int err;

	if (n < MUL_KARATSUBA) {
		mul_school(r, a, b, n);
		return 0;
	}
	if (n >= POLL_LIMBS) {
		err = port_poll();
		if (err)
			return err;
	}

	/* The result's own space holds the distances until it is needed. */
	differ = distance(r, a, low, a + low, high);
	differ ^= distance(r + low, b, low, b + low, high);
	err = bn_mul(work, r, r + low, low, rest);
	if (!err)
		err = bn_mul(r, a, b, low, rest);
	if (!err)
		err = bn_mul(r + 2 * low, a + low, b + low, high, rest);
	if (!err)
		join_halves(r, n, low, work, differ);
	return err;
}

int bn_square(u64 *r, const u64 *a, size_t n, u64 *work)
{
	const size_t low = n - n / 2, high = n / 2;
	u64 *rest = work + 2 * low + 1;
	int err;

	if (n < SQUARE_KARATSUBA) {
		square_school(r, a, n);
		return 0;
	}
	if (n >= POLL_LIMBS) {
		err = port_poll();
		if (err)
			return err;
	}

	distance(r, a, low, a + low, high);
	err = bn_square(work, r, low, rest);
	if (!err)
		err = bn_square(r, a, low, rest);
	if (!err)
		err = bn_square(r + 2 * low, a + low, high, rest);
	if (!err)
		join_halves(r, n, low, work, false);
	return err;
}

/*
 * A level takes 2 * ceil(n / 2) + 1 limbs, at most n + 2, and the next is half
 * as long, rounded up: together less than 2n and a few limbs for each of at
 * most 64 levels.
 */
size_t bn_mul_work(size_t n)
{
	return 2 * n + 4 * LIMB_BITS;
}
