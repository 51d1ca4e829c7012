/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A number from its index to the reader's buffer: traced and timed. */
#ifndef FIBDRV_GIVE_RECORD_H
#define FIBDRV_GIVE_RECORD_H

#include "keep.h"
#include "uapi/fibdrv.h"

/**
 * give_record() - Compute F(n), format it and copy it to the reader.
 * @buf: the reader's buffer, which has the room.
 * @kept: the file's, for a read at its position; NULL for any other.
 * @stats: in: index and format. Out: the rest, if it succeeds.
 *
 * Return: 0, -EFAULT, -ENOMEM, -EINTR if the task is being killed, or
 * -ERESTARTNOINTR if it is being frozen: the kernel then calls read() again.
 */
int give_record(char __user *buf, struct kept *kept,
		struct fibdrv_stats *stats);

#endif /* FIBDRV_GIVE_RECORD_H */
