// SPDX-License-Identifier: MIT OR GPL-2.0
/* Fault: a null pointer dereference in read. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static int *volatile nowhere;

static ssize_t null_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	return *nowhere;
}

static const struct file_operations null_read_fops = {
	.owner = THIS_MODULE,
	.read = null_read,
};

static struct miscdevice null_read_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "null_read",
	.fops = &null_read_fops,
	.mode = 0444,
};

module_misc_device(null_read_device);

MODULE_DESCRIPTION("vmlab zoo: null pointer in read");
MODULE_LICENSE("Dual MIT/GPL");
