/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The Fibonacci recurrence: F(0) = 0, F(1) = 1, F(n) = F(n - 1) + F(n - 2).
 */
#ifndef FIBDRV_FIB_H
#define FIBDRV_FIB_H

#include "port.h"

/*
 * The greatest index that this code computes. It keeps every buffer well below
 * INT_MAX bytes, the most that the kernel's own kvmalloc() gives (since v5.15,
 * commit 7661809d493b), and every intermediate of the size computations in 128
 * bits. All functions here demand n <= FIB_INDEX_MAX.
 */
#define FIB_INDEX_MAX 1000000000ULL

/* The exact number of bits and of decimal digits of F(n); 0 and 1 for F(0). */
u64 fib_bits(u64 n);
u64 fib_digits(u64 n);

/**
 * struct fib_number - A Fibonacci number.
 * @limb: the limbs, least significant first; the owner frees them with
 *	port_free(). There is room for the number's decimal chunks too, so that
 *	radix_chunks() can work in place.
 * @count: how many there are, at least 1; the last one is zero for F(0) only.
 */
struct fib_number {
	u64 *limb;
	size_t count;
};

/**
 * fib_compute() - Compute F(n).
 * @number: where the result goes; untouched on failure.
 * @n: the index.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int fib_compute(struct fib_number *number, u64 n);

/* Limbs that F(n) and F(n - 1) each take while they are computed together. */
size_t fib_room(u64 n);

/**
 * fib_compute_pair() - Compute F(n) and F(n - 1).
 * @now: where F(n) goes: fib_room(@n) limbs.
 * @before: where F(n - 1) goes, as many.
 * @count: how many limbs F(n) has, at least 1; F(n - 1) has as many, the last
 *	one of which may be zero.
 * @n: the index, at least 1.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int fib_compute_pair(u64 *now, u64 *before, size_t *count, u64 n);

/* What the words of a pair are digits of. */
enum fib_base {
	FIB_LIMBS,	/* 2^64: for binary and hexadecimal records */
	FIB_CHUNKS,	/* 10^19: for decimal ones, see radix.h */
};

/**
 * struct fib_pair - Two neighbours, from which the next costs one addition.
 * @index: n. The fields are for reading; all zero is an empty pair.
 * @base: of both numbers.
 * @now: the words of F(n), least significant first.
 * @count: how many those are, without leading zeros and at least 1.
 * @before: F(n - 1) in @count words as well, the last of which may be zero.
 * @room: how many words each of the two could have.
 * @memory: both of them, in one allocation; NULL for an empty pair.
 *
 * No locks: whoever owns a pair serialises its use.
 */
struct fib_pair {
	u64 index;
	enum fib_base base;
	u64 *now;
	u64 *before;
	size_t count;
	size_t room;
	u64 *memory;
};

/**
 * fib_pair_bytes() - What does a pair take?
 * @n: its index.
 * @base: its base.
 *
 * It is the same for many neighbouring n, and a pair is reallocated where it
 * grows. An owner with a memory limit asks for the next index before it steps
 * to it, and gives the pair up where the answer is beyond the limit. While a
 * pair is reallocated it takes twice as much.
 *
 * Return: the most bytes that a pair holds at this index.
 */
size_t fib_pair_bytes(u64 n, enum fib_base base);

/**
 * fib_pair_start() - Compute F(n) and F(n - 1).
 * @pair: where they go; what it held is freed, also on failure.
 * @n: the index, at least 1.
 * @base: the base to keep them in.
 *
 * It costs as much as fib_compute() of some n + 1, two conversions if @base is
 * FIB_CHUNKS, and meanwhile as much memory as these.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up; the pair is
 * empty then.
 */
int fib_pair_start(struct fib_pair *pair, u64 n, enum fib_base base);

/**
 * fib_pair_next() - Go on from n to n + 1.
 * @pair: not empty.
 *
 * One addition of @count words, and now and then a reallocation.
 *
 * Return: 0, or -ENOMEM, which leaves the pair as it was.
 */
int fib_pair_next(struct fib_pair *pair);

/* Free what a pair holds; it is empty then. An empty one stays so. */
void fib_pair_free(struct fib_pair *pair);

#endif /* FIBDRV_FIB_H */
