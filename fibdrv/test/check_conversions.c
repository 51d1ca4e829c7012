// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Middles of products, inverses, and digits. */
#include "check.h"
#include "port_user.h"
#include "../arith/radix.h"

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

/* The first poll says to give up, the second, and so on until none does. */
static void interrupt_each(size_t n)
{
	const size_t bn = n / 2;
	u64 *a = number(n), *v = limbs(n), *work;
	unsigned long k, middle;
	int err;

	a[0] |= 1;
	a[n - 1] |= 1ULL << 63;
	work = limbs(bn_inverse_work(n) + bn_middle_work(n, bn));
	for (middle = 0; middle < 2; middle++) {
		for (k = 1, err = -EINTR; err; k++) {
			port_faults.interrupt = k;
			err = middle ? bn_middle(v, a, n, a, bn, work) :
				       bn_inverse(v, a, n, work);
			DEMAND(!err == !!port_faults.interrupt, "poll %lu", k);
		}
		DEMAND(k > 2, "%zu limbs without a poll", n);
	}
	port_faults.interrupt = 0;
	free(a);
	free(v);
	free(work);
}

/* More limbs than the digits can have. */
static void check_impossible_length(void)
{
	const size_t digits = 5 * RADIX_CHUNK_DIGITS;
	u64 *a = number(6);

	port_faults.warnings = 0;
	DEMAND(radix_chunks(a, 6, digits) == -EIO && port_faults.warnings == 1,
	       "6 limbs for 5 chunks");
	port_faults.warnings = 0;
	free(a);
}

void check_conversions(void)
{
	size_t n, i;

	check_impossible_length();
	set_thresholds(30, 90, NEVER);
	bn_thresholds.middle_ntt = NEVER;
	interrupt_each(1200);

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
		set_thresholds(4, 9, i & 1 ? NTT_MIN : NEVER);
		bn_thresholds.middle_ntt = i & 2 ? NTT_MIN : NEVER;
		bn_thresholds.radix_leaf = 32;
		bn_thresholds.radix_split = 64;
		check_quotients(150);
		for (n = 1; n <= 200; n += 1 + any() % 4)
			check_radix(n);
		check_radix(1 + any() % 2000);
	}
	bn_thresholds = TUNED;
	for (i = 0; i < 4; i++)
		check_radix(bn_thresholds.radix_split - 2 + i);
	check_radix(1 + any() % 3000);
}
