// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The routines on natural numbers against the plainest way to do the same:
 *
 *	check_bn [ROUNDS [SEED]]
 *
 * Built with thresholds that vary: each way to multiply is made to do all the
 * work there is for it, at every small length and around its real threshold, by
 * itself and among the others, with and without adx. All memory is exactly as
 * long as promised, for the sanitizer to watch over.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../bn_mul.h"
#include "../bn_tune.h"
#include "../limb.h"
#include "../ntt.h"
#include "../radix.h"
#include "../row.h"

#define NEVER	((size_t)1 << 40)
#define TUNED	((struct bn_thresholds)BN_TUNED)

struct bn_thresholds bn_thresholds = BN_TUNED;

static u64 state;
static unsigned long checks;

#define DEMAND(condition, ...)						\
	do {								\
		checks++;						\
		if (!(condition)) {					\
			fprintf(stderr, "check_bn: " __VA_ARGS__);	\
			fprintf(stderr, " (line %d)\n", __LINE__);	\
			exit(1);					\
		}							\
	} while (0)

/* G. Marsaglia's xorshift. */
static u64 any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static u64 *limbs(size_t n)
{
	u64 *memory = malloc((n ? n : 1) * sizeof(*memory));

	if (!memory)
		abort();
	memset(memory, 0xa5, n * sizeof(*memory));
	return memory;
}

/* Limbs by chance, but often all ones or all zeros, and in long runs of them. */
static u64 *number(size_t n)
{
	u64 *a = limbs(n);
	const u64 kind = any() % 4;
	size_t i, run = 0;
	u64 value = 0;

	for (i = 0; i < n; i++) {
		if (!run--) {
			run = any() % (kind == 3 ? n : 4);
			value = any() & 1 ? ~0ULL : 0;
		}
		if (kind == 0)
			a[i] = any();
		else if (kind == 1)
			a[i] = ~0ULL;
		else
			a[i] = any() % 8 ? value : any();
	}
	return a;
}

/* Modulo a prime below 2^64, from the top. */
static u64 residue(const u64 *a, size_t n, u64 prime)
{
	u64 rest = 0;

	while (n--)
		rest = (u64)(((__uint128_t)rest << 64 | a[n]) % prime);
	return rest;
}

static void multiply_plainly(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	size_t i;

	memset(r, 0, 2 * n * sizeof(*r));
	for (i = 0; i < n; i++)
		r[n + i] = row_mul_add_plain(r + i, a, n, b[i], 0);
}

static bool same(const u64 *a, const u64 *b, size_t n)
{
	return !memcmp(a, b, n * sizeof(*a));
}

static void check_linear(size_t n)
{
	u64 *a = number(n), *b = number(n), *r = limbs(n + 2), *q = limbs(n + 2);
	const u64 limb = any() % 4 ? any() : ~0ULL;
	const size_t bits = any() % (64 * n + 64);
	unsigned int part = 1 + any() % 63;
	u64 carry;

	carry = row_add_plain(q, a, b, n, 0);
	DEMAND(bn_add(r, a, b, n) == carry && same(r, q, n), "add %zu", n);
	DEMAND(bn_sub(r, r, b, n) == carry && same(r, a, n), "sub %zu", n);
	carry = row_sub_plain(q, a, b, n, 0);
	DEMAND(bn_sub(r, a, b, n) == carry && same(r, q, n), "sub %zu", n);
	DEMAND((bn_compare(a, b, n) < 0) == !!carry, "compare %zu", n);
	DEMAND((bn_compare(a, b, n) > 0) == (!carry && !same(a, b, n)),
	       "compare %zu", n);
	carry = row_mul_plain(q, a, n, limb, 0);
	DEMAND(bn_mul_limb(r, a, n, limb) == carry && same(r, q, n),
	       "mul_limb %zu", n);

	/* A number and its negative are 0, as one more than its complement. */
	memcpy(r, a, n * sizeof(*a));
	bn_negate(r, n);
	bn_add(r, r, a, n);
	DEMAND(bn_trim(r, n) == 0 && bn_bits(r, n) == 0, "negate %zu", n);

	/* Shifts are products with powers of 2, and there and back again. */
	carry = row_mul_plain(q, a, n, 1ULL << part, 0);
	DEMAND(bn_shift_left(r, a, n, part) == carry && same(r, q, n),
	       "shift_left %zu", n);
	bn_shift_right(r, n, part);
	if (n)
		r[n - 1] |= carry << (64 - part);
	DEMAND(same(r, a, n), "shift_right %zu by %u", n, part);
	free(r);
	free(q);
	r = limbs(2 * n + 2);
	q = limbs(n);
	bn_shift_up(r, 2 * n + 2, a, n, bits);
	bn_shift_down(q, n, r, 2 * n + 2, bits);
	DEMAND(same(q, a, n), "shift by %zu of %zu", bits, n);
	DEMAND(!bn_bits(a, n) || bn_bits(r, 2 * n + 2) == bn_bits(a, n) + bits,
	       "bits %zu", n);
	if (n) {
		memcpy(r, a, n * sizeof(*a));
		bn_add_bit(r, n, bits % (64 * n));
		bn_sub_bit(r, n, bits % (64 * n));
		DEMAND(same(r, a, n), "bit %zu", n);
		carry = bn_add_limb(r, n, limb);
		DEMAND(bn_sub_limb(r, n, limb) == carry && same(r, a, n),
		       "limb %zu", n);
	}
	free(a);
	free(b);
	free(r);
	free(q);
}

