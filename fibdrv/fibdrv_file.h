/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the driver's own files share: an open file, and its operations. */
#ifndef FIBDRV_FILE_H
#define FIBDRV_FILE_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "uapi/fibdrv.h"

/**
 * struct fibdrv_file - An open file.
 * @position: serialises the calls that use the file position, from reading it
 *	to storing it. No other call takes it.
 * @format: an enum fibdrv_format_id; read once per call, so no lock.
 * @stats_lock: keeps @stats whole. Held for as long as it takes to copy the
 *	structure, and never while anything is computed or copied to the user.
 * @stats: of the last successful read.
 */
struct fibdrv_file {
	struct mutex position;	/* over every use of f_pos */
	u32 format;
	spinlock_t stats_lock;	/* over every use of stats */
	struct fibdrv_stats stats;
};

/* Module parameters, verified at load. */
extern unsigned long fibdrv_max_n;
extern u32 fibdrv_default_format;

/* The bytes that a read of F(n) returns; n must be at most fibdrv_max_n. */
size_t fibdrv_record_size(u64 n, u32 format);

ssize_t fibdrv_read(struct file *file, char __user *buf, size_t count,
		    loff_t *ppos);
loff_t fibdrv_llseek(struct file *file, loff_t offset, int whence);

#endif /* FIBDRV_FILE_H */
