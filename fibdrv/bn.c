// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Addition, shifting and comparison of natural numbers, and division by one
 * limb: everything that takes time linear in the number's length.
 */
#include "bn.h"
#include "limb.h"

u64 bn_add(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 carry = 0;
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_add(&carry, a[i], b[i]);
	return carry;
}

u64 bn_sub(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 borrow = 0;
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_sub(&borrow, a[i], b[i]);
	return borrow;
}

u64 bn_add_limb(u64 *a, size_t n, u64 v)
{
	size_t i;

	for (i = 0; v && i < n; i++) {
		a[i] += v;
		v = a[i] < v;
	}
	return v;
}

u64 bn_sub_limb(u64 *a, size_t n, u64 v)
{
	size_t i;

	for (i = 0; v && i < n; i++) {
		u64 before = a[i];

		a[i] = before - v;
		v = before < v;
	}
	return v;
}

int bn_compare(const u64 *a, const u64 *b, size_t n)
{
	while (n--) {
		if (a[n] != b[n])
			return a[n] < b[n] ? -1 : 1;
	}
	return 0;
}

size_t bn_trim(const u64 *a, size_t n)
{
	while (n && !a[n - 1])
		n--;
	return n;
}

u64 bn_double(u64 *r, const u64 *a, size_t n, unsigned int bits)
{
	u64 below = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		u64 limb = a[i];

		r[i] = limb << bits | below;
		below = limb >> (LIMB_BITS - bits);
	}
	return below;
}

void bn_shift_left(u64 *a, size_t n, size_t bits)
{
	size_t whole = bits / LIMB_BITS;
	unsigned int part = bits % LIMB_BITS;

	if (whole) {
		memmove(a + whole, a, (n - whole) * sizeof(*a));
		memset(a, 0, whole * sizeof(*a));
	}
	if (part)
		bn_double(a + whole, a + whole, n - whole, part);
}

void bn_shift_right(u64 *a, size_t n, size_t bits)
{
	size_t whole = bits / LIMB_BITS;
	unsigned int part = bits % LIMB_BITS;
	u64 above = 0;
	size_t i;

	if (whole) {
		memmove(a, a + whole, (n - whole) * sizeof(*a));
		memset(a + n - whole, 0, whole * sizeof(*a));
	}
	for (i = n - whole; part && i--;) {
		u64 limb = a[i];

		a[i] = limb >> part | above;
		above = limb << (LIMB_BITS - part);
	}
}

u64 bn_div_limb(u64 *a, size_t n, u64 d, u64 v)
{
	u64 rest = 0;

	while (n--)
		a[n] = limb_div(&rest, rest, a[n], d, v);
	return rest;
}
