// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * F(n) by doubling. Two squarings lead from the pair F(k), F(k - 1) to
 *
 *	F(2k - 1) = F(k)^2 + F(k - 1)^2
 *	F(2k + 1) = 4 F(k)^2 - F(k - 1)^2 + 2 (-1)^k
 *	F(2k)     = F(2k + 1) - F(2k - 1)
 *
 * and the next bit of n, from the top, selects the pair to continue with. If one
 * number is wanted, the last bit takes a single product:
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

/* Working memory of up to so many words is on the stack. */
#define STACK_WORDS	36

/*
 * The state of a computation: F(k) and F(k - 1) with @size limbs each.
 *
 * @size follows from k, never from the limbs. So even a wrong number could not
 * make a loop longer, or reach beyond the memory that was planned for n.
 */
struct doubling {
	u64 *fk;
	u64 *fk1;
	size_t size;
	bool is_odd;		/* k is: the sign of (-1)^k */
	u64 *product;		/* twice as long as fk */
	u64 *work;
};

/* a += 2 (-1)^k; there is always room for it. */
static void add_sign(u64 *a, size_t n, bool is_odd)
{
	if (is_odd)
		bn_sub_limb(a, n, 2);
	else
		bn_add_limb(a, n, 2);
}

/* To @k, from half of it. */
static int double_pair(struct doubling *d, u64 k)
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
	add_sign(fk, n + 1, d->is_odd);			/* F(2k + 1) */
	d->is_odd = k & 1;
	if (d->is_odd)
		bn_sub(fk1, fk, fk1, n + 1);		/* F(2k) */
	else
		bn_sub(fk, fk, fk1, n + 1);		/* F(2k) */
	d->size = fib_limbs(k);
	return 0;
}

/* From k to the one number F(2k), or F(2k + 1) if @is_odd, in d->product. */
static int double_to_number(struct doubling *d, bool is_odd)
{
	size_t n = d->size;
	u64 *fk = d->fk, *fk1 = d->fk1, *product = d->product;
	int err;

	if (is_odd) {
		product[n] = bn_shift_left(product, fk, n, 1);
		fk1[n] = 0;
		bn_add(fk, product, fk1, n + 1);
		bn_sub(fk1, product, fk1, n + 1);
	} else {
		fk1[n] = bn_shift_left(fk1, fk1, n, 1);
		fk[n] = 0;
		fk1[n] += bn_add(fk1, fk1, fk, n);
	}
	product[2 * n] = 0;
	n += (fk[n] | fk1[n]) != 0;
	err = bn_mul(product, fk, fk1, n, d->work);
	if (!err && is_odd)
		add_sign(product, 2 * n, d->is_odd);
	return err;
}

/*
 * The pair F(k), F(k - 1) for the upper bits k of n, from the table and at most
 * one doubling in 128 bits. Returns the number of bits of n that are left.
 */
static unsigned int first_pair(struct doubling *d, u64 n)
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
	d->is_odd = n & 1;
	return bits;
}

/* The number in @product, which has room for it; @memory is for the rest. */
static int compute_number(u64 *product, u64 n, u64 *memory, size_t half)
{
	struct doubling d = {
		.fk = memory,
		.fk1 = memory + half,
		.product = product,
		.work = memory + 2 * half,
	};
	unsigned int bits = first_pair(&d, n);
	int err = 0;

	if (!bits) {
		memcpy(product, d.fk, 2 * sizeof(*product));
		return 0;
	}
	while (bits > 1 && !err)
		err = double_pair(&d, n >> --bits);
	return err ? err : double_to_number(&d, n & 1);
}

int fib_compute(u64 **number, u64 n)
{
	const size_t half = fib_room(n / 2);
	const size_t words = 2 * half + bn_mul_work(half);
	u64 few[STACK_WORDS], *memory = few, *product;
	size_t room = 2 * half;
	int err;

	/* The chunks of a short number are at most its limbs and one. */
	if (words > STACK_WORDS && room < radix_room(fib_digits(n)))
		room = radix_room(fib_digits(n));
	product = port_alloc(room, sizeof(u64));
	if (!product)
		return -ENOMEM;
	if (words > STACK_WORDS) {
		memory = port_alloc(words, sizeof(u64));
		if (!memory) {
			port_free(product);
			return -ENOMEM;
		}
	}
	err = compute_number(product, n, memory, half);
	if (memory != few)
		port_free(memory);
	if (err)
		port_free(product);
	else
		*number = product;
	return err;
}

int fib_compute_pair(u64 *now, u64 *before, u64 n)
{
	const size_t half = fib_room(n / 2);
	struct doubling d = { .fk = now, .fk1 = before };
	unsigned int bits;
	int err = 0;

	d.product = port_alloc(2 * half + bn_mul_work(half), sizeof(u64));
	if (!d.product)
		return -ENOMEM;
	d.work = d.product + 2 * half;
	bits = first_pair(&d, n);
	while (bits && !err)
		err = double_pair(&d, n >> --bits);
	port_free(d.product);
	return err;
}
