/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the driver's own files share: an open file, and its operations. */
#ifndef FIBDRV_FILE_H
#define FIBDRV_FILE_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "arith/record.h"
#include "uapi/fibdrv.h"

#define FIBDRV_FORMATS 3

/**
 * struct fibdrv_file - An open file.
 * @position: serialises the calls that use the file position, from reading it
 *	to storing it. No other call takes it.
 * @sequence: what is kept from one read() to the next.
 * @format: an enum fibdrv_format_id; read once per call, so no lock.
 * @stats_lock: keeps @stats whole. Held for as long as it takes to copy the
 *	structure, and never while anything is computed or copied to the user.
 * @stats: of the last successful read.
 */
struct fibdrv_file {
	struct mutex position;	/* over every use of f_pos and of sequence */
	struct record_sequence sequence;
	u32 format;
	spinlock_t stats_lock;	/* over every use of stats */
	struct fibdrv_stats stats;
};

/* Module parameters, verified at load. */
extern unsigned long fibdrv_max_n;
extern unsigned int fibdrv_keep_kib;
extern u32 fibdrv_default_format;

extern const struct file_operations fibdrv_fops;

ssize_t fibdrv_read(struct file *file, char __user *buf, size_t count,
		    loff_t *ppos);
loff_t fibdrv_llseek(struct file *file, loff_t offset, int whence);

#endif /* FIBDRV_FILE_H */
