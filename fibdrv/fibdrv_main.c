// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/fibonacci: a character device whose file position is an index n, and
 * whose records are the Fibonacci numbers.
 *
 * From top to bottom: open and release, read and lseek, write and poll, ioctl,
 * and at the end init and exit. The numbers come from arith/record.h, and their
 * memory from memory.c. The contract that a program sees is in README.md, the
 * reasons for it in docs/fibdrv.md.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "arith/port.h"
#include "compat.h"
#include "fibdrv_faults.h"
#include "make_record.h"
#include "parameters.h"

#define FIBDRV_VERSION	"1.0.0"
#define FIBDRV_CLASS	"fibdrv"
#define FIBDRV_NODE	"fibonacci"

/* An open file. The format is read once per call, and needs no lock. */
struct fibdrv_file {
	struct mutex position_lock;	/* over the position and the sequence */
	struct record_sequence sequence;	/* kept from one read() to the next */
	u32 format;			/* an enum fibdrv_format_id */
	spinlock_t stats_lock;		/* over stats, and only to copy them */
	struct fibdrv_stats stats;	/* of the last successful read */
};

/* --- open and release --- */

/* Any number of files may be open, by anyone. */
static int fibdrv_open(struct inode *inode, struct file *file)
{
	struct fibdrv_file *ff;

	ff = port_alloc(1, sizeof(*ff));
	if (!ff)
		return -ENOMEM;
	memset(ff, 0, sizeof(*ff));
	mutex_init(&ff->position_lock);
	spin_lock_init(&ff->stats_lock);
	ff->format = default_format;
	file->private_data = ff;
	/* A NULL ppos tells read() from pread(): see docs/fibdrv.md. */
	file->f_mode |= FMODE_STREAM;
	return 0;
}

/* The last descriptor of an open file is closed. */
static int fibdrv_release(struct inode *inode, struct file *file)
{
	struct fibdrv_file *ff = file->private_data;

	fib_pair_free(&ff->sequence.pair);
	mutex_destroy(&ff->position_lock);
	port_free(ff);
	return 0;
}

/* --- read and lseek --- */

/* Between two pieces of a copy others may run, and a signal may end it. */
#define COPY_BYTES SZ_1M

static int copy_record(char __user *buf, const struct record *record,
		       struct fibdrv_stats *stats)
{
	const u64 begun = ktime_get_ns();
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
	stats->copy_ns = ktime_get_ns() - begun;
	return 0;
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
	struct fibdrv_stats stats;
	int err;

	/* The index first: for pread()'s up to 2^63 - 1 the size would wrap. */
	if (n > max_n || !count)
		return 0;
	if (count < record_size(n, record.format))
		return -ERANGE;

	err = make_record(&record, sequence, keep_kib * SZ_1K, &stats);
	if (!err)
		err = copy_record(buf, &record, &stats);
	record_free(&record);
	if (err)
		return err;
	spin_lock(&ff->stats_lock);
	ff->stats = stats;
	spin_unlock(&ff->stats_lock);
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
static ssize_t fibdrv_read(struct file *file, char __user *buf, size_t count,
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
		if (!mutex_trylock(&ff->position_lock))
			return -EAGAIN;
	} else if (mutex_lock_killable(&ff->position_lock)) {
		return -EINTR;
	}
	ret = read_record(ff, &ff->sequence, buf, count, file->f_pos);
	if (ret > 0)
		file->f_pos++;
	mutex_unlock(&ff->position_lock);
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
static loff_t fibdrv_llseek(struct file *file, loff_t offset, int whence)
{
	struct fibdrv_file *ff = file->private_data;
	const loff_t end = (loff_t)max_n + 1;
	loff_t base = 0, position;

	if (mutex_lock_killable(&ff->position_lock))
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

	mutex_unlock(&ff->position_lock);
	return position;
}

/* --- write and poll --- */

/* Take everything; writing to this device has no effect. */
static ssize_t fibdrv_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	return count;
}

/* A number is always there to be read: it only takes a while. */
static __poll_t fibdrv_poll(struct file *file, struct poll_table_struct *wait)
{
	return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
}

/* --- ioctl: see uapi/fibdrv.h --- */

static long ioctl_size(struct fibdrv_file *ff, void __user *argument)
{
	struct fibdrv_size size;

	if (copy_from_user(&size, argument, sizeof(size)))
		return -EFAULT;
	if (size.flags || size.reserved || size.index > max_n)
		return -EINVAL;
	size.bytes = record_size(size.index, READ_ONCE(ff->format));
	if (copy_to_user(argument, &size, sizeof(size)))
		return -EFAULT;
	return 0;
}

