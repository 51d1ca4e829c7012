// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Multiplication and squaring: which way is taken, and Karatsuba's. Working
 * memory comes from the caller, in one piece, for the whole recursion.
 */
#include "bn_mul.h"
#include "bn_thresholds.h"
#include "limb.h"
#include "ntt.h"

/*
 * Multiplications of at least this many limbs look for a fatal signal and
 * yield: often enough for a kill to be felt at once on an emulated CPU
 * (a product of this size is some 20,000 limb products), seldom enough to
 * cost nothing.
 */
#define POLL_LIMBS	256

static int poll_from(size_t n)
{
	return n < POLL_LIMBS ? 0 : port_poll();
}

int bn_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	int err;

	if (n < bn_thresholds.mul_karatsuba) {
		bn_mul_base(r, a, b, n);
		return 0;
	}
	err = poll_from(n);
	if (err)
		return err;
	if (n < bn_thresholds.mul_toom3)
		return bn_mul_karatsuba(r, a, b, n, work);
	if (n < bn_thresholds.mul_ntt)
		return bn_mul_toom3(r, a, b, n, work);
	return ntt_mul(r, a, b, n, work);
}

int bn_square(u64 *r, const u64 *a, size_t n, u64 *work)
{
	int err;

	if (n < bn_thresholds.square_karatsuba) {
		bn_square_base(r, a, n);
		return 0;
	}
	err = poll_from(n);
	if (err)
		return err;
	if (n < bn_thresholds.square_toom3)
		return bn_square_karatsuba(r, a, n, work);
	if (n < bn_thresholds.square_ntt)
		return bn_square_toom3(r, a, n, work);
	return ntt_square(r, a, n, work);
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

int bn_mul_karatsuba(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work)
{
	const size_t low = n - n / 2, high = n / 2;
	u64 *rest = work + bn_karatsuba_level(n);
	bool differ;
	int err;

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

int bn_square_karatsuba(u64 *r, const u64 *a, size_t n, u64 *work)
{
	const size_t low = n - n / 2, high = n / 2;
	u64 *rest = work + bn_karatsuba_level(n);
	int err;

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
 * What the recursion takes from n limbs on. It does not take less for more
 * limbs: a level of Toom-3 alone takes more than Karatsuba's all together.
 */
static size_t recursion_work(size_t n, size_t karatsuba, size_t toom3)
{
	size_t work = 0;

	while (n >= karatsuba) {
		if (n >= toom3) {
			work += bn_toom3_level(n);
			n = (n + 2) / 3 + 1;
		} else {
			work += bn_karatsuba_level(n);
			n -= n / 2;
		}
	}
	return work;
}

static size_t largest(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* The recursion up to where a transform takes its place, or that. */
size_t bn_mul_work(size_t n)
{
	const struct bn_thresholds t = bn_thresholds;
	size_t work;

	work = recursion_work(n < t.mul_ntt ? n : t.mul_ntt, t.mul_karatsuba,
			      t.mul_toom3);
	work = largest(work, recursion_work(n < t.square_ntt ? n : t.square_ntt,
					    t.square_karatsuba, t.square_toom3));
	if (n >= t.mul_ntt || n >= t.square_ntt)
		work = largest(work, ntt_mul_work(n));
	return work;
}
