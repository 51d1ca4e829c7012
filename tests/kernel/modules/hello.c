// SPDX-License-Identifier: GPL-2.0
/* One of each thing that a module is made of: parameters, data of every kind, code that stays and code that goes. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

#include "lender.h"

static unsigned int number = 3;
module_param(number, uint, 0444);
MODULE_PARM_DESC(number, "how many greetings, ten at most");

static unsigned int said;
module_param(said, uint, 0444);
MODULE_PARM_DESC(said, "how many words were said; read it");

static const char greeting[] __initconst = "hello";
static const char farewell[] = "goodbye";
static unsigned int greetings __ro_after_init;

unsigned int vmlab_said(void)
{
	return said;
}
EXPORT_SYMBOL_GPL(vmlab_said);

/* Prints whatever happens, so gcc takes it for cold (printk() is marked so), and puts it into .text.unlikely. */
static noinline void hello_say(const char *words)
{
	said++;
	pr_info("%s\n", words);
}

static int __init hello_init(void)
{
	greetings = min(number, 10U);
	while (said < greetings)
		hello_say(greeting);
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	hello_say(farewell);
}
module_exit(hello_exit);

MODULE_DESCRIPTION("vmlab experiments: what a module is made of");
MODULE_LICENSE("GPL");
