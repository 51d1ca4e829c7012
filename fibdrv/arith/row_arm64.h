/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * arm64's own loops, four limbs a turn. A product is two instructions, mul and
 * umulh, and neither touches the one carry flag; nor do sub and cbnz, which
 * count. So a turn has a chain of additions for the high halves and one for the
 * low halves.
 */
#ifndef FIBDRV_ROW_ARM64_H
#define FIBDRV_ROW_ARM64_H

#define ROW_ARM64 1

static __always_inline u64 row_mul_arm64(u64 *r, const u64 *a, size_t n, u64 b,
					 u64 carry)
{
	size_t blocks = n / 4;
	u64 a0, a1, a2, a3, h0, h1, h2;

	carry = row_mul_plain(r, a, n % 4, b, carry);
	if (!blocks)
		return carry;
	a += n % 4;
	r += n % 4;
	asm volatile("1:	ldp	%[a0], %[a1], [%[a]], #16\n"
		     "	ldp	%[a2], %[a3], [%[a]], #16\n"
		     "	umulh	%[h0], %[a0], %[b]\n"
		     "	mul	%[a0], %[a0], %[b]\n"
		     "	umulh	%[h1], %[a1], %[b]\n"
		     "	mul	%[a1], %[a1], %[b]\n"
		     "	umulh	%[h2], %[a2], %[b]\n"
		     "	mul	%[a2], %[a2], %[b]\n"
		     "	adds	%[a0], %[a0], %[carry]\n"
		     "	umulh	%[carry], %[a3], %[b]\n"
		     "	mul	%[a3], %[a3], %[b]\n"
		     "	adcs	%[a1], %[a1], %[h0]\n"
		     "	adcs	%[a2], %[a2], %[h1]\n"
		     "	adcs	%[a3], %[a3], %[h2]\n"
		     "	adc	%[carry], %[carry], xzr\n"
		     "	stp	%[a0], %[a1], [%[r]], #16\n"
		     "	stp	%[a2], %[a3], [%[r]], #16\n"
		     "	sub	%[blocks], %[blocks], #1\n"
		     "	cbnz	%[blocks], 1b\n"
		     : [r] "+r" (r), [a] "+r" (a), [blocks] "+r" (blocks),
		       [carry] "+r" (carry),
		       [a0] "=&r" (a0), [a1] "=&r" (a1), [a2] "=&r" (a2),
		       [a3] "=&r" (a3), [h0] "=&r" (h0), [h1] "=&r" (h1),
		       [h2] "=&r" (h2)
		     : [b] "r" (b)
		     : "cc", "memory");
	return carry;
}

static __always_inline u64 row_mul_add_arm64(u64 *r, const u64 *a, size_t n,
					     u64 b, u64 carry)
{
	size_t blocks = n / 4;
	u64 a0, a1, a2, a3, r0, r1, r2, r3, high;

	carry = row_mul_add_plain(r, a, n % 4, b, carry);
	if (!blocks)
		return carry;
	a += n % 4;
	r += n % 4;
	asm volatile("1:	ldp	%[a0], %[a1], [%[a]], #16\n"
		     "	ldp	%[r0], %[r1], [%[r]]\n"
		     "	ldp	%[a2], %[a3], [%[a]], #16\n"
		     "	ldp	%[r2], %[r3], [%[r], #16]\n"
		     "	mul	%[high], %[a0], %[b]\n"
		     "	adds	%[r0], %[r0], %[high]\n"
		     "	mul	%[high], %[a1], %[b]\n"
		     "	adcs	%[r1], %[r1], %[high]\n"
		     "	mul	%[high], %[a2], %[b]\n"
		     "	adcs	%[r2], %[r2], %[high]\n"
		     "	mul	%[high], %[a3], %[b]\n"
		     "	adcs	%[r3], %[r3], %[high]\n"
		     "	umulh	%[a0], %[a0], %[b]\n"
		     "	umulh	%[a1], %[a1], %[b]\n"
		     "	umulh	%[a2], %[a2], %[b]\n"
		     "	umulh	%[a3], %[a3], %[b]\n"
		     "	adc	%[a3], %[a3], xzr\n"
		     "	adds	%[r0], %[r0], %[carry]\n"
		     "	adcs	%[r1], %[r1], %[a0]\n"
		     "	adcs	%[r2], %[r2], %[a1]\n"
		     "	adcs	%[r3], %[r3], %[a2]\n"
		     "	adc	%[carry], %[a3], xzr\n"
		     "	stp	%[r0], %[r1], [%[r]], #16\n"
		     "	stp	%[r2], %[r3], [%[r]], #16\n"
		     "	sub	%[blocks], %[blocks], #1\n"
		     "	cbnz	%[blocks], 1b\n"
		     : [r] "+r" (r), [a] "+r" (a), [blocks] "+r" (blocks),
		       [carry] "+r" (carry),
		       [a0] "=&r" (a0), [a1] "=&r" (a1), [a2] "=&r" (a2),
		       [a3] "=&r" (a3), [r0] "=&r" (r0), [r1] "=&r" (r1),
		       [r2] "=&r" (r2), [r3] "=&r" (r3), [high] "=&r" (high)
		     : [b] "r" (b)
		     : "cc", "memory");
	return carry;
}

