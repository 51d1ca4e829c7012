// SPDX-License-Identifier: GPL-2.0
/* Fault: its init never ends, and never gives the processor away. */
#include <linux/compiler.h>
#include <linux/module.h>
#include <linux/processor.h>

static int done;

static noinline void init_loop_spin(void)
{
	while (!READ_ONCE(done))
		cpu_relax();
}

static int __init init_loop_init(void)
{
	init_loop_spin();
	return 0;
}
module_init(init_loop_init);

static void __exit init_loop_exit(void)
{
}
module_exit(init_loop_exit);

MODULE_DESCRIPTION("vmlab zoo: endless loop in init");
MODULE_LICENSE("GPL");
