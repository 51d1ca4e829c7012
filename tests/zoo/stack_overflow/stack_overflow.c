// SPDX-License-Identifier: GPL-2.0
/* Fault: overruns a buffer on the stack, over the stack protector's canary. */
#include <linux/compiler.h>
#include <linux/module.h>

static noinline char stack_overflow_write(void)
{
	char buffer[16], *place = buffer;
	int i;

	OPTIMIZER_HIDE_VAR(place);
	for (i = 0; i < 48; i++)
		WRITE_ONCE(place[i], 'x');
	return READ_ONCE(buffer[0]);
}

static int __init stack_overflow_init(void)
{
	return stack_overflow_write() ? 0 : -EIO;
}
module_init(stack_overflow_init);

static void __exit stack_overflow_exit(void)
{
}
module_exit(stack_overflow_exit);

MODULE_DESCRIPTION("vmlab zoo: buffer overrun on the stack");
MODULE_LICENSE("GPL");
