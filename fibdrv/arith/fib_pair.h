/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Two neighbours, F(n) and F(n - 1), from which F(n + 1) costs one addition.
 */
#ifndef FIBDRV_FIB_PAIR_H
#define FIBDRV_FIB_PAIR_H

#include "port.h"

/* The base of the words of a pair. */
enum fib_base {
	FIB_LIMBS,	/* 2^64: for binary and hexadecimal records */
	FIB_CHUNKS,	/* 10^19: for decimal ones, see radix.h */
};

/**
 * struct fib_pair - Two neighbours. The fields are for reading.
 * @index: n, at least 1.
 * @base: of both numbers.
 * @now: the words of F(n), least significant first.
 * @before: F(n - 1) in @count words as well; the last one may be zero.
 * @count: the words of F(n), without leading zeros.
 * @room: the words that each of the two has space for.
 * @bytes: the memory of the pair, this structure included.
 * @word: both numbers.
 *
 * No locks: the owner of a pair serialises its use, and frees it with
 * port_free().
 */
struct fib_pair {
	u64 index;
	enum fib_base base;
	u64 *now;
	u64 *before;
	size_t count;
	size_t room;
	size_t bytes;
	u64 word[];
};

/**
 * fib_pair_bytes() - The most bytes that a pair holds at an index.
 * @n: its index.
 * @base: its base.
 *
 * It is the same for many neighbouring n: a pair is moved to larger memory where
 * it grows. An owner with a memory limit asks for the next index before it goes
 * there, and frees the pair if the answer is beyond the limit. While a pair is
 * moved, the old and the new memory exist.
 *
 * Return: bytes.
 */
size_t fib_pair_bytes(u64 n, enum fib_base base);

/**
 * fib_pair_compute() - Compute F(n) and F(n - 1).
 * @pair: set to the new pair; unchanged on failure.
 * @n: the index, at least 1.
 * @base: the base of the pair.
 *
 * It costs as much as fib_compute() of some n + 1 and, for FIB_CHUNKS, two
 * conversions; meanwhile it takes as much memory as these.
 *
 * Return: 0, -ENOMEM, -EINTR if port_poll() requested it, or -EIO as
 * radix_chunks().
 */
int fib_pair_compute(struct fib_pair **pair, u64 n, enum fib_base base);

/**
 * fib_pair_next() - Step from n to n + 1.
 * @pair: the pair, which may be moved.
 *
 * One addition of @count words, and now and then larger memory.
 *
 * Return: 0, or -ENOMEM, which leaves the pair as it was.
 */
int fib_pair_next(struct fib_pair **pair);

#endif /* FIBDRV_FIB_PAIR_H */
