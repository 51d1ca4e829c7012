// SPDX-License-Identifier: GPL-2.0
/* Fault: registers two devices by one name. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations duplicate_device_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice devices[] = {
	{ MISC_DYNAMIC_MINOR, "duplicate_device", &duplicate_device_fops },
	{ MISC_DYNAMIC_MINOR, "duplicate_device", &duplicate_device_fops },
};

static noinline int duplicate_device_register(void)
{
	int error = misc_register(&devices[0]);

	if (error)
		return error;
	error = misc_register(&devices[1]);
	if (error)
		misc_deregister(&devices[0]);
	return error;
}

static int __init duplicate_device_init(void)
{
	return duplicate_device_register();
}
module_init(duplicate_device_init);

static void __exit duplicate_device_exit(void)
{
	misc_deregister(&devices[1]);
	misc_deregister(&devices[0]);
}
module_exit(duplicate_device_exit);

MODULE_DESCRIPTION("vmlab zoo: two devices of one name");
MODULE_LICENSE("GPL");
