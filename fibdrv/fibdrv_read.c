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
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include "fib.h"
#include "fibdrv_file.h"
#include "radix.h"

size_t fibdrv_record_size(u64 n, u32 format)
{
	const u64 bits = max_t(u64, fib_bits(n), 1);

	switch (format) {
	case FIBDRV_FORMAT_HEX:
		return div_u64(bits + 3, 4) + 1;
	case FIBDRV_FORMAT_BINARY:
		return div_u64(bits + 7, 8);
	default:
		return fib_digits(n) + 1;
	}
}

/*
 * Turn a number into its record. The number is used up, also on failure, so
 * that both are held for no longer than the conversion takes; the record is the
 * caller's, for port_free().
 */
static int format_record(void **record, struct fib_number *number,
			 size_t size, u32 format)
{
	char *text;
	int err = 0;

	if (format == FIBDRV_FORMAT_BINARY) {
		/* Little-endian limbs are the record, but for their padding. */
		*record = number->limb;
		return 0;
	}

	text = port_alloc(size, 1);
	if (!text) {
		err = -ENOMEM;
		goto free_number;
	}
	if (format == FIBDRV_FORMAT_HEX)
		radix_hex(text, size - 1, number->limb, number->count);
	else
		err = radix_decimal(text, size - 1, number->limb, number->count);
	if (err)
		goto free_text;
	text[size - 1] = '\n';
	*record = text;
	goto free_number;

free_text:
	port_free(text);
free_number:
	port_free(number->limb);
	return err;
}

/* Copy F(n) to the caller: all of a read but for the position. */
static ssize_t read_record(struct fibdrv_file *ff, char __user *buf,
			   size_t count, u64 n)
{
	struct fibdrv_stats stats = {
		.index = n,
		.format = READ_ONCE(ff->format),
	};
	struct fib_number number;
	u64 begun, computed, formatted;
	void *record;
	size_t size;
	int err;

	/*
	 * The index first: pread() comes here with anything up to 2^63 - 1,
	 * from which the computation of a size would wrap.
	 */
	if (n > fibdrv_max_n || !count)
		return 0;
	size = fibdrv_record_size(n, stats.format);
	if (count < size)
		return -ERANGE;

	begun = ktime_get_ns();
	err = fib_compute(&number, n);
	if (err)
		return err;
	stats.limbs = number.count;
	computed = ktime_get_ns();
	err = format_record(&record, &number, size, stats.format);
	if (err)
		return err;
	formatted = ktime_get_ns();
	if (copy_to_user(buf, record, size))
		err = -EFAULT;
	port_free(record);
	if (err)
		return err;

	stats.copy_ns = ktime_get_ns() - formatted;
	stats.format_ns = formatted - computed;
	stats.compute_ns = computed - begun;
	stats.bytes = size;
	spin_lock(&ff->stats_lock);
	ff->stats = stats;
	spin_unlock(&ff->stats_lock);
	return size;
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
		ret = read_record(ff, buf, count, *ppos);
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
	ret = read_record(ff, buf, count, file->f_pos);
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
