// SPDX-License-Identifier: GPL-2.0
/* Fault: takes what kmalloc() gives for zeroes. */
#include <linux/bug.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#define SIZE 192

static noinline void uninitialised_look(void)
{
	char *object = kmalloc(SIZE, GFP_KERNEL);

	WARN_ON(object && memchr_inv(object, 0, SIZE));
	kfree(object);
}

static int __init uninitialised_init(void)
{
	char *objects[16];
	int i;

	/* Objects that were in use before, as they are on a system that has run for a while. */
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(SIZE, GFP_KERNEL);
		if (objects[i])
			memset(objects[i], 0xa5, SIZE);
	}
	while (i)
		kfree(objects[--i]);
	uninitialised_look();
	return 0;
}
module_init(uninitialised_init);

static void __exit uninitialised_exit(void)
{
}
module_exit(uninitialised_exit);

MODULE_DESCRIPTION("vmlab zoo: uninitialised memory");
MODULE_LICENSE("GPL");
