// SPDX-License-Identifier: GPL-2.0
/* A device with a node: reading it gives its number. The major is dynamic, or the one that is asked for. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

#define NODE_NAME "vmlab_node"

static unsigned int major;
module_param(major, uint, 0444);
MODULE_PARM_DESC(major, "the major number; 0 takes a dynamic one");

static dev_t node_number;
static struct cdev node_cdev;
static struct class node_class = {
	.name = NODE_NAME,
};

static ssize_t node_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	dev_t number = file_inode(file)->i_rdev;
	char text[16];
	int length = scnprintf(text, sizeof(text), "%u:%u\n", MAJOR(number), MINOR(number));

	return simple_read_from_buffer(buffer, count, position, text, length);
}

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
	.read = node_read,
	.llseek = default_llseek,
};

static int __init node_init(void)
{
	struct device *device;
	int error;

	if (major) {
		node_number = MKDEV(major, 0);
		error = register_chrdev_region(node_number, 1, NODE_NAME);
	} else {
		error = alloc_chrdev_region(&node_number, 0, 1, NODE_NAME);
	}
	if (error)
		return error;
	cdev_init(&node_cdev, &node_fops);
	node_cdev.owner = THIS_MODULE;
	error = cdev_add(&node_cdev, node_number, 1);
	if (error)
		goto unregister_region;
	error = class_register(&node_class);
	if (error)
		goto delete_cdev;
	device = device_create(&node_class, NULL, node_number, NULL, NODE_NAME);
	if (IS_ERR(device)) {
		error = PTR_ERR(device);
		goto unregister_class;
	}
	pr_info("major %u\n", MAJOR(node_number));
	return 0;

unregister_class:
	class_unregister(&node_class);
delete_cdev:
	cdev_del(&node_cdev);
unregister_region:
	unregister_chrdev_region(node_number, 1);
	return error;
}
module_init(node_init);

static void __exit node_exit(void)
{
	device_destroy(&node_class, node_number);
	class_unregister(&node_class);
	cdev_del(&node_cdev);
	unregister_chrdev_region(node_number, 1);
}
module_exit(node_exit);

MODULE_DESCRIPTION("vmlab experiments: a device and its node");
MODULE_LICENSE("GPL");
