// SPDX-License-Identifier: GPL-2.0
/* No fault: prints one line, loads and unloads. The damaged .ko files are made from it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/printk.h>

static int __init good_init(void)
{
	pr_info("loaded\n");
	return 0;
}
module_init(good_init);

static void __exit good_exit(void)
{
}
module_exit(good_exit);

MODULE_DESCRIPTION("vmlab zoo: no fault");
MODULE_LICENSE("GPL");
