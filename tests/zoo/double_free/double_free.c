// SPDX-License-Identifier: GPL-2.0
/* Fault: gives an object to kfree() twice. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>

static noinline void double_free_free(void)
{
	void *object = kmalloc(64, GFP_KERNEL), *first, *second;

	kfree(object);
	OPTIMIZER_HIDE_VAR(object);
	kfree(object);

	/* A kernel that saw nothing gives it out twice: let nobody else have it. */
	first = kmalloc(64, GFP_KERNEL);
	second = kmalloc(64, GFP_KERNEL);
	pr_info("given out %s\n", first == second ? "twice" : "once");
}

static int __init double_free_init(void)
{
	double_free_free();
	return 0;
}
module_init(double_free_init);

static void __exit double_free_exit(void)
{
}
module_exit(double_free_exit);

MODULE_DESCRIPTION("vmlab zoo: double free");
MODULE_LICENSE("GPL");
