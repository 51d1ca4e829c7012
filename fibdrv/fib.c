// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * F(n) by doubling. From the pair F(k), F(k - 1) two squarings give
 *
 *	F(2k - 1) = F(k)^2 + F(k - 1)^2
 *	F(2k + 1) = 4 F(k)^2 - F(k - 1)^2 + 2 (-1)^k
 *	F(2k)     = F(2k + 1) - F(2k - 1)
 *
 * and the next bit of n, from the top, chooses the pair to go on with. The last
 * bit needs one number only, which is a single product:
 *
 *	F(2k)     = F(k) (F(k) + 2 F(k - 1))
 *	F(2k + 1) = (2 F(k) + F(k - 1)) (2 F(k) - F(k - 1)) + 2 (-1)^k
 */
#include "fib.h"
#include "bn.h"
#include "limb.h"

/* F(93) is the last one that fits a limb: where the doubling starts. */
#define FIB_INDEX_ONE_LIMB 93

/* Logarithms of the golden ratio and of the root of 5, times 2^96. */
#define FIXED_POINT 96
#define FIXED(high, low) ((__uint128_t)(high) << 64 | (low))
#define LOG2_PHI	FIXED(0x00b1b9d68aULL, 0x8e53425de48fc742ULL)
#define LOG2_ROOT5	FIXED(0x012934f097ULL, 0x9a3715fc9257edfeULL)
#define LOG10_PHI	FIXED(0x00358036c8ULL, 0x2451b7f365d3db23ULL)
#define LOG10_ROOT5	FIXED(0x005977d95eULL, 0xc10c0219dc1da994ULL)

/*
 * F(n) is phi^n / sqrt(5), rounded, so its length in a base is the logarithm of
 * that, rounded down, and one. The truncated constants err by less than
 * 10^9 * 2^-96, and no F(n) in range is that near to a power of 2 or 10.
 */
u64 fib_bits(u64 n)
{
	if (n < 3)
		return n ? 1 : 0;
	return (u64)((n * LOG2_PHI - LOG2_ROOT5) >> FIXED_POINT) + 1;
}

u64 fib_digits(u64 n)
{
	if (n < 3)
		return 1;
	return (u64)((n * LOG10_PHI - LOG10_ROOT5) >> FIXED_POINT) + 1;
}

/* The state of a computation: F(k) and F(k - 1) with @size limbs each. */
struct fib_pair {
	u64 *fk;
	u64 *fk1;
	size_t size;
	bool odd;		/* k is: the sign of (-1)^k */
	u64 *product;		/* twice as long as fk */
	u64 *work;
};

static void start_pair(struct fib_pair *p, u64 k)
{
	u64 i;

	p->fk[0] = 0;
	p->fk1[0] = 1;
	for (i = 0; i < k; i++) {
		u64 next = p->fk[0] + p->fk1[0];

		p->fk1[0] = p->fk[0];
		p->fk[0] = next;
	}
	p->size = 1;
	p->odd = k & 1;
}

/* a += 2 (-1)^k; there is always room for it. */
static void add_sign(u64 *a, size_t n, bool odd)
{
	if (odd)
		bn_sub_limb(a, n, 2);
	else
		bn_add_limb(a, n, 2);
}

/* From k to 2k, or to 2k + 1 if @bit. */
static int double_pair(struct fib_pair *p, bool bit)
{
	const size_t n = 2 * p->size;
	u64 *fk = p->fk, *fk1 = p->fk1, *product = p->product;
	int err;

	err = bn_square(product, fk, p->size, p->work);
	if (!err)
		err = bn_square(fk, fk1, p->size, p->work);
	if (err)
		return err;

	fk1[n] = bn_add(fk1, product, fk, n);		/* F(2k - 1) */
	product[n] = bn_double(product, product, n, 2);
	fk[n] = 0;
	bn_sub(fk, product, fk, n + 1);
	add_sign(fk, n + 1, p->odd);			/* F(2k + 1) */
	if (bit)
		bn_sub(fk1, fk, fk1, n + 1);		/* F(2k) */
	else
		bn_sub(fk, fk, fk1, n + 1);		/* F(2k) */

	p->size = bn_trim(fk, n + 1);
	p->odd = bit;
	return 0;
}

/* From k to the one number F(2k), or F(2k + 1) if @bit, in p->product. */
static int finish_pair(struct fib_pair *p, bool bit)
{
	const size_t n = p->size;
	u64 *fk = p->fk, *fk1 = p->fk1, *product = p->product;
	int err;

	if (bit) {
		product[n] = bn_double(product, fk, n, 1);
		fk1[n] = 0;
		bn_add(fk, product, fk1, n + 1);
		bn_sub(fk1, product, fk1, n + 1);
	} else {
		fk1[n] = bn_double(fk1, fk1, n, 1);
		fk[n] = 0;
		fk1[n] += bn_add(fk1, fk1, fk, n);
	}
	err = bn_mul(product, fk, fk1, n + 1, p->work);
	if (!err && bit)
		add_sign(product, 2 * n + 2, p->odd);
	return err;
}

int fib_compute(struct fib_number *number, u64 n)
{
	/* Doubling leaves up to two leading zero limbs before they are cut. */
	const size_t half = fib_bits(n / 2) / LIMB_BITS + 4;
	struct fib_pair pair;
	unsigned int bits = 0;
	u64 *memory;
	int err = 0;

	pair.product = port_alloc(2 * half, sizeof(u64));
	if (!pair.product)
		return -ENOMEM;
	memory = port_alloc(2 * half + bn_mul_work(half), sizeof(u64));
	if (!memory) {
		err = -ENOMEM;
		goto free_product;
	}
	pair.fk = memory;
	pair.fk1 = memory + half;
	pair.work = memory + 2 * half;

	while (n >> bits > FIB_INDEX_ONE_LIMB)
		bits++;
	start_pair(&pair, n >> bits);
	if (!bits) {
		pair.product[0] = pair.fk[0];
		number->count = 1;
	} else {
		while (!err && --bits)
			err = double_pair(&pair, n >> bits & 1);
		if (!err)
			err = finish_pair(&pair, n & 1);
		if (err)
			goto free_memory;
		number->count = bn_trim(pair.product, 2 * pair.size + 2);
	}
	number->limb = pair.product;
	port_free(memory);
	return 0;

free_memory:
	port_free(memory);
free_product:
	port_free(pair.product);
	return err;
}
