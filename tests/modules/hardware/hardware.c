// SPDX-License-Identifier: MIT OR GPL-2.0
/* Refuses to load without its hardware */
#include <linux/init.h>
#include <linux/module.h>

static int __init hardware_init(void)
{
	return -ENODEV;
}

static void __exit hardware_exit(void)
{
}

module_init(hardware_init);
module_exit(hardware_exit);

MODULE_DESCRIPTION("Refuses to load without its hardware");
MODULE_LICENSE("Dual MIT/GPL");
