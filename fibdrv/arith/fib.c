// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * F(n) by doubling. From the pair F(k), F(k - 1) two squarings give
 *
 *	F(2k - 1) = F(k)^2 + F(k - 1)^2
 *	F(2k + 1) = 4 F(k)^2 - F(k - 1)^2 + 2 (-1)^k
 *	F(2k)     = F(2k + 1) - F(2k - 1)
 *
 * and the next bit of n, from the top, chooses the pair to go on with. Where one
 * number is asked for, the last bit is a single product:
 *
 *	F(2k)     = F(k) (F(k) + 2 F(k - 1))
 *	F(2k + 1) = (2 F(k) + F(k - 1)) (2 F(k) - F(k - 1)) + 2 (-1)^k
 */
#include "fib.h"
#include "bn.h"
#include "limb.h"
#include "radix.h"

/* F(93) is the last one that fits a limb, and F(186) that fits two. */
#define FIB_INDEX_ONE_LIMB	93
#define FIB_INDEX_TWO_LIMBS	186

static const u64 one_limb[FIB_INDEX_ONE_LIMB + 1] = {
	0ULL, 1ULL, 1ULL, 2ULL, 3ULL, 5ULL, 8ULL, 13ULL, 21ULL, 34ULL, 55ULL,
	89ULL, 144ULL, 233ULL, 377ULL, 610ULL, 987ULL, 1597ULL, 2584ULL,
	4181ULL, 6765ULL, 10946ULL, 17711ULL, 28657ULL, 46368ULL, 75025ULL,
	121393ULL, 196418ULL, 317811ULL, 514229ULL, 832040ULL, 1346269ULL,
	2178309ULL, 3524578ULL, 5702887ULL, 9227465ULL, 14930352ULL,
	24157817ULL, 39088169ULL, 63245986ULL, 102334155ULL, 165580141ULL,
	267914296ULL, 433494437ULL, 701408733ULL, 1134903170ULL, 1836311903ULL,
	2971215073ULL, 4807526976ULL, 7778742049ULL, 12586269025ULL,
	20365011074ULL, 32951280099ULL, 53316291173ULL, 86267571272ULL,
	139583862445ULL, 225851433717ULL, 365435296162ULL, 591286729879ULL,
	956722026041ULL, 1548008755920ULL, 2504730781961ULL, 4052739537881ULL,
	6557470319842ULL, 10610209857723ULL, 17167680177565ULL,
	27777890035288ULL, 44945570212853ULL, 72723460248141ULL,
	117669030460994ULL, 190392490709135ULL, 308061521170129ULL,
	498454011879264ULL, 806515533049393ULL, 1304969544928657ULL,
	2111485077978050ULL, 3416454622906707ULL, 5527939700884757ULL,
	8944394323791464ULL, 14472334024676221ULL, 23416728348467685ULL,
	37889062373143906ULL, 61305790721611591ULL, 99194853094755497ULL,
	160500643816367088ULL, 259695496911122585ULL, 420196140727489673ULL,
	679891637638612258ULL, 1100087778366101931ULL, 1779979416004714189ULL,
	2880067194370816120ULL, 4660046610375530309ULL, 7540113804746346429ULL,
	12200160415121876738ULL,
};

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
 * 10^9 * 2^-96, and no F(n) in range is that near to a power of 2 or 10, but for
 * the first ones: F(3) is 2, and its quotient is below.
 */
u64 fib_bits(u64 n)
{
	if (n < 4)
		return n < 3 ? n != 0 : 2;
	return (u64)((n * LOG2_PHI - LOG2_ROOT5) >> FIXED_POINT) + 1;
}

u64 fib_digits(u64 n)
{
	if (n < 3)
		return 1;
	return (u64)((n * LOG10_PHI - LOG10_ROOT5) >> FIXED_POINT) + 1;
}

size_t fib_room(u64 n)
{
	/* Doubling leaves up to two leading zero limbs before they are cut. */
	return fib_bits(n) / LIMB_BITS + 4;
}

/* Up to so many words of working memory, are on the stack. */
#define FEW_WORDS	48

/* The state of a computation: F(k) and F(k - 1) with @size limbs each. */
struct doubling {
	u64 *fk;
	u64 *fk1;
	size_t size;
	bool odd;		/* k is: the sign of (-1)^k */
	u64 *product;		/* twice as long as fk */
	u64 *work;
};

/* a += 2 (-1)^k; there is always room for it. */
static void add_sign(u64 *a, size_t n, bool odd)
{
	if (odd)
		bn_sub_limb(a, n, 2);
	else
		bn_add_limb(a, n, 2);
}

