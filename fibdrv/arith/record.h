/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A record is a number in a file's format: what one read gives. It is made in
 * two steps, computing and formatting, so that their time can be taken apart.
 */
#ifndef FIBDRV_RECORD_H
#define FIBDRV_RECORD_H

#include "fib.h"
#include "../uapi/fibdrv.h"

/* The bytes of the record of F(n). */
size_t record_size(u64 n, u32 format);

/**
 * struct record_sequence - What is kept for a reader that wants n, n + 1, ...
 * @pair: the last number and the one before it, from which the next costs one
 *	addition; empty until the second of two neighbours was read.
 * @expected: the index after the last one that was read.
 *
 * All zero is the state of a file that was just opened. No locks.
 */
struct record_sequence {
	struct fib_pair pair;
	u64 expected;
};

/**
 * struct record - A record in the making. Zero but for its first two fields
 *	at the beginning.
 * @index: which number it is.
 * @format: an enum fibdrv_format_id.
 * @flags: FIBDRV_STATS_*: where the number came from.
 * @limbs: its length.
 * @bytes: the record, once it is formatted.
 * @size: how many bytes that is.
 * @number: the number, while the record owns it.
 * @text: what it was turned into, unless it is in binary.
 * @pair: where the number is, if it is a sequence's.
 */
struct record {
	u64 index;
	u32 format;
	u32 flags;
	u64 limbs;
	const void *bytes;
	size_t size;
	struct fib_number number;
	char *text;
	const struct fib_pair *pair;
};

/**
 * record_compute() - Have the number of a record.
 * @record: its index is at most FIB_INDEX_MAX.
 * @sequence: the file's, which is used and kept up; NULL for a read that has
 *	none. It has to stay as it is until the record is freed.
 * @limit: the bytes that the sequence may go on to hold.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int record_compute(struct record *record, struct record_sequence *sequence,
		   size_t limit);

/**
 * record_format() - Turn a computed number into its record.
 * @record: computed.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int record_format(struct record *record);

/* Free what a record owns, in whatever state it is. */
void record_free(struct record *record);

#endif /* FIBDRV_RECORD_H */
