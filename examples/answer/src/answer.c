// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * /dev/answer: reading it gives the answer, 42 unless the module was loaded with another one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int answer = 42;
module_param(answer, int, 0444);
MODULE_PARM_DESC(answer, "what reading /dev/answer gives");

static ssize_t answer_read(struct file *file, char __user *buf, size_t size,
			   loff_t *pos)
{
	char text[sizeof("-2147483648\n")];
	int length = scnprintf(text, sizeof(text), "%d\n", answer);

	return simple_read_from_buffer(buf, size, pos, text, length);
}

static const struct file_operations answer_fops = {
	.owner = THIS_MODULE,
	.read = answer_read,
	.llseek = default_llseek,
};

static struct miscdevice answer_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "answer",
	.mode = 0444,
	.fops = &answer_fops,
};

module_misc_device(answer_device);

MODULE_DESCRIPTION("A device that knows the answer");
MODULE_LICENSE("Dual MIT/GPL");
