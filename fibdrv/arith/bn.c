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

void bn_negate(u64 *a, size_t n)
{
	u64 carry = 1;
	size_t i;

	for (i = 0; i < n; i++) {
		a[i] = ~a[i] + carry;
		carry &= !a[i];
	}
}

int bn_compare(const u64 *a, const u64 *b, size_t n)
{
	while (n--) {
		if (a[n] != b[n])
			return a[n] < b[n] ? -1 : 1;
	}
	return 0;
}

size_t bn_bits(const u64 *a, size_t n)
{
	n = bn_trim(a, n);
	return n ? n * LIMB_BITS - __builtin_clzll(a[n - 1]) : 0;
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

/* Two neighbours' bits, shifted out of the lower one into a limb of its own. */
static u64 limb_across(const u64 *a, size_t n, size_t at, unsigned int bits)
{
	const u64 low = at < n ? a[at] : 0, high = at + 1 < n ? a[at + 1] : 0;

	/* In two steps, as one of 64 is undefined. */
	return low >> bits | high << 1 << (LIMB_BITS - 1 - bits);
}

void bn_shift_down(u64 *r, size_t rn, const u64 *a, size_t an, size_t bits)
{
	size_t i;

	for (i = 0; i < rn; i++)
		r[i] = limb_across(a, an, i + bits / LIMB_BITS, bits % LIMB_BITS);
}

void bn_shift_up(u64 *r, size_t rn, const u64 *a, size_t an, size_t bits)
{
	const size_t whole = bits / LIMB_BITS;
	const unsigned int part = bits % LIMB_BITS;
	size_t i;

	memset(r, 0, whole * sizeof(*r));
	for (i = whole; i < rn; i++) {
		u64 high = i - whole < an ? a[i - whole] : 0;
		u64 low = i > whole && i - whole - 1 < an ? a[i - whole - 1] : 0;

		r[i] = high << part | low >> 1 >> (LIMB_BITS - 1 - part);
	}
}

void bn_add_bit(u64 *a, size_t n, size_t bit)
{
	const size_t at = bit / LIMB_BITS;

	bn_add_limb(a + at, n - at, 1ULL << bit % LIMB_BITS);
}

void bn_sub_bit(u64 *a, size_t n, size_t bit)
{
	const size_t at = bit / LIMB_BITS;

	bn_sub_limb(a + at, n - at, 1ULL << bit % LIMB_BITS);
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
