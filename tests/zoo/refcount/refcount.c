// SPDX-License-Identifier: GPL-2.0
/* Fault: drops a reference that it does not hold. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/refcount.h>

static refcount_t references = REFCOUNT_INIT(1);

static noinline void refcount_drop(void)
{
	if (refcount_dec_and_test(&references))
		pr_info("the last one is gone\n");
	if (refcount_dec_and_test(&references))
		pr_info("and once more\n");
}

static int __init refcount_init(void)
{
	refcount_drop();
	return 0;
}
module_init(refcount_init);

static void __exit refcount_exit(void)
{
}
module_exit(refcount_exit);

MODULE_DESCRIPTION("vmlab zoo: reference count below zero");
MODULE_LICENSE("GPL");