/* Long ones by their residues: plain multiplication takes too long. */
#define PLAIN_MAX	300

static void demand_product(const u64 *r, const u64 *a, const u64 *b, size_t n,
			   const char *way)
{
	static const u64 primes[] = { 0xffffffffffffffc5ULL, (1ULL << 61) - 1 };
	u64 *expected;
	size_t i;

	if (n > PLAIN_MAX) {
		for (i = 0; i < 2; i++) {
			const u64 p = primes[i];
			const __uint128_t product =
				(__uint128_t)residue(a, n, p) * residue(b, n, p);

			DEMAND(residue(r, 2 * n, p) == (u64)(product % p),
			       "%s product of %zu", way, n);
		}
		return;
	}
	expected = limbs(2 * n);
	multiply_plainly(expected, a, b, n);
	DEMAND(same(r, expected, 2 * n), "%s product of %zu", way, n);
	free(expected);
}

/* Both with the thresholds that are set. */
static void check_product(size_t n, const char *way)
{
	u64 *a = number(n), *b = number(n), *r = limbs(2 * n);
	u64 *work = limbs(bn_mul_work(n));

	DEMAND(!bn_mul(r, a, b, n, work), "interrupted");
	demand_product(r, a, b, n, way);
	DEMAND(!bn_square(r, a, n, work), "interrupted");
	demand_product(r, a, a, n, way);
	free(a);
	free(b);
	free(r);
	free(work);
}

static void set(size_t karatsuba, size_t toom3, size_t ntt)
{
	bn_thresholds = TUNED;
	bn_thresholds.mul_karatsuba = karatsuba;
	bn_thresholds.square_karatsuba = karatsuba;
	bn_thresholds.mul_toom3 = toom3;
	bn_thresholds.square_toom3 = toom3;
	bn_thresholds.mul_ntt = ntt;
	bn_thresholds.square_ntt = ntt;
}

static void check_ways(size_t n)
{
	if (n <= PLAIN_MAX) {
		set(NEVER, NEVER, NEVER);
		check_product(n, "base");
	}
	set(4, NEVER, NEVER);
	check_product(n, "karatsuba");
	set(4, 9, NEVER);
	check_product(n, "toom3");
	set(4, 9, NTT_MIN);
	check_product(n, "ntt");
	set(4 + any() % 30, 9 + any() % 60, NTT_MIN + any() % 200);
	check_product(n, "mixed");
	bn_thresholds = TUNED;
	check_product(n, "tuned");
}

/* The lengths at which the ways change, and what is handed down from there. */
static void check_thresholds(void)
{
	const struct bn_thresholds t = TUNED;
	const size_t limits[] = {
		t.mul_karatsuba, t.square_karatsuba, t.mul_toom3, t.square_toom3,
		t.mul_ntt, t.square_ntt,
	};
	size_t i, j, times;

	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		for (times = 1; times <= 3; times++) {
			for (j = 0; j < 7; j++)
				check_ways(limits[i] * times - 3 + j);
		}
	}
}

static void check_middle(size_t bn, size_t an, size_t threshold)
{
	u64 *a = number(an), *b = number(an), *full = limbs(2 * an);
	u64 *r = limbs(an - bn), *work, *more;

	bn_thresholds = TUNED;
	bn_thresholds.middle_ntt = threshold;
	work = limbs(bn_middle_work(an, bn));
	memset(b + bn, 0, (an - bn) * sizeof(*b));
	multiply_plainly(full, a, b, an);
	DEMAND(!bn_middle(r, a, an, b, bn, work), "middle");

	/* One more or one less will do: 0 to 2 when one is added. */
	more = limbs(an - bn);
	bn_sub(more, r, full + bn, an - bn);
	bn_add_limb(more, an - bn, 1);
	DEMAND(bn_trim(more, an - bn) <= 1 && more[0] <= 2,
	       "middle of %zu by %zu, from %zu", an, bn, threshold);
	free(a);
	free(b);
	free(full);
	free(r);
	free(work);
	free(more);
}

