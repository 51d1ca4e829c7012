// SPDX-License-Identifier: GPL-2.0
/*
 * Uses vmlab_plain of lender.ko, under a license that is put in its place
 * afterwards: the kernel knows no more of a license than this text in .modinfo.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "lender.h"

#ifndef VMLAB_LICENSE
#define VMLAB_LICENSE "GPL and additional rights"
#endif

static int __init plain_user_init(void)
{
	return vmlab_plain() > 0 ? 0 : -EINVAL;
}
module_init(plain_user_init);

static void __exit plain_user_exit(void)
{
}
module_exit(plain_user_exit);

MODULE_DESCRIPTION("vmlab experiments: uses vmlab_plain");
MODULE_LICENSE(VMLAB_LICENSE);
