// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "arith/record.h"
#include "give_record.h"

/* This is where the bodies of the tracepoints are made. */
#define CREATE_TRACE_POINTS
#include "fibdrv_trace.h"

/* Between two pieces of a copy others may run, and a signal may end it. */
#define COPY_BYTES SZ_1M

/*
 * For a task that is being killed or frozen port_poll() gives -EINTR, and memory
 * is refused. Where it was for the freezer, or may have been, the kernel calls
 * read() again: once, as it takes the signal that is pending.
 */
static int reader_error(int err)
{
	if (err != -EINTR && err != -ENOMEM)
		return err;
	if (fatal_signal_pending(current))
		return -EINTR;
	return signal_pending(current) ? -ERESTARTNOINTR : err;
}

static int compute(struct record *record, struct kept *kept)
{
	int err;

	trace_fibdrv_compute_begin(record->index, record->format);
	err = record_compute(record, kept ? &kept->sequence : NULL,
			     kept ? keep_limit(kept) : 0);
	trace_fibdrv_compute_end(record->index, record->limbs, record->flags,
				 reader_error(err));
	return err;
}

static int copy(char __user *buf, const struct record *record)
{
	size_t done, part;
	int err;

	for (done = 0; done < record->size; done += part) {
		part = min_t(size_t, record->size - done, COPY_BYTES);
		if (copy_to_user(buf + done, record->bytes + done, part))
			return -EFAULT;
		err = port_poll();
		if (err)
			return err;
	}
	return 0;
}

int give_record(char __user *buf, struct kept *kept,
		struct fibdrv_stats *stats)
{
	struct record record = {
		.index = stats->index,
		.format = stats->format,
	};
	u64 time_ns[4];
	int err;

	time_ns[0] = ktime_get_ns();
	err = compute(&record, kept);
	time_ns[1] = ktime_get_ns();
	if (!err)
		err = record_format(&record);
	time_ns[2] = ktime_get_ns();
	if (!err)
		err = copy(buf, &record);
	time_ns[3] = ktime_get_ns();
	record_free(&record, NULL);
	if (err)
		return reader_error(err);
	stats->limbs = record.limbs;
	stats->bytes = record.size;
	stats->flags = record.flags;
	stats->compute_ns = time_ns[1] - time_ns[0];
	stats->format_ns = time_ns[2] - time_ns[1];
	stats->copy_ns = time_ns[3] - time_ns[2];
	return 0;
}
