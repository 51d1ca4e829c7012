// SPDX-License-Identifier: GPL-2.0
/* Fault: loses the only pointer to what it allocated. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>

static noinline void memory_leak_lose(void)
{
	int i, lost = 0;

	for (i = 0; i < 1024; i++)
		lost += !!kmalloc(1024, GFP_KERNEL);
	pr_info("%d objects lost\n", lost);
}

static int __init memory_leak_init(void)
{
	memory_leak_lose();
	return 0;
}
module_init(memory_leak_init);

static void __exit memory_leak_exit(void)
{
}
module_exit(memory_leak_exit);

MODULE_DESCRIPTION("vmlab zoo: memory leak");
MODULE_LICENSE("GPL");
