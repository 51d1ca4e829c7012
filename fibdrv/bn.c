// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Everything that takes time linear in the number's length: addition, shifting
 * and comparison of natural numbers, and multiplication and division by one
 * limb.
 */
#include "bn.h"
#include "row.h"

u64 bn_add(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	return row_add(r, a, b, n);
}

u64 bn_sub(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	return row_sub(r, a, b, n);
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

u64 bn_shift_left(u64 *r, const u64 *a, size_t n, unsigned int bits)
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

void bn_shift_right(u64 *a, size_t n, unsigned int bits)
{
	u64 above = 0;

	while (n--) {
		u64 limb = a[n];

		a[n] = limb >> bits | above;
		above = limb << (LIMB_BITS - bits);
	}
}

u64 bn_mul_limb(u64 *r, const u64 *a, size_t n, u64 b)
{
#ifdef ROW_ADX
	if (port_has_adx())
		return row_mul_adx(r, a, n, b, 0);
#endif
#ifdef ROW_ARM64
	return row_mul_arm64(r, a, n, b, 0);
#else
	return row_mul_plain(r, a, n, b, 0);
#endif
}

u64 bn_div_limb(u64 *a, size_t n, u64 d, u64 v)
{
	u64 rest = 0;

	while (n--)
		a[n] = limb_div(&rest, rest, a[n], d, v);
	return rest;
}
