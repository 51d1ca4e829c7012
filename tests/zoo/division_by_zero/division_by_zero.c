// SPDX-License-Identifier: GPL-2.0
/* Fault: divides by zero. */
#include <linux/compiler.h>
#include <linux/module.h>

static noinline int division_by_zero_divide(int dividend, int divisor)
{
	OPTIMIZER_HIDE_VAR(dividend);
	OPTIMIZER_HIDE_VAR(divisor);
	return dividend / divisor;
}

static int __init division_by_zero_init(void)
{
	return division_by_zero_divide(1, 0) ? 0 : -EIO;
}
module_init(division_by_zero_init);

static void __exit division_by_zero_exit(void)
{
}
module_exit(division_by_zero_exit);

MODULE_DESCRIPTION("vmlab zoo: division by zero");
MODULE_LICENSE("GPL");
