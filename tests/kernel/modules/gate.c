// SPDX-License-Identifier: GPL-2.0
/* Stays in its init, and so in the state COMING, until somebody opens it: echo 1 >/sys/module/gate/parameters/open. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/sysfs.h>

#include "gate.h"

#define GATE_LIMIT_S 120

static DECLARE_COMPLETION(gate_opened);

static int gate_open_set(const char *value, const struct kernel_param *param)
{
	bool is_open;
	int error = kstrtobool(value, &is_open);

	if (!error && is_open)
		complete_all(&gate_opened);
	return error;
}

static int gate_open_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", completion_done(&gate_opened));
}

static const struct kernel_param_ops gate_open_ops = {
	.set = gate_open_set,
	.get = gate_open_get,
};

module_param_cb(open, &gate_open_ops, NULL, 0600);
MODULE_PARM_DESC(open, "let init go on; once open it stays so");

static bool fail;
module_param(fail, bool, 0400);
MODULE_PARM_DESC(fail, "let init end with -ENODEV");

int vmlab_gate(void)
{
	return 1;
}
EXPORT_SYMBOL_GPL(vmlab_gate);

static int __init gate_init(void)
{
	long left;

	pr_info("init waits\n");
	left = wait_for_completion_killable_timeout(&gate_opened, GATE_LIMIT_S * HZ);
	pr_info("init ends\n");
	if (left < 0)
		return left;
	if (!left)
		return -ETIMEDOUT;
	return fail ? -ENODEV : 0;
}
module_init(gate_init);

static void __exit gate_exit(void)
{
}
module_exit(gate_exit);

MODULE_DESCRIPTION("vmlab experiments: an init that waits");
MODULE_LICENSE("GPL");
