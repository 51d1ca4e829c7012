// SPDX-License-Identifier: GPL-2.0
/* Fault: writes past the end of an object. */
#include <linux/module.h>
#include <linux/slab.h>

/* 42 of these fill all but 64 bytes of a page, so the write never leaves it. */
#define SIZE 96

static char *objects[512];

static noinline void out_of_bounds_write(char *object)
{
	int i;

	OPTIMIZER_HIDE_VAR(object);
	for (i = SIZE; i < SIZE + 4; i++)
		WRITE_ONCE(object[i], 'x');
	kfree(object);
}

static int __init out_of_bounds_init(void)
{
	int i;

	/* The last one's neighbours are then ours or nobody's. */
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = kmalloc(SIZE, GFP_KERNEL);
	if (objects[--i])
		out_of_bounds_write(objects[i]);
	return 0;
}
module_init(out_of_bounds_init);

static void __exit out_of_bounds_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(objects) - 1; i++)
		kfree(objects[i]);
}
module_exit(out_of_bounds_exit);

MODULE_DESCRIPTION("vmlab zoo: write out of bounds");
MODULE_LICENSE("GPL");
