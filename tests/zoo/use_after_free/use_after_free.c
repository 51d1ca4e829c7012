// SPDX-License-Identifier: GPL-2.0
/* Fault: writes to an object after kfree(), then reads it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>

/* More than the partly used slabs hold: the object is among them. */
static char *others[2048];

static noinline void use_after_free_write(char *object)
{
	char read;
	int i;

	kfree(object);
	OPTIMIZER_HIDE_VAR(object);
	WRITE_ONCE(object[8], 'x');
	read = READ_ONCE(object[8]);
	/* SLUB's debugging looks at an object when it is given out again. */
	for (i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = kmalloc(64, GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		kfree(others[i]);
	pr_info("read %c\n", read);
}

static int __init use_after_free_init(void)
{
	char *object = kmalloc(64, GFP_KERNEL);

	if (!object)
		return -ENOMEM;
	use_after_free_write(object);
	return 0;
}
module_init(use_after_free_init);

static void __exit use_after_free_exit(void)
{
}
module_exit(use_after_free_exit);

MODULE_DESCRIPTION("vmlab zoo: use after free");
MODULE_LICENSE("GPL");
