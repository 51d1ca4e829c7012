// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Schoolbook multiplication and squaring, a row of products after the other. */
#include "bn_mul.h"
#include "row.h"

/*
 * The same rows in the same order for each kind of row. @kind is a suffix, not
 * a pointer to a function: the loops are to be inlined, and an indirect call
 * costs more than a short row where the kernel fends off Spectre.
 */
#define BASE_ROUTINES(kind)						\
static void mul_##kind(u64 *r, const u64 *a, const u64 *b, size_t n)	\
{									\
	size_t i;							\
									\
	r[n] = row_mul_##kind(r, a, n, b[0], 0);			\
	for (i = 1; i < n; i++)						\
		r[n + i] = row_mul_add_##kind(r + i, a, n, b[i], 0);	\
}									\
									\
/* A product of two different limbs occurs twice: it is computed once. */ \
static void square_##kind(u64 *r, const u64 *a, size_t n)		\
{									\
	size_t i;							\
									\
	r[0] = 0;							\
	r[n] = row_mul_##kind(r + 1, a + 1, n - 1, a[0], 0);		\
	for (i = 1; i + 1 < n; i++)					\
		r[n + i] = row_mul_add_##kind(r + 2 * i + 1, a + i + 1,	\
					      n - i - 1, a[i], 0);	\
	r[2 * n - 1] = 0;						\
	row_square_##kind(r, a, n);					\
}

#ifdef ROW_ARM64
BASE_ROUTINES(arm64)
#else
BASE_ROUTINES(plain)
#endif
#ifdef ROW_ADX
BASE_ROUTINES(adx)
#endif

void bn_mul_base(u64 *r, const u64 *a, const u64 *b, size_t n)
{
#ifdef ROW_ADX
	if (port_has_adx())
		return mul_adx(r, a, b, n);
#endif
#ifdef ROW_ARM64
	mul_arm64(r, a, b, n);
#else
	mul_plain(r, a, b, n);
#endif
}

void bn_square_base(u64 *r, const u64 *a, size_t n)
{
#ifdef ROW_ADX
	if (port_has_adx())
		return square_adx(r, a, n);
#endif
#ifdef ROW_ARM64
	square_arm64(r, a, n);
#else
	square_plain(r, a, n);
#endif
}
