// SPDX-License-Identifier: GPL-2.0
/*
 * A small module with something to say: what the experiments sign, spoil and compile in several
 * ways. It tells whether a variable that nobody set is found as zero: CONFIG_INIT_STACK_ALL_ZERO
 * promises that, and the compiler has to keep it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/printk.h>

#define WORDS 8

/* Leaves something on the stack where the next function will have its variables. */
static noinline void smallest_soil(void)
{
	unsigned long words[WORDS];
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		WRITE_ONCE(words[i], ~0UL);
}

/* barrier_data() makes the compiler take them for set. */
static noinline bool smallest_is_clean(void)
{
	unsigned long words[WORDS], all = 0;
	unsigned int i;

	barrier_data(words);
	for (i = 0; i < WORDS; i++)
		all |= READ_ONCE(words[i]);
	return !all;
}

static int __init smallest_init(void)
{
	bool is_clean;

	smallest_soil();
	is_clean = smallest_is_clean();
	pr_info("loaded; a variable that nobody set is %s\n", is_clean ? "zero" : "not zero");
	return 0;
}
module_init(smallest_init);

static void __exit smallest_exit(void)
{
}
module_exit(smallest_exit);

MODULE_DESCRIPTION("vmlab experiments: the smallest module");
MODULE_LICENSE("GPL");
