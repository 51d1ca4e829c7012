// SPDX-License-Identifier: GPL-2.0
/* Fault: leaves its device registered when it goes. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations node_leak_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice node_leak_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "node_leak",
	.fops = &node_leak_fops,
	.mode = 0444,
};

static int __init node_leak_init(void)
{
	return misc_register(&node_leak_device);
}
module_init(node_leak_init);

static void __exit node_leak_exit(void)
{
}
module_exit(node_leak_exit);

MODULE_DESCRIPTION("vmlab zoo: device left behind");
MODULE_LICENSE("GPL");
