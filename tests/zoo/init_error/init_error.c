// SPDX-License-Identifier: GPL-2.0
/* Fault: its init returns an error. */
#include <linux/module.h>

static int __init init_error_init(void)
{
	return -ENODEV;
}
module_init(init_error_init);

static void __exit init_error_exit(void)
{
}
module_exit(init_error_exit);

MODULE_DESCRIPTION("vmlab zoo: error from init");
MODULE_LICENSE("GPL");
