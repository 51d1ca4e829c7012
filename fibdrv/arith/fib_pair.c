// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Two neighbours, kept so that the next one costs an addition: in base 2^64, or
 * in base 10^19, where writing it down in decimal costs no conversion either.
 */
#include "fib.h"
#include "bn.h"
#include "limb.h"
#include "radix.h"

/* Words for each number: some more than it has, so as to grow now and then. */
static size_t pair_room(u64 n, enum fib_base base)
{
	size_t words = fib_room(n), step = 8;

	if (base == FIB_CHUNKS && words < radix_room(fib_digits(n)))
		words = radix_room(fib_digits(n));
	while (step * 32 <= words)
		step *= 2;
	return (words / step + 1) * step;
}

size_t fib_pair_bytes(u64 n, enum fib_base base)
{
	return 2 * pair_room(n, base) * sizeof(u64);
}

void fib_pair_free(struct fib_pair *pair)
{
	port_free(pair->memory);
	memset(pair, 0, sizeof(*pair));
}

int fib_pair_start(struct fib_pair *pair, u64 n, enum fib_base base)
{
	const size_t digits = fib_digits(n);
	size_t before;
	int err;

	fib_pair_free(pair);
	pair->room = pair_room(n, base);
	pair->memory = port_alloc(2 * pair->room, sizeof(u64));
	if (!pair->memory) {
		pair->room = 0;
		return -ENOMEM;
	}
	pair->index = n;
	pair->base = base;
	pair->now = pair->memory;
	pair->before = pair->memory + pair->room;

	err = fib_compute_pair(pair->now, pair->before, &pair->count, n);
	if (err || base == FIB_LIMBS)
		goto done;
	/* F(0) has no limb without its leading zeros. */
	before = bn_trim(pair->before, pair->count);
	err = radix_chunks(pair->now, pair->count, digits);
	if (!err)
		err = radix_chunks(pair->before, before ? before : 1, digits);
	pair->count = radix_chunk_count(digits);
done:
	if (err)
		fib_pair_free(pair);
	return err;
}

/* r = a + b in base 10^19, r being a or b; gives the carry. */
static u64 add_chunks(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 carry = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		/* Neither the sum's overflow nor a branch: they are chance. */
		u64 room = RADIX_CHUNK - b[i], sum = a[i] + carry;

		carry = sum >= room;
		r[i] = sum - room + (RADIX_CHUNK & (carry - 1));
	}
	return carry;
}

/* A longer home for both numbers. */
static int move_pair(struct fib_pair *pair)
{
	const size_t room = pair_room(pair->index + 1, pair->base);
	u64 *memory = port_alloc(2 * room, sizeof(u64));

	if (!memory)
		return -ENOMEM;
	memcpy(memory, pair->now, pair->count * sizeof(u64));
	memcpy(memory + room, pair->before, pair->count * sizeof(u64));
	port_free(pair->memory);
	pair->memory = memory;
	pair->now = memory;
	pair->before = memory + room;
	pair->room = room;
	return 0;
}

int fib_pair_next(struct fib_pair *pair)
{
	const size_t n = pair->count;
	u64 *next = pair->before;
	u64 carry;

	if (n == pair->room) {
		int err = move_pair(pair);

		if (err)
			return err;
		next = pair->before;
	}
	if (pair->base == FIB_LIMBS)
		carry = bn_add(next, next, pair->now, n);
	else
		carry = add_chunks(next, next, pair->now, n);
	if (carry) {
		next[n] = carry;
		pair->now[n] = 0;
		pair->count = n + 1;
	}
	pair->before = pair->now;
	pair->now = next;
	pair->index++;
	return 0;
}