/* B^2n - d V, where V is the inverse, is at least 0 and at most 4 d. */
static void check_inverse(size_t n)
{
	u64 *d = number(n), *v = limbs(n), *work = limbs(bn_inverse_work(n));
	u64 *product = limbs(2 * n + 1), *limit = limbs(n + 1);

	bn_thresholds = TUNED;
	d[n - 1] |= 1ULL << 63;
	d[0] |= 1;
	DEMAND(!bn_inverse(v, d, n, work), "inverse");
	multiply_plainly(product, d, v, n);
	product[2 * n] = bn_add(product + n, product + n, d, n);
	DEMAND(!product[2 * n], "inverse of %zu is too large", n);
	bn_negate(product, 2 * n);
	limit[n] = bn_shift_left(limit, d, n, 2);
	DEMAND(bn_trim(product, 2 * n) <= n + 1 &&
	       bn_compare(product, limit, n + 1) <= 0,
	       "inverse of %zu is too small", n);
	free(d);
	free(v);
	free(work);
	free(product);
	free(limit);
}

/* Chunks by chance, often all nines or all zeros: where digits are decided. */
static void fill_chunks(u64 *chunk, size_t n)
{
	const u64 kind = any() % 4, value = any() & 1 ? RADIX_CHUNK - 1 : 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (kind == 0)
			chunk[i] = any() % RADIX_CHUNK;
		else if (kind == 1)
			chunk[i] = value;
		else if (kind == 2)
			chunk[i] = i < n / 2 ? value : RADIX_CHUNK - 1 - value;
		else
			chunk[i] = any() % 4 ? value : any() % RADIX_CHUNK;
	}
	/* The number next to a long run is as telling. */
	if (any() % 4 == 0)
		chunk[any() % n] = any() % 3;
}

static void check_radix(size_t chunks)
{
	const size_t digits = chunks * RADIX_CHUNK_DIGITS - any() % RADIX_CHUNK_DIGITS;
	const size_t room = radix_room(digits);
	u64 *chunk = limbs(chunks), *a = limbs(room), power = 1;
	size_t i, count;

	fill_chunks(chunk, chunks);
	for (i = digits % RADIX_CHUNK_DIGITS; i; i--)
		power *= 10;
	if (power > 1)
		chunk[chunks - 1] %= power;

	memset(a, 0, room * sizeof(*a));
	for (i = chunks; i--;) {
		bn_mul_limb(a, a, chunks, RADIX_CHUNK);
		bn_add_limb(a, chunks, chunk[i]);
	}
	count = bn_trim(a, chunks);
	memset(a + count, 0xa5, (room - count) * sizeof(*a));
	if (!count)
		a[count++] = 0;
	DEMAND(!radix_chunks(a, count, digits) && same(a, chunk, chunks),
	       "radix of %zu chunks", chunks);
	free(chunk);
	free(a);
}

static void check_all(unsigned long round)
{
	const struct bn_thresholds t = TUNED;
	size_t n, i;

	for (n = 0; n <= 40; n++)
		check_linear(n);
	for (n = 1; n <= 150; n++)
		check_ways(n);
	for (i = 0; i < 40; i++)
		check_ways(1 + any() % 1500);
	if (round % 8 == 0)
		check_thresholds();

	for (i = 0; i < 60; i++) {
		n = 4 + any() % 120;
		check_middle(n, n + 1 + any() % (2 * n), NEVER);
		n = NTT_MIN + any() % 300;
		check_middle(n, n + 1 + any() % n, NTT_MIN);
	}
	for (n = 2; n <= 80; n++)
		check_inverse(n);
	check_inverse(2 + any() % 4000);

	for (i = 0; i < 4; i++) {
		set(4, 9, i & 1 ? NTT_MIN : NEVER);
		bn_thresholds.middle_ntt = i & 2 ? NTT_MIN : NEVER;
		bn_thresholds.radix_leaf = 32;
		bn_thresholds.radix_split = 64;
		for (n = 1; n <= 200; n += 1 + any() % 4)
			check_radix(n);
		check_radix(1 + any() % 2000);
	}
	bn_thresholds = TUNED;
	for (i = 0; i < 4; i++)
		check_radix(t.radix_split - 2 + i);
	check_radix(1 + any() % 3000);
}

int main(int argc, char **argv)
{
	const unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	const bool adx = port_adx;
	unsigned long round;

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 0x9e3779b97f4a7c15ULL;
	if (argc > 3 || !rounds || !state) {
		fputs("usage: check_bn [ROUNDS [SEED]]\n", stderr);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		check_all(round);
		/* The rows in C, where there are others. */
		port_adx = false;
		if (adx)
			check_all(round + 1);
		port_adx = adx;
	}
	printf("ok: %lu checks of products, inverses and digits\n", checks);
	return 0;
}
