// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Two neighbours, kept so that the next one costs an addition: in base 2^64, or
 * in base 10^19, whose digits need no conversion either.
 */
#include "fib_pair.h"
#include "bn.h"
#include "fib.h"
#include "radix.h"

/* Words for each number: a few more than it has, so that it seldom moves. */
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
	return sizeof(struct fib_pair) + 2 * pair_room(n, base) * sizeof(u64);
}

/* A pair without its numbers; NULL without memory. */
static struct fib_pair *allocate_pair(u64 n, enum fib_base base)
{
	const size_t bytes = fib_pair_bytes(n, base);
	struct fib_pair *pair = port_alloc(bytes, 1);

	if (!pair)
		return NULL;
	pair->index = n;
	pair->base = base;
	pair->room = pair_room(n, base);
	pair->bytes = bytes;
	pair->now = pair->word;
	pair->before = pair->word + pair->room;
	return pair;
}

static int convert_pair(struct fib_pair *pair)
{
	const size_t digits = fib_digits(pair->index);
	const size_t before = bn_trim(pair->before, pair->count);
	int err = radix_chunks(pair->now, pair->count, digits);

	/* Without its leading zeros, F(0) would have no limb. */
	if (!err)
		err = radix_chunks(pair->before, before ? before : 1, digits);
	pair->count = radix_chunk_count(digits);
	return err;
}

int fib_pair_compute(struct fib_pair **pair, u64 n, enum fib_base base)
{
	struct fib_pair *made = allocate_pair(n, base);
	int err;

	if (!made)
		return -ENOMEM;
	made->count = fib_limbs(n);
	err = fib_compute_pair(made->now, made->before, n);
	if (!err && base == FIB_CHUNKS)
		err = convert_pair(made);
	if (err)
		port_free(made);
	else
		*pair = made;
	return err;
}

/* r = a + b in base 10^19, r being a or b; returns the carry. */
static u64 add_chunks(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 carry = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		/* No sum that overflows, and no branch that depends on digits. */
		u64 room = RADIX_CHUNK - b[i], sum = a[i] + carry;

		carry = sum >= room;
		r[i] = sum - room + (RADIX_CHUNK & (carry - 1));
	}
	return carry;
}

/* Move a full pair to memory that has room for the next index. */
static int grow_pair(struct fib_pair **pair)
{
	const struct fib_pair *old = *pair;
	struct fib_pair *larger = allocate_pair(old->index + 1, old->base);

	if (!larger)
		return -ENOMEM;
	larger->index = old->index;
	larger->count = old->count;
	memcpy(larger->now, old->now, old->count * sizeof(u64));
	memcpy(larger->before, old->before, old->count * sizeof(u64));
	port_free(old);
	*pair = larger;
	return 0;
}

int fib_pair_next(struct fib_pair **pair)
{
	struct fib_pair *p = *pair;
	const size_t n = p->count;
	u64 *next, carry;

	if (n == p->room) {
		int err = grow_pair(pair);

		if (err)
			return err;
		p = *pair;
	}
	next = p->before;
	if (p->base == FIB_LIMBS)
		carry = bn_add(next, next, p->now, n);
	else
		carry = add_chunks(next, next, p->now, n);
	if (carry) {
		next[n] = carry;
		p->now[n] = 0;
		p->count = n + 1;
	}
	p->before = p->now;
	p->now = next;
	p->index++;
	return 0;
}
