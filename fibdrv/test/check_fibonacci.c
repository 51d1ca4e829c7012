// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Numbers, neighbours and texts, and each failure there can be on the way. */
#include "check.h"
#include "port_user.h"
#include "../arith/fib.h"
#include "../arith/fib_pair.h"
#include "../arith/radix.h"

#define LAST	3000

static void demand_text(const char *text, u64 n, const u64 *limb, size_t count)
{
	const size_t digits = fib_digits(n);
	u64 rest[LAST / 64 + 2];
	size_t i;

	/* From the right, by dividing by 10 as at school. */
	memcpy(rest, limb, count * sizeof(*rest));
	for (i = digits; i--;) {
		__uint128_t part = 0;
		size_t j = count;

		while (j--) {
			part = part << 64 | rest[j];
			rest[j] = (u64)(part / 10);
			part %= 10;
		}
		DEMAND(text[i] == '0' + (char)part, "digit %zu of F(%llu)", i, n);
	}
	DEMAND(!bn_trim(rest, count), "F(%llu) has more than %zu digits", n, digits);
}

static void check_number(u64 n, const u64 *expected, size_t count)
{
	const size_t digits = fib_digits(n), nibbles = (fib_bits(n) + 3) / 4;
	char *text = malloc(digits), *hex = malloc(nibbles + 1);
	u64 *number;
	size_t i;

	count = count ? count : 1;
	DEMAND(fib_limbs(n) == count, "limbs of F(%llu)", n);
	DEMAND(!fib_compute(&number, n) && same(number, expected, count),
	       "F(%llu)", n);
	DEMAND(fib_bits(n) == bn_bits(expected, count), "bits of F(%llu)", n);
	DEMAND(!radix_hex(hex, nibbles + 1, number, count) &&
	       hex[0] == '0', "hex digits of F(%llu)", n);
	for (i = 0; i < nibbles; i++) {
		char digit = "0123456789abcdef"[expected[i / 16] >> i % 16 * 4 & 15];

		DEMAND(hex[nibbles - i] == digit, "hex digit %zu of F(%llu)", i, n);
	}
	DEMAND(!radix_chunks(number, count, digits) &&
	       !radix_decimal(text, digits, number), "digits of F(%llu)", n);
	demand_text(text, n, expected, count);
	port_free(number);
	free(text);
	free(hex);
}

static void check_pair(const struct fib_pair *pair, u64 n, const u64 *expected)
{
	const size_t digits = fib_digits(n);
	char *text;

	DEMAND(pair->index == n, "the pair stands at %llu, not %llu", pair->index, n);
	DEMAND(pair->bytes <= fib_pair_bytes(n, pair->base),
	       "the pair at %llu is too large", n);
	if (pair->base == FIB_LIMBS) {
		DEMAND(same(pair->now, expected, pair->count), "pair at %llu", n);
		return;
	}
	text = malloc(digits);
	DEMAND(pair->count == radix_chunk_count(digits) &&
	       !radix_decimal(text, digits, pair->now), "pair at %llu", n);
	demand_text(text, n, expected, (fib_bits(n) + 63) / 64);
	free(text);
}

void check_fibonacci(void)
{
	static u64 now[LAST / 64 + 2], before[LAST / 64 + 2];
	const size_t room = sizeof(now) / sizeof(*now);
	struct fib_pair *pairs[2] = { NULL };
	const u64 start = 2 + any() % 300;
	u64 n;
	int i;

	memset(now, 0, sizeof(now));
	memset(before, 0, sizeof(before));
	before[0] = 1;
	for (n = 0; n < LAST; n++) {
		if (n < 400 || any() % 16 == 0)
			check_number(n, now, bn_trim(now, room));
		for (i = 0; i < 2; i++) {
			if (n == start)
				port_free(pairs[i]);
			if (n == 1 || n == start)
				DEMAND(!fib_pair_compute(&pairs[i], n, i), "pair");
			else if (n)
				DEMAND(!fib_pair_next(&pairs[i]), "next");
			if (n)
				check_pair(pairs[i], n, now);
		}
		row_add_plain(before, before, now, room, 0);
		for (i = 0; i < (int)room; i++) {
			u64 limb = now[i];

			now[i] = before[i];
			before[i] = limb;
		}
	}
	port_free(pairs[0]);
	port_free(pairs[1]);
}

/* A whole way to a text, and to the next number: what can fail. */
static int do_all(u64 n)
{
	const size_t digits = fib_digits(n), nibbles = (fib_bits(n) + 3) / 4;
	char *text = malloc(digits), *hex = malloc(nibbles);
	struct fib_pair *pair = NULL;
	u64 *number = NULL;
	int err, i;

	err = fib_compute(&number, n);
	if (!err)
		err = radix_hex(hex, nibbles, number, fib_limbs(n));
	if (!err)
		err = radix_chunks(number, fib_limbs(n), digits);
	if (!err)
		err = radix_decimal(text, digits, number);
	port_free(number);
	for (i = FIB_LIMBS; i <= FIB_CHUNKS && !err; i++) {
		err = fib_pair_compute(&pair, n, i);
		DEMAND(!err || !pair, "a failed pair was returned");
		/* Until it has moved. */
		while (!err && pair->count < pair->room && pair->index < n + 900)
			err = fib_pair_next(&pair);
		if (!err)
			err = fib_pair_next(&pair);
		port_free(pair);
		pair = NULL;
	}
	free(text);
	free(hex);
	return err;
}

/* The first allocation or poll fails, the second, and so on until none does. */
static void fail_each(unsigned long *fault, int error, u64 n)
{
	unsigned long k;
	int err;

	for (k = 1;; k += k < 300 ? 1 : k / 50) {
		*fault = k;
		err = do_all(n);
		DEMAND(!port_faults.allocated, "memory is lost at fault %lu", k);
		if (*fault)
			break;
		DEMAND(err == error, "fault %lu gives %d", k, err);
	}
	*fault = 0;
	DEMAND(!err, "without a fault, F(%llu) gives %d", n, err);
}

void check_faults(void)
{
	static const size_t ways[][3] = {
		{ 30, NEVER, NEVER }, { 30, 40, NEVER }, { 30, 40, 260 },
	};
	size_t i;

	fail_each(&port_faults.fail_alloc, -ENOMEM, 90);
	fail_each(&port_faults.fail_alloc, -ENOMEM, 40000);
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		set_thresholds(ways[i][0], ways[i][1], ways[i][2]);
		bn_thresholds.middle_ntt = ways[i][2];
		bn_thresholds.radix_leaf = i ? 64 : 1000;
		bn_thresholds.radix_split = 64;
		fail_each(&port_faults.interrupt, -EINTR, 200000);
	}
	bn_thresholds = TUNED;
}
