// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/fibonacci: a character device whose file position is an index n, and
 * whose records are the Fibonacci numbers.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "fib.h"
#include "fibdrv_file.h"

#define FIBDRV_NODE	"fibonacci"
#define FIBDRV_CLASS	"fibdrv"

unsigned long fibdrv_max_n = 10000000;
module_param_named(max_n, fibdrv_max_n, ulong, 0444);
MODULE_PARM_DESC(max_n, "the last index, 1 to 1000000000 (default 10000000)");

static char *format = "decimal";
module_param(format, charp, 0444);
MODULE_PARM_DESC(format,
		 "what a file is opened with: decimal (default), hex or binary");

u32 fibdrv_default_format;

static const char * const format_names[] = {
	[FIBDRV_FORMAT_DECIMAL]	= "decimal",
	[FIBDRV_FORMAT_HEX]	= "hex",
	[FIBDRV_FORMAT_BINARY]	= "binary",
};

static dev_t fibdrv_devt;
static struct cdev fibdrv_cdev;
static struct class *fibdrv_class;

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

	ff = kzalloc_obj(*ff, GFP_KERNEL_ACCOUNT);
	if (!ff)
		return -ENOMEM;
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
	kfree(file->private_data);
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
	size.bytes = fibdrv_record_size(size.index, READ_ONCE(ff->format));
	if (copy_to_user(argument, &size, sizeof(size)))
		return -EFAULT;
	return 0;
}

static long ioctl_format(struct fibdrv_file *ff, const void __user *argument)
{
	struct fibdrv_format wanted;

	if (copy_from_user(&wanted, argument, sizeof(wanted)))
		return -EFAULT;
	if (wanted.flags || wanted.format >= ARRAY_SIZE(format_names))
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

static const struct file_operations fibdrv_fops = {
	.owner		= THIS_MODULE,
	.open		= fibdrv_open,
	.release	= fibdrv_release,
	.read		= fibdrv_read,
	.write		= fibdrv_write,
	.llseek		= fibdrv_llseek,
	.poll		= fibdrv_poll,
	.unlocked_ioctl	= fibdrv_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/* Everyone may read; only root, whom no mode stops, can open it for writing. */
static char *fibdrv_devnode(compat_devnode_device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0444;
	return NULL;
}

static int __init check_parameters(void)
{
	u32 i;

	if (!fibdrv_max_n || fibdrv_max_n > FIB_INDEX_MAX) {
		pr_err("max_n is %lu, but must be 1 to %llu\n",
		       fibdrv_max_n, FIB_INDEX_MAX);
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(format_names); i++) {
		if (sysfs_streq(format, format_names[i])) {
			fibdrv_default_format = i;
			return 0;
		}
	}
	pr_err("format is '%s', but must be decimal, hex or binary\n", format);
	return -EINVAL;
}

/**
 * fibdrv_init() - Check the parameters and create the device.
 *
 * Return: 0 or a negative errno, with nothing left behind.
 */
static int __init fibdrv_init(void)
{
	struct device *device;
	int err;

	err = check_parameters();
	if (err)
		return err;

	err = alloc_chrdev_region(&fibdrv_devt, 0, 1, FIBDRV_NODE);
	if (err) {
		pr_err("no device number: %d\n", err);
		return err;
	}

	cdev_init(&fibdrv_cdev, &fibdrv_fops);
	fibdrv_cdev.owner = THIS_MODULE;
	err = cdev_add(&fibdrv_cdev, fibdrv_devt, 1);
	if (err) {
		pr_err("cannot add the device: %d\n", err);
		goto unregister_region;
	}

	fibdrv_class = compat_class_create(FIBDRV_CLASS);
	if (IS_ERR(fibdrv_class)) {
		err = PTR_ERR(fibdrv_class);
		pr_err("cannot create the class: %d\n", err);
		goto delete_cdev;
	}
	fibdrv_class->devnode = fibdrv_devnode;

	device = device_create(fibdrv_class, NULL, fibdrv_devt, NULL,
			       FIBDRV_NODE);
	if (IS_ERR(device)) {
		err = PTR_ERR(device);
		pr_err("cannot create the node: %d\n", err);
		goto destroy_class;
	}

	pr_info("/dev/" FIBDRV_NODE " is %d:%d, F(0) to F(%lu), in %s\n",
		MAJOR(fibdrv_devt), MINOR(fibdrv_devt), fibdrv_max_n,
		format_names[fibdrv_default_format]);
	return 0;

destroy_class:
	class_destroy(fibdrv_class);
delete_cdev:
	cdev_del(&fibdrv_cdev);
unregister_region:
	unregister_chrdev_region(fibdrv_devt, 1);
	return err;
}

/**
 * fibdrv_exit() - Undo fibdrv_init(). No file is open: each holds the module.
 */
static void __exit fibdrv_exit(void)
{
	device_destroy(fibdrv_class, fibdrv_devt);
	class_destroy(fibdrv_class);
	cdev_del(&fibdrv_cdev);
	unregister_chrdev_region(fibdrv_devt, 1);
	pr_info("unloaded\n");
}

module_init(fibdrv_init);
module_exit(fibdrv_exit);

MODULE_AUTHOR("The vmlab authors");
MODULE_DESCRIPTION("Fibonacci numbers of any length, as a character device");
MODULE_LICENSE("Dual MIT/GPL");
