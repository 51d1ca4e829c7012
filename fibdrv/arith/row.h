/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The loops that everything else spends its time in: a number plus a number,
 * and a number times one limb. Here in C, as every machine can do them;
 * row_amd64.h and row_arm64.h have an architecture's own.
 */
#ifndef FIBDRV_ROW_H
#define FIBDRV_ROW_H

#include "limb.h"

/* r = a * b + carry, n limbs of a; gives the limb carried out. r may be a. */
static __always_inline u64 row_mul_plain(u64 *r, const u64 *a, size_t n, u64 b,
					 u64 carry)
{
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_mul_add(&carry, a[i], b, 0);
	return carry;
}

/* r += a * b + carry, the same way. */
static __always_inline u64 row_mul_add_plain(u64 *r, const u64 *a, size_t n,
					     u64 b, u64 carry)
{
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_mul_add(&carry, a[i], b, r[i]);
	return carry;
}

/*
 * r = 2 * r + the squares of a's limbs, each at its place: 2n limbs of r and n
 * of a. What a squaring ends with; there is never a carry out of it.
 */
static __always_inline void row_square_plain(u64 *r, const u64 *a, size_t n)
{
	u64 below = 0, carry = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		u64 high, low = limb_mul(&high, a[i], a[i]);
		u64 r0 = r[2 * i], r1 = r[2 * i + 1];

		r[2 * i] = limb_add(&carry, r0 << 1 | below, low);
		r[2 * i + 1] = limb_add(&carry, r1 << 1 | r0 >> 63, high);
		below = r1 >> 63;
	}
}

/* r = a + b + carry and r = a - b - borrow, n limbs each; give what is left. */
static __always_inline u64 row_add_plain(u64 *r, const u64 *a, const u64 *b,
					 size_t n, u64 carry)
{
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_add(&carry, a[i], b[i]);
	return carry;
}

static __always_inline u64 row_sub_plain(u64 *r, const u64 *a, const u64 *b,
					 size_t n, u64 borrow)
{
	size_t i;

	for (i = 0; i < n; i++)
		r[i] = limb_sub(&borrow, a[i], b[i]);
	return borrow;
}

/* BN_PORTABLE is for tests, which compare the two ways. */
#if defined(__x86_64__) && !defined(BN_PORTABLE)
#include "row_amd64.h"
#elif defined(__aarch64__) && !defined(BN_PORTABLE)
#include "row_arm64.h"
#else
static inline u64 row_add(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	return row_add_plain(r, a, b, n, 0);
}

static inline u64 row_sub(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	return row_sub_plain(r, a, b, n, 0);
}
#endif

#endif /* FIBDRV_ROW_H */