/* extr doubles r, and leaves the flag to the addition of the squares. */
static __always_inline void row_square_arm64(u64 *r, const u64 *a, size_t n)
{
	u64 limb, low, high, r0, r1, below;

	asm volatile("	adds	%[below], xzr, xzr\n"	/* C = 0 */
		     "1:	ldr	%[limb], [%[a]], #8\n"
		     "	ldp	%[r0], %[r1], [%[r]]\n"
		     "	mul	%[low], %[limb], %[limb]\n"
		     "	umulh	%[high], %[limb], %[limb]\n"
		     "	extr	%[below], %[r0], %[below], #63\n"
		     "	extr	%[r0], %[r1], %[r0], #63\n"
		     "	adcs	%[low], %[low], %[below]\n"
		     "	adcs	%[high], %[high], %[r0]\n"
		     "	mov	%[below], %[r1]\n"
		     "	stp	%[low], %[high], [%[r]], #16\n"
		     "	sub	%[n], %[n], #1\n"
		     "	cbnz	%[n], 1b\n"
		     : [r] "+r" (r), [a] "+r" (a), [n] "+r" (n),
		       [limb] "=&r" (limb), [low] "=&r" (low),
		       [high] "=&r" (high), [r0] "=&r" (r0), [r1] "=&r" (r1),
		       [below] "=&r" (below)
		     :
		     : "cc", "memory");
}

static inline u64 row_add(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 carry = 0, a0, a1, a2, a3, b0, b1, b2, b3;
	size_t blocks = n / 4, rest = n % 4;

	if (!blocks)
		return row_add_plain(r, a, b, rest, carry);
	asm volatile("	cmn	xzr, xzr\n"
		     "1:	ldp	%[a0], %[a1], [%[a]], #16\n"
		     "	ldp	%[b0], %[b1], [%[b]], #16\n"
		     "	ldp	%[a2], %[a3], [%[a]], #16\n"
		     "	ldp	%[b2], %[b3], [%[b]], #16\n"
		     "	adcs	%[a0], %[a0], %[b0]\n"
		     "	adcs	%[a1], %[a1], %[b1]\n"
		     "	adcs	%[a2], %[a2], %[b2]\n"
		     "	adcs	%[a3], %[a3], %[b3]\n"
		     "	stp	%[a0], %[a1], [%[r]], #16\n"
		     "	stp	%[a2], %[a3], [%[r]], #16\n"
		     "	sub	%[blocks], %[blocks], #1\n"
		     "	cbnz	%[blocks], 1b\n"
		     "	cset	%[carry], cs\n"
		     : [r] "+r" (r), [a] "+r" (a), [b] "+r" (b),
		       [blocks] "+r" (blocks), [carry] "+r" (carry),
		       [a0] "=&r" (a0), [a1] "=&r" (a1), [a2] "=&r" (a2),
		       [a3] "=&r" (a3), [b0] "=&r" (b0), [b1] "=&r" (b1),
		       [b2] "=&r" (b2), [b3] "=&r" (b3)
		     :
		     : "cc", "memory");
	return row_add_plain(r, a, b, rest, carry);
}

/* The flag is the opposite of a borrow here. */
static inline u64 row_sub(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 carry = 0, a0, a1, a2, a3, b0, b1, b2, b3;
	size_t blocks = n / 4, rest = n % 4;

	if (!blocks)
		return row_sub_plain(r, a, b, rest, carry);
	asm volatile("	cmp	xzr, xzr\n"
		     "1:	ldp	%[a0], %[a1], [%[a]], #16\n"
		     "	ldp	%[b0], %[b1], [%[b]], #16\n"
		     "	ldp	%[a2], %[a3], [%[a]], #16\n"
		     "	ldp	%[b2], %[b3], [%[b]], #16\n"
		     "	sbcs	%[a0], %[a0], %[b0]\n"
		     "	sbcs	%[a1], %[a1], %[b1]\n"
		     "	sbcs	%[a2], %[a2], %[b2]\n"
		     "	sbcs	%[a3], %[a3], %[b3]\n"
		     "	stp	%[a0], %[a1], [%[r]], #16\n"
		     "	stp	%[a2], %[a3], [%[r]], #16\n"
		     "	sub	%[blocks], %[blocks], #1\n"
		     "	cbnz	%[blocks], 1b\n"
		     "	cset	%[carry], cc\n"
		     : [r] "+r" (r), [a] "+r" (a), [b] "+r" (b),
		       [blocks] "+r" (blocks), [carry] "+r" (carry),
		       [a0] "=&r" (a0), [a1] "=&r" (a1), [a2] "=&r" (a2),
		       [a3] "=&r" (a3), [b0] "=&r" (b0), [b1] "=&r" (b1),
		       [b2] "=&r" (b2), [b3] "=&r" (b3)
		     :
		     : "cc", "memory");
	return row_sub_plain(r, a, b, rest, carry);
}

#endif /* FIBDRV_ROW_ARM64_H */
