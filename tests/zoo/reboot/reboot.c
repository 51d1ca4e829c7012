// SPDX-License-Identifier: GPL-2.0
/* Fault: restarts the machine at once. */
#include <linux/module.h>
#include <linux/reboot.h>

static noinline void reboot_now(void)
{
	emergency_restart();
}

/* Not reboot_init: the kernel has one, at which 7.3's resolve_btfids fails ("btf permute"). */
static int __init reboot_load(void)
{
	reboot_now();
	return 0;
}
module_init(reboot_load);

static void __exit reboot_exit(void)
{
}
module_exit(reboot_exit);

MODULE_DESCRIPTION("vmlab zoo: restart");
MODULE_LICENSE("GPL");
