/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What an open file keeps from one read() to the next, so that a reader that
 * reads on pays one addition a number. Each file may keep keep_kib, and all of
 * them together keep_total_kib. Without a place there a number is computed as a
 * whole: nothing fails.
 */
#ifndef FIBDRV_KEEP_H
#define FIBDRV_KEEP_H

#include "arith/record.h"

/* All zero for a new file. The file's position lock is over both. */
struct kept {
	struct record_sequence sequence;
	size_t accounted;	/* bytes, in the account of all files */
};

/* The bytes that a file may go on to keep, as things are now. */
size_t keep_limit(const struct kept *kept);

/* After a read: account for what is kept, or give it up if that is too much. */
void keep_account(struct kept *kept);

/* The file is closed. */
void keep_nothing(struct kept *kept);

#endif /* FIBDRV_KEEP_H */
