// SPDX-License-Identifier: GPL-2.0
/* Fault: its init returns 1, which is neither success nor an error. */
#include <linux/module.h>

static int __init init_positive_init(void)
{
	return 1;
}
module_init(init_positive_init);

static void __exit init_positive_exit(void)
{
}
module_exit(init_positive_exit);

MODULE_DESCRIPTION("vmlab zoo: positive number from init");
MODULE_LICENSE("GPL");
