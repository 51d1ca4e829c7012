// SPDX-License-Identifier: GPL-2.0
/* Fault: its file operations have no owner, so it can be unloaded while a file is open. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static ssize_t unload_while_open_read(struct file *file, char __user *buffer, size_t count,
				      loff_t *position)
{
	return 0;
}

static const struct file_operations unload_while_open_fops = {
	.read = unload_while_open_read,
};

static struct miscdevice unload_while_open_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "unload_while_open",
	.fops = &unload_while_open_fops,
	.mode = 0444,
};

module_misc_device(unload_while_open_device);

MODULE_DESCRIPTION("vmlab zoo: unloaded while open");
MODULE_LICENSE("GPL");
