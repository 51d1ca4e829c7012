/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The arithmetic as the driver sees it: four functions. A record is the bytes
 * that one read returns, F(n) in the format of the open file. record_size()
 * returns its length, record_compute() computes the number, record_format()
 * converts it, record_free() frees the memory. Computing and formatting are two
 * steps so that the caller can time each.
 *
 * This is the only header of this directory that the driver includes, except
 * port.h: what the arithmetic needs from the kernel.
 */
#ifndef FIBDRV_RECORD_H
#define FIBDRV_RECORD_H

#include "port.h"
#include "../uapi/fibdrv.h"

/*
 * The largest index. It keeps every buffer well below INT_MAX bytes, the limit
 * of the kernel's kvmalloc() (since v5.15, commit 7661809d493b), and every
 * intermediate of the length computations in 128 bits. The functions of this
 * directory require n <= FIB_INDEX_MAX. check_lengths proves fib_length.c for
 * every index up to here.
 */
#define FIB_INDEX_MAX 1000000000ULL

/**
 * record_size() - The exact length of a record; costs nothing.
 * @n: the index, at most FIB_INDEX_MAX.
 * @format: an enum fibdrv_format_id.
 *
 * Return: bytes, the newline of a text included.
 */
size_t record_size(u64 n, u32 format);

struct fib_pair;

/**
 * struct record_sequence - The state of a reader that reads n, n + 1, n + 2, ...
 * @pair: the last number and the one before it, from which the next number
 *	costs one addition; NULL until two neighbours were read.
 * @bytes: the memory that @pair holds; 0 without one.
 * @expected: the index after the last one that was read.
 *
 * All zero is the state of a new reader. The caller serialises its use.
 */
struct record_sequence {
	struct fib_pair *pair;
	size_t bytes;
	u64 expected;
};

/**
 * struct record - A record in the making. The caller sets @index and @format
 *	and leaves the other fields zero.
 * @index: n.
 * @format: an enum fibdrv_format_id.
 * @flags: FIBDRV_STATS_*: how the number was computed.
 * @limbs: the length of the number in 64-bit words.
 * @size: the length of the record in bytes.
 * @bytes: the record; valid after record_format().
 * @word: private: the words of the number, @number or those of a pair.
 * @number: private: the number, if the record owns it.
 * @text: private: the text, NULL for the binary format.
 */
struct record {
	u64 index;
	u32 format;
	u32 flags;
	u64 limbs;
	size_t size;
	const void *bytes;
	const u64 *word;
	u64 *number;
	char *text;
};

/**
 * record_compute() - Compute the number of a record.
 * @record: its index is at most FIB_INDEX_MAX.
 * @sequence: the state of this reader, used and updated; NULL for a read that
 *	belongs to no sequence. It must not change until the record is freed.
 * @limit: the most bytes that @sequence may hold afterwards. While its pair is
 *	moved to larger memory, both exist.
 *
 * A pair is a convenience: without memory for it, the number is computed without
 * one, and @sequence holds nothing.
 *
 * Return: 0, -ENOMEM, -EINTR if port_poll() requested it, or -EIO with a warning
 * if a result contradicts what is known about it, which is a bug.
 */
int record_compute(struct record *record, struct record_sequence *sequence,
		   size_t limit);

/**
 * record_format() - Convert a computed number into its record.
 * @record: computed.
 *
 * Return: 0, -ENOMEM, -EINTR or -EIO as record_compute().
 */
int record_format(struct record *record);

/**
 * record_free() - Free what a record or a sequence holds.
 * @record: in any state, also after a failure; NULL for none.
 * @sequence: when its reader is gone; NULL to keep what it holds.
 */
void record_free(struct record *record, struct record_sequence *sequence);

#endif /* FIBDRV_RECORD_H */
