// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Sums, shifts, products and squares. */
#include "check.h"
#include "port_user.h"

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
	bn_shift_down(q, n, a, n, 64 * n);
	DEMAND(!bn_trim(q, n), "shift of all %zu", n);
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

/* Modulo a prime below 2^64, from the top. */
u64 residue(const u64 *a, size_t n, u64 prime)
{
	u64 rest = 0;

	while (n--)
		rest = (u64)(((__uint128_t)rest << 64 | a[n]) % prime);
	return rest;
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

	/* It is for up to n limbs, so it may not shrink anywhere. */
	DEMAND(bn_mul_work(n - 1) <= bn_mul_work(n), "%s work of %zu", way, n);
	DEMAND(!bn_mul(r, a, b, n, work), "interrupted");
	demand_product(r, a, b, n, way);
	DEMAND(!bn_square(r, a, n, work), "interrupted");
	demand_product(r, a, a, n, way);
	free(a);
	free(b);
	free(r);
	free(work);
}

static void check_ways(size_t n)
{
	if (n <= PLAIN_MAX) {
		set_thresholds(NEVER, NEVER, NEVER);
		check_product(n, "base");
	}
	set_thresholds(4, NEVER, NEVER);
	check_product(n, "karatsuba");
	set_thresholds(4, 9, NEVER);
	check_product(n, "toom3");
	set_thresholds(4, 9, NTT_MIN);
	check_product(n, "ntt");
	set_thresholds(4 + any() % 30, 9 + any() % 60, NTT_MIN + any() % 200);
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

/* The first poll says to give up, the second, and so on until none does. */
static void interrupt_each(size_t n)
{
	u64 *a = number(n), *r = limbs(2 * n), *work = limbs(bn_mul_work(n));
	unsigned long k, square;
	int err;

	for (square = 0; square < 2; square++) {
		for (k = 1, err = -EINTR; err; k++) {
			port_faults.interrupt = k;
			err = square ? bn_square(r, a, n, work) :
				       bn_mul(r, a, a, n, work);
			DEMAND(!err == !!port_faults.interrupt, "poll %lu", k);
		}
		DEMAND(k > 3, "%zu limbs without a poll", n);
		demand_product(r, a, a, n, "uninterrupted");
	}
	port_faults.interrupt = 0;
	free(a);
	free(r);
	free(work);
}

static void check_interruptions(void)
{
	set_thresholds(30, NEVER, NEVER);
	interrupt_each(1200);
	set_thresholds(30, 90, NEVER);
	interrupt_each(1200);
	/* More points than are cached, in an even and an odd number of levels. */
	set_thresholds(30, 90, 300);
	interrupt_each(12000);
	interrupt_each(24000);
}

void check_products(unsigned long round)
{
	size_t n, i;

	for (n = 0; n <= 40; n++)
		check_linear(n);
	for (n = 1; n <= 150; n++)
		check_ways(n);
	for (i = 0; i < 20; i++)
		check_ways(1 + any() % 1500);
	if (round % 8 == 0) {
		check_thresholds();
		check_interruptions();
	}
	bn_thresholds = TUNED;
}
