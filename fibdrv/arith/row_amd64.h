/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * amd64's own loops, four limbs a turn. Only integer instructions: no register
 * is touched that the kernel does not save for itself.
 *
 * mulx leaves the flags alone, and the two additions carry in one flag each,
 * adcx in CF and adox in OF: so one carry runs through the products' halves
 * and another one through the sum, and neither has to be put away between
 * limbs. A counter would spoil the flags but for lea and jrcxz.
 */
#ifndef FIBDRV_ROW_AMD64_H
#define FIBDRV_ROW_AMD64_H

/* The loops named _adx ask for port_has_adx(). */
#define ROW_ADX 1

static __always_inline u64 row_mul_adx(u64 *r, const u64 *a, size_t n, u64 b,
				       u64 carry)
{
	size_t blocks = n / 4;
	u64 low, high;

	carry = row_mul_plain(r, a, n % 4, b, carry);
	if (!blocks)
		return carry;
	a += n % 4;
	r += n % 4;
	asm volatile("	xor	%k[low], %k[low]\n"	/* CF = 0 */
		     "1:	mulx	(%[a]), %[low], %[high]\n"
		     "	adc	%[carry], %[low]\n"
		     "	mov	%[low], (%[r])\n"
		     "	mulx	8(%[a]), %[low], %[carry]\n"
		     "	adc	%[high], %[low]\n"
		     "	mov	%[low], 8(%[r])\n"
		     "	mulx	16(%[a]), %[low], %[high]\n"
		     "	adc	%[carry], %[low]\n"
		     "	mov	%[low], 16(%[r])\n"
		     "	mulx	24(%[a]), %[low], %[carry]\n"
		     "	adc	%[high], %[low]\n"
		     "	mov	%[low], 24(%[r])\n"
		     "	lea	32(%[a]), %[a]\n"
		     "	lea	32(%[r]), %[r]\n"
		     "	dec	%[blocks]\n"		/* CF stays */
		     "	jnz	1b\n"
		     "	adc	$0, %[carry]\n"
		     : [r] "+r" (r), [a] "+r" (a), [blocks] "+r" (blocks),
		       [carry] "+r" (carry),
		       [low] "=&r" (low), [high] "=&r" (high)
		     : "d" (b)
		     : "cc", "memory");
	return carry;
}

static __always_inline u64 row_mul_add_adx(u64 *r, const u64 *a, size_t n,
					   u64 b, u64 carry)
{
	size_t blocks = n / 4;
	u64 low, high;

	carry = row_mul_add_plain(r, a, n % 4, b, carry);
	if (!blocks)
		return carry;
	a += n % 4;
	r += n % 4;
	asm volatile("	xor	%k[low], %k[low]\n"	/* CF = OF = 0 */
		     "1:	mulx	(%[a]), %[low], %[high]\n"
		     "	adcx	%[carry], %[low]\n"
		     "	adox	(%[r]), %[low]\n"
		     "	mov	%[low], (%[r])\n"
		     "	mulx	8(%[a]), %[low], %[carry]\n"
		     "	adcx	%[high], %[low]\n"
		     "	adox	8(%[r]), %[low]\n"
		     "	mov	%[low], 8(%[r])\n"
		     "	mulx	16(%[a]), %[low], %[high]\n"
		     "	adcx	%[carry], %[low]\n"
		     "	adox	16(%[r]), %[low]\n"
		     "	mov	%[low], 16(%[r])\n"
		     "	mulx	24(%[a]), %[low], %[carry]\n"
		     "	adcx	%[high], %[low]\n"
		     "	adox	24(%[r]), %[low]\n"
		     "	mov	%[low], 24(%[r])\n"
		     "	lea	32(%[a]), %[a]\n"
		     "	lea	32(%[r]), %[r]\n"
		     "	lea	-1(%[blocks]), %[blocks]\n"
		     "	jrcxz	2f\n"
		     "	jmp	1b\n"
		     "2:	mov	$0, %k[low]\n"		/* both stay */
		     "	adcx	%[low], %[carry]\n"
		     "	adox	%[low], %[carry]\n"
		     : [r] "+r" (r), [a] "+r" (a), [blocks] "+c" (blocks),
		       [carry] "+r" (carry),
		       [low] "=&r" (low), [high] "=&r" (high)
		     : "d" (b)
		     : "cc", "memory");
	return carry;
}