static long ioctl_format(struct fibdrv_file *ff, const void __user *argument)
{
	struct fibdrv_format wanted;

	if (copy_from_user(&wanted, argument, sizeof(wanted)))
		return -EFAULT;
	if (wanted.flags || wanted.format >= FORMAT_COUNT)
		return -EINVAL;
	WRITE_ONCE(ff->format, wanted.format);
	return 0;
}

static long ioctl_stats(struct fibdrv_file *ff, void __user *argument)
{
	struct fibdrv_stats stats;

	spin_lock(&ff->stats_lock);
	stats = ff->stats;
	spin_unlock(&ff->stats_lock);
	if (copy_to_user(argument, &stats, sizeof(stats)))
		return -EFAULT;
	return 0;
}

static long fibdrv_ioctl(struct file *file, unsigned int request,
			 unsigned long argument)
{
	struct fibdrv_file *ff = file->private_data;
	void __user *user = (void __user *)argument;

	switch (request) {
	case FIBDRV_IOC_SIZE:
		return ioctl_size(ff, user);
	case FIBDRV_IOC_FORMAT:
		return ioctl_format(ff, user);
	case FIBDRV_IOC_STATS:
		return ioctl_stats(ff, user);
	default:
		return -ENOTTY;
	}
}

/* --- init and exit --- */

/* The owner is what makes the kernel refuse to unload it while it is open. */
static const struct file_operations fibdrv_fops = {
	.owner		= THIS_MODULE,
	.open		= fibdrv_open,
	.release	= fibdrv_release,
	.read		= fibdrv_read,
	.write		= fibdrv_write,
	.llseek		= fibdrv_llseek,
	.poll		= fibdrv_poll,
	.unlocked_ioctl	= fibdrv_ioctl,
	/* The structures are the same for 32-bit programs. */
	.compat_ioctl	= compat_ptr_ioctl,
};

static dev_t fibdrv_devt;
static struct class *fibdrv_class;
static struct cdev *fibdrv_cdev;

/* Everyone may read; only root, whom no mode stops, can open it for writing. */
static char *fibdrv_devnode(compat_devnode_device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0444;
	return NULL;
}

/*
 * A file can be opened from cdev_add() on, and would outlive a load that fails
 * after it. So that is the last step, and until then open() gives ENXIO.
 */
static int __init fibdrv_init(void)
{
	struct device *device;
	int err;

	err = check_parameters();
	if (err)
		return err;

	err = fibdrv_fault() ? -ENOMEM :
	      alloc_chrdev_region(&fibdrv_devt, 0, 1, FIBDRV_NODE);
	if (err)
		return err;

	fibdrv_class = fibdrv_fault() ? ERR_PTR(-ENOMEM) :
		       compat_class_create(FIBDRV_CLASS);
	if (IS_ERR(fibdrv_class)) {
		err = PTR_ERR(fibdrv_class);
		goto unregister_region;
	}
	fibdrv_class->devnode = fibdrv_devnode;

	device = fibdrv_fault() ? ERR_PTR(-ENOMEM) :
		 device_create(fibdrv_class, NULL, fibdrv_devt, NULL,
			       FIBDRV_NODE);
	if (IS_ERR(device)) {
		err = PTR_ERR(device);
		goto destroy_class;
	}

	/* Not static: its kobject may be released after the module is gone. */
	fibdrv_cdev = fibdrv_fault() ? NULL : cdev_alloc();
	if (!fibdrv_cdev) {
		err = -ENOMEM;
		goto destroy_device;
	}
	fibdrv_cdev->owner = THIS_MODULE;
	fibdrv_cdev->ops = &fibdrv_fops;
	err = fibdrv_fault() ? -ENOMEM : cdev_add(fibdrv_cdev, fibdrv_devt, 1);
	if (err)
		goto put_cdev;

	pr_info("/dev/" FIBDRV_NODE " is %d:%d, F(0) to F(%lu), in %s\n",
		MAJOR(fibdrv_devt), MINOR(fibdrv_devt), max_n,
		format_names[default_format]);
	return 0;

put_cdev:
	kobject_put(&fibdrv_cdev->kobj);
destroy_device:
	device_destroy(fibdrv_class, fibdrv_devt);
destroy_class:
	class_destroy(fibdrv_class);
unregister_region:
	unregister_chrdev_region(fibdrv_devt, 1);
	return err;
}

/* No file is open: each holds the module. */
static void __exit fibdrv_exit(void)
{
	cdev_del(fibdrv_cdev);
	device_destroy(fibdrv_class, fibdrv_devt);
	class_destroy(fibdrv_class);
	unregister_chrdev_region(fibdrv_devt, 1);
	pr_info("unloaded\n");
}

module_init(fibdrv_init);
module_exit(fibdrv_exit);

MODULE_AUTHOR("The vmlab authors");
MODULE_DESCRIPTION("Fibonacci numbers of any length, as a character device");
MODULE_VERSION(FIBDRV_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
