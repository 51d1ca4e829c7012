// SPDX-License-Identifier: GPL-2.0
/* Fault: prints more than the kernel log holds. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/printk.h>

static noinline void printk_flood_print(void)
{
	int i;

	for (i = 0; i < 40000; i++)
		pr_info("line %d\n", i);
}

static int __init printk_flood_init(void)
{
	printk_flood_print();
	return 0;
}
module_init(printk_flood_init);

static void __exit printk_flood_exit(void)
{
}
module_exit(printk_flood_exit);

MODULE_DESCRIPTION("vmlab zoo: flood of the kernel log");
MODULE_LICENSE("GPL");
