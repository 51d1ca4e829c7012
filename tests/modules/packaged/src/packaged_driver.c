// SPDX-License-Identifier: MIT OR GPL-2.0
/* Second module of a dkms package */
#include <linux/init.h>
#include <linux/module.h>

static int __init packaged_driver_init(void)
{
	return 0;
}

static void __exit packaged_driver_exit(void)
{
}

module_init(packaged_driver_init);
module_exit(packaged_driver_exit);

MODULE_DESCRIPTION("Second module of a dkms package");
MODULE_LICENSE("Dual MIT/GPL");
