// SPDX-License-Identifier: GPL-2.0
/* Fault: has an init function and no exit function. */
#include <linux/module.h>

static int __init no_exit_init(void)
{
	return 0;
}
module_init(no_exit_init);

MODULE_DESCRIPTION("vmlab zoo: no exit function");
MODULE_LICENSE("GPL");