/* One carry doubles r, the other one adds the squares. */
static __always_inline void row_square_adx(u64 *r, const u64 *a, size_t n)
{
	u64 low, high, sum;

	asm volatile("	xor	%k[low], %k[low]\n"	/* CF = OF = 0 */
		     "1:	mov	(%[a]), %%rdx\n"
		     "	mulx	%%rdx, %[low], %[high]\n"
		     "	mov	(%[r]), %[sum]\n"
		     "	adcx	%[sum], %[sum]\n"
		     "	adox	%[low], %[sum]\n"
		     "	mov	%[sum], (%[r])\n"
		     "	mov	8(%[r]), %[sum]\n"
		     "	adcx	%[sum], %[sum]\n"
		     "	adox	%[high], %[sum]\n"
		     "	mov	%[sum], 8(%[r])\n"
		     "	lea	8(%[a]), %[a]\n"
		     "	lea	16(%[r]), %[r]\n"
		     "	lea	-1(%[n]), %[n]\n"
		     "	jrcxz	2f\n"
		     "	jmp	1b\n"
		     "2:\n"
		     : [r] "+r" (r), [a] "+r" (a), [n] "+c" (n),
		       [low] "=&r" (low), [high] "=&r" (high),
		       [sum] "=&r" (sum)
		     :
		     : "rdx", "cc", "memory");
}

static inline u64 row_add(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	size_t blocks = n / 4, rest = n % 4;
	u64 carry = 0, limb;

	if (!blocks)
		return row_add_plain(r, a, b, rest, carry);
	asm volatile("	xor	%k[limb], %k[limb]\n"	/* CF = 0 */
		     "1:\n"
		     "	.irp	at, 0, 8, 16, 24\n"
		     "	mov	\\at(%[a]), %[limb]\n"
		     "	adc	\\at(%[b]), %[limb]\n"
		     "	mov	%[limb], \\at(%[r])\n"
		     "	.endr\n"
		     "	lea	32(%[a]), %[a]\n"
		     "	lea	32(%[b]), %[b]\n"
		     "	lea	32(%[r]), %[r]\n"
		     "	dec	%[blocks]\n"		/* CF stays */
		     "	jnz	1b\n"
		     "	adc	%[carry], %[carry]\n"
		     : [r] "+r" (r), [a] "+r" (a), [b] "+r" (b),
		       [blocks] "+r" (blocks), [carry] "+r" (carry),
		       [limb] "=&r" (limb)
		     :
		     : "cc", "memory");
	return row_add_plain(r, a, b, rest, carry);
}

static inline u64 row_sub(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	size_t blocks = n / 4, rest = n % 4;
	u64 carry = 0, limb;

	if (!blocks)
		return row_sub_plain(r, a, b, rest, carry);
	asm volatile("	xor	%k[limb], %k[limb]\n"	/* CF = 0 */
		     "1:\n"
		     "	.irp	at, 0, 8, 16, 24\n"
		     "	mov	\\at(%[a]), %[limb]\n"
		     "	sbb	\\at(%[b]), %[limb]\n"
		     "	mov	%[limb], \\at(%[r])\n"
		     "	.endr\n"
		     "	lea	32(%[a]), %[a]\n"
		     "	lea	32(%[b]), %[b]\n"
		     "	lea	32(%[r]), %[r]\n"
		     "	dec	%[blocks]\n"		/* CF stays */
		     "	jnz	1b\n"
		     "	adc	%[carry], %[carry]\n"
		     : [r] "+r" (r), [a] "+r" (a), [b] "+r" (b),
		       [blocks] "+r" (blocks), [carry] "+r" (carry),
		       [limb] "=&r" (limb)
		     :
		     : "cc", "memory");
	return row_sub_plain(r, a, b, rest, carry);
}

#endif /* FIBDRV_ROW_AMD64_H */
