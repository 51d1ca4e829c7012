// SPDX-License-Identifier: MIT OR GPL-2.0
/* Refuses to load without a parameter */
#include <linux/init.h>
#include <linux/module.h>

static char *mode;
module_param(mode, charp, 0444);
MODULE_PARM_DESC(mode, "must be given");

static int __init picky_init(void)
{
	return mode ? 0 : -EINVAL;
}

static void __exit picky_exit(void)
{
}

module_init(picky_init);
module_exit(picky_exit);

MODULE_DESCRIPTION("Refuses to load without a parameter");
MODULE_LICENSE("Dual MIT/GPL");
