// SPDX-License-Identifier: GPL-2.0
/* Fault: turns the machine off. */
#include <linux/module.h>
#include <linux/reboot.h>

static noinline void power_off_now(void)
{
	kernel_power_off();
}

static int __init power_off_init(void)
{
	power_off_now();
	return 0;
}
module_init(power_off_init);

static void __exit power_off_exit(void)
{
}
module_exit(power_off_exit);

MODULE_DESCRIPTION("vmlab zoo: power off");
MODULE_LICENSE("GPL");
