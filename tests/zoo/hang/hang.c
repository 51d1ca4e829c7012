// SPDX-License-Identifier: MIT OR GPL-2.0
/* Stops every processor with interrupts off when its device is read. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/smp.h>

static void spin(void *unused)
{
	for (;;)
		cpu_relax();
}

static ssize_t hang_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	/* A function called so runs with interrupts off (kernel/smp.c). */
	on_each_cpu(spin, NULL, 0);
	return 0;
}

static const struct file_operations hang_fops = {
	.owner = THIS_MODULE,
	.read = hang_read,
};

static struct miscdevice hang_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hang",
	.fops = &hang_fops,
	.mode = 0444,
};

module_misc_device(hang_device);
MODULE_DESCRIPTION("Stops every processor when read");
MODULE_LICENSE("Dual MIT/GPL");