/* From k to 2k, or to 2k + 1 if @bit. */
static int double_pair(struct doubling *d, bool bit)
{
	const size_t n = 2 * d->size;
	u64 *fk = d->fk, *fk1 = d->fk1, *product = d->product;
	int err;

	err = bn_square(product, fk, d->size, d->work);
	if (!err)
		err = bn_square(fk, fk1, d->size, d->work);
	if (err)
		return err;

	fk1[n] = bn_add(fk1, product, fk, n);		/* F(2k - 1) */
	product[n] = bn_shift_left(product, product, n, 2);
	fk[n] = 0;
	bn_sub(fk, product, fk, n + 1);
	add_sign(fk, n + 1, d->odd);			/* F(2k + 1) */
	if (bit)
		bn_sub(fk1, fk, fk1, n + 1);		/* F(2k) */
	else
		bn_sub(fk, fk, fk1, n + 1);		/* F(2k) */

	d->size = bn_trim(fk, n + 1);
	d->odd = bit;
	return 0;
}

/* From k to the one number F(2k), or F(2k + 1) if @bit, in d->product. */
static int finish(struct doubling *d, bool bit)
{
	size_t n = d->size;
	u64 *fk = d->fk, *fk1 = d->fk1, *product = d->product;
	int err;

	if (bit) {
		product[n] = bn_shift_left(product, fk, n, 1);
		fk1[n] = 0;
		bn_add(fk, product, fk1, n + 1);
		bn_sub(fk1, product, fk1, n + 1);
	} else {
		fk1[n] = bn_shift_left(fk1, fk1, n, 1);
		fk[n] = 0;
		fk1[n] += bn_add(fk1, fk1, fk, n);
	}
	n += (fk[n] | fk1[n]) != 0;
	err = bn_mul(product, fk, fk1, n, d->work);
	d->size = 2 * n;
	if (!err && bit)
		add_sign(product, 2 * n, d->odd);
	return err;
}

/* The pair at the first k, of up to two limbs; gives how many bits are left. */
static unsigned int start(struct doubling *d, u64 n)
{
	__uint128_t fk, fk1;
	unsigned int bits = 0;
	u64 k;

	while (n >> bits > FIB_INDEX_TWO_LIMBS)
		bits++;
	n >>= bits;
	k = n > FIB_INDEX_ONE_LIMB ? n / 2 : n;
	fk = one_limb[k];
	fk1 = k ? one_limb[k - 1] : 1;
	if (k < n) {
		/* The same doubling, with F(2k) = F(k)^2 + 2 F(k) F(k - 1). */
		const __uint128_t square = fk * fk;

		fk = square + 2 * fk * fk1;
		fk1 = square + fk1 * fk1;
		if (n % 2) {
			fk += fk1;
			fk1 = fk - fk1;
		}
	}
	d->fk[0] = (u64)fk;
	d->fk[1] = (u64)(fk >> LIMB_BITS);
	d->fk1[0] = (u64)fk1;
	d->fk1[1] = (u64)(fk1 >> LIMB_BITS);
	d->size = d->fk[1] ? 2 : 1;
	d->odd = n & 1;
	return bits;
}

/* The number in @product, which has room for it; @memory is for the rest. */
static int compute(struct fib_number *number, u64 n, u64 *product, u64 *memory,
		   size_t half)
{
	struct doubling d = {
		.fk = memory,
		.fk1 = memory + half,
		.product = product,
		.work = memory + 2 * half,
	};
	unsigned int bits = start(&d, n);
	int err = 0;

	if (!bits)
		memcpy(product, d.fk, 2 * sizeof(*product));
	for (; bits > 1 && !err; bits--)
		err = double_pair(&d, n >> (bits - 1) & 1);
	if (bits && !err)
		err = finish(&d, n & 1);
	if (!err) {
		number->limb = product;
		number->count = bits ? bn_trim(product, d.size) : d.size;
	}
	return err;
}

int fib_compute(struct fib_number *number, u64 n)
{
	const size_t half = fib_room(n / 2);
	const size_t words = 2 * half + bn_mul_work(half);
	u64 few[FEW_WORDS], *memory = few, *product;
	size_t room = 2 * half;
	int err;

	/* The chunks of a short number are no more than its limbs and one. */
	if (words > FEW_WORDS && room < radix_room(fib_digits(n)))
		room = radix_room(fib_digits(n));
	product = port_alloc(room, sizeof(u64));
	if (!product)
		return -ENOMEM;
	if (words > FEW_WORDS) {
		memory = port_alloc(words, sizeof(u64));
		if (!memory) {
			port_free(product);
			return -ENOMEM;
		}
	}
	err = compute(number, n, product, memory, half);
	if (memory != few)
		port_free(memory);
	if (err)
		port_free(product);
	return err;
}

int fib_compute_pair(u64 *now, u64 *before, size_t *count, u64 n)
{
	const size_t half = fib_room(n / 2);
	struct doubling d = { .fk = now, .fk1 = before };
	unsigned int bits;
	int err = 0;

	d.product = port_alloc(2 * half + bn_mul_work(half), sizeof(u64));
	if (!d.product)
		return -ENOMEM;
	d.work = d.product + 2 * half;
	for (bits = start(&d, n); bits && !err; bits--)
		err = double_pair(&d, n >> (bits - 1) & 1);
	port_free(d.product);
	*count = d.size;
	return err;
}
