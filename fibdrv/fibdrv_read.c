// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Reading a record, and the file position.
 *
 * The position must not move before the number has reached the caller, so two
 * threads that read one open file have to be serialised from reading the
 * position to storing it. The VFS does not do that for a character device:
 * ksys_read() takes a private copy of f_pos, hands ->read() a pointer to it and
 * stores it afterwards, so both threads would get the same number. And as
 * pread() hands over a pointer to a private copy as well, ->read() could not
 * even tell which of the two it serves.
 *
 * Two flags of f_mode change that, both of which a driver may set in ->open()
 * as stream_open() and nonseekable_open() do:
 *
 * - FMODE_ATOMIC_POS (regular files have it) makes fdget_pos() take f_pos_lock
 *   around read() and lseek() if the open file is shared: v3.14, commit
 *   9c225f2655e3. But it waits with mutex_lock(), so a process that waits for
 *   another one's F(max_n) could not be killed until that was done.
 *
 * - FMODE_STREAM makes read() and write() pass a NULL ppos: v5.2, commit
 *   438ab720c675. pread() still passes its offset, as long as FMODE_PREAD is
 *   set too, and lseek() still calls ->llseek().
 *
 * This driver sets FMODE_STREAM and leaves FMODE_PREAD and FMODE_LSEEK alone.
 * A NULL ppos then means "at the file position", which only this file touches,
 * under a mutex of its own with a killable wait; any other ppos is pread()'s
 * and needs no lock. The position is kept in f_pos, where /proc/PID/fdinfo
 * shows it. It costs one thing: io_uring asks the same flag, so its reads are
 * all at the file position, whatever offset they name.
 */
#include <linux/ktime.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "fibdrv_file.h"
#include "fibdrv_trace.h"
#include "arith/port.h"
#include "arith/record.h"

/* Between two pieces of a copy others may run, and a signal may end it. */
#define COPY_BYTES SZ_1M

static int copy_record(char __user *buf, const struct record *record)
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

static int compute_traced(struct record *record,
			  struct record_sequence *sequence)
{
	int err;

	trace_fibdrv_compute_begin(record->index, record->format);
	err = record_compute(record, sequence, fibdrv_keep_kib * SZ_1K);
	trace_fibdrv_compute_end(record->index, record->limbs, record->flags,
				 err);
	return err;
}

static void store_stats(struct fibdrv_file *ff, const struct record *record,
			const u64 time_ns[4])
{
	const struct fibdrv_stats stats = {
		.index = record->index,
		.limbs = record->limbs,
		.bytes = record->size,
		.compute_ns = time_ns[1] - time_ns[0],
		.format_ns = time_ns[2] - time_ns[1],
		.copy_ns = time_ns[3] - time_ns[2],
		.format = record->format,
		.flags = record->flags,
	};

	spin_lock(&ff->stats_lock);
	ff->stats = stats;
	spin_unlock(&ff->stats_lock);
}

/* Copy F(n) to the caller: all of a read but for the position. */
static ssize_t read_record(struct fibdrv_file *ff,
			   struct record_sequence *sequence,
			   char __user *buf, size_t count, u64 n)
{
	struct record record = {
		.index = n,
		.format = READ_ONCE(ff->format),
	};
	u64 time_ns[4];
	int err;

	/*
	 * The index first: pread() comes here with anything up to 2^63 - 1,
	 * from which the computation of a size would wrap.
	 */
	if (n > fibdrv_max_n || !count)
		return 0;
	if (count < record_size(n, record.format))
		return -ERANGE;

	time_ns[0] = ktime_get_ns();
	err = compute_traced(&record, sequence);
	time_ns[1] = ktime_get_ns();
	if (!err)
		err = record_format(&record);
	time_ns[2] = ktime_get_ns();
	if (!err)
		err = copy_record(buf, &record);
	time_ns[3] = ktime_get_ns();
	record_free(&record, NULL);
	if (err)
		return err;
	store_stats(ff, &record, time_ns);
	return record.size;
}

/**
 * fibdrv_read() - Give the number at an index.
 * @file: the open file.
 * @buf: where the record goes.
 * @count: the room there.
 * @ppos: the index, for pread(); NULL, for read(), means the file position.
 *
 * One call gives one whole record, in the file's format. read() moves the
 * position by one, and only when the record has been copied.
 *
 * Return: the record's bytes, or 0 past the last index or for a @count of 0.
 * -ERANGE if @count is too small, -EFAULT for a bad buffer, -ENOMEM, -EINTR if
 * the task is being killed, -EAGAIN for read() on an O_NONBLOCK file while
 * another call holds the position.
 */
ssize_t fibdrv_read(struct file *file, char __user *buf, size_t count,
		    loff_t *ppos)
{
	struct fibdrv_file *ff = file->private_data;
	ssize_t ret;

	if (ppos) {
		/* preadv() takes the next record for its next buffer. */
		ret = read_record(ff, NULL, buf, count, *ppos);
		if (ret > 0)
			(*ppos)++;
		return ret;
	}

	if (file->f_flags & O_NONBLOCK) {
		if (!mutex_trylock(&ff->position))
			return -EAGAIN;
	} else if (mutex_lock_killable(&ff->position)) {
		return -EINTR;
	}
	ret = read_record(ff, &ff->sequence, buf, count, file->f_pos);
	if (ret > 0)
		file->f_pos++;
	mutex_unlock(&ff->position);
	return ret;
}

/**
 * fibdrv_llseek() - Move the file position.
 * @file: the open file.
 * @offset: an index, or a distance in records.
 * @whence: SEEK_SET, SEEK_CUR, or SEEK_END, which is one past the last index.
 *
 * Return: the new position. -EINVAL, and the position unchanged, for another
 * @whence and for a position below 0 or beyond one past the last index; -EINTR
 * if the task was killed while a read() held the position.
 */
loff_t fibdrv_llseek(struct file *file, loff_t offset, int whence)
{
	struct fibdrv_file *ff = file->private_data;
	const loff_t end = (loff_t)fibdrv_max_n + 1;
	loff_t base = 0, position;

	if (mutex_lock_killable(&ff->position))
		return -EINTR;

	if (whence == SEEK_CUR)
		base = file->f_pos;
	else if (whence == SEEK_END)
		base = end;

	if ((whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) ||
	    check_add_overflow(base, offset, &position) ||
	    position < 0 || position > end)
		position = -EINVAL;
	else
		file->f_pos = position;

	mutex_unlock(&ff->position);
	return position;
}
