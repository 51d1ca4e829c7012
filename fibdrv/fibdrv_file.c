// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* What a program does with the device, but for reading: see fibdrv_read.c. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "fibdrv_file.h"
#include "arith/port.h"

/**
 * fibdrv_open() - Open the device: any number of times, by anyone.
 * @inode: the node.
 * @file: the open file.
 *
 * Return: 0 or -ENOMEM.
 */
static int fibdrv_open(struct inode *inode, struct file *file)
{
	struct fibdrv_file *ff;

	ff = port_alloc(1, sizeof(*ff));
	if (!ff)
		return -ENOMEM;
	memset(ff, 0, sizeof(*ff));
	mutex_init(&ff->position);
	spin_lock_init(&ff->stats_lock);
	ff->format = fibdrv_default_format;
	file->private_data = ff;
	/* So that read() can be told from pread(): see fibdrv_read.c. */
	file->f_mode |= FMODE_STREAM;
	return 0;
}

/**
 * fibdrv_release() - The last descriptor of an open file is closed.
 * @inode: the node.
 * @file: the open file.
 *
 * Return: 0.
 */
static int fibdrv_release(struct inode *inode, struct file *file)
{
	struct fibdrv_file *ff = file->private_data;

	record_free(NULL, &ff->sequence);
	mutex_destroy(&ff->position);
	port_free(ff);
	return 0;
}

/**
 * fibdrv_write() - Take everything; writing to this device has no effect.
 * @file: the open file.
 * @buf: what is written, which nobody looks at.
 * @count: how much of it.
 * @ppos: not used; the position stays.
 *
 * Return: @count.
 */
static ssize_t fibdrv_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	return count;
}

/**
 * fibdrv_poll() - A number is always there to be read: it only takes a while.
 * @file: the open file.
 * @wait: not used, as nothing ever becomes ready later.
 *
 * Return: readable and writable.
 */
static __poll_t fibdrv_poll(struct file *file, struct poll_table_struct *wait)
{
	return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
}

static long ioctl_size(struct fibdrv_file *ff, void __user *argument)
{
	struct fibdrv_size size;

	if (copy_from_user(&size, argument, sizeof(size)))
		return -EFAULT;
	if (size.flags || size.reserved || size.index > fibdrv_max_n)
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
	if (wanted.flags || wanted.format >= FIBDRV_FORMATS)
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

/**
 * fibdrv_ioctl() - The requests of uapi/fibdrv.h.
 * @file: the open file.
 * @request: which one.
 * @argument: the user's pointer to its structure.
 *
 * Return: 0, -EFAULT, -EINVAL, or -ENOTTY for a request that does not exist.
 */
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

/* The owner is what makes the kernel refuse to unload it while it is open. */
const struct file_operations fibdrv_fops = {
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
