// SPDX-License-Identifier: GPL-2.0
/* Fault: panics. */
#include <linux/kernel.h>
#include <linux/module.h>

static int trouble = 1;

static noinline void panic_now(void)
{
	if (READ_ONCE(trouble))
		panic("the zoo's panic");
}

static int __init panic_init(void)
{
	panic_now();
	return 0;
}
module_init(panic_init);

static void __exit panic_exit(void)
{
}
module_exit(panic_exit);

MODULE_DESCRIPTION("vmlab zoo: panic()");
MODULE_LICENSE("GPL");
