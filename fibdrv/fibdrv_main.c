// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/fibonacci: a character device whose file position is an index n, and
 * whose records are the Fibonacci numbers.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>

#include "compat.h"
#include "arith/record.h"
#include "fibdrv_faults.h"
#include "fibdrv_file.h"

#define FIBDRV_NODE	"fibonacci"
#define FIBDRV_CLASS	"fibdrv"
#define FIBDRV_VERSION	"1.0.0"

/* The pair of one open file, at most. */
#define KEEP_KIB_MAX	(64 * 1024)

unsigned long fibdrv_max_n = 10000000;
module_param_named(max_n, fibdrv_max_n, ulong, 0444);
MODULE_PARM_DESC(max_n, "the last index, 1 to 1000000000 (default 10000000)");

unsigned int fibdrv_keep_kib = 256;
module_param_named(keep_kib, fibdrv_keep_kib, uint, 0444);
MODULE_PARM_DESC(keep_kib,
		 "KiB that an open file may keep for a reader that reads on, 0 to 65536 (default 256)");

static char *format = "decimal";
module_param(format, charp, 0444);
MODULE_PARM_DESC(format,
		 "what a file is opened with: decimal (default), hex or binary");

u32 fibdrv_default_format;

static const char * const format_names[FIBDRV_FORMATS] = {
	[FIBDRV_FORMAT_DECIMAL]	= "decimal",
	[FIBDRV_FORMAT_HEX]	= "hex",
	[FIBDRV_FORMAT_BINARY]	= "binary",
};

static dev_t fibdrv_devt;
static struct cdev *fibdrv_cdev;
static struct class *fibdrv_class;

/* Everyone may read; only root, whom no mode stops, can open it for writing. */
static char *fibdrv_devnode(compat_devnode_device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0444;
	return NULL;
}

static int __init check_parameters(void)
{
	u32 i;

	if (!fibdrv_max_n || fibdrv_max_n > FIB_INDEX_MAX) {
		pr_err("max_n is %lu, but must be 1 to %llu\n",
		       fibdrv_max_n, FIB_INDEX_MAX);
		return -EINVAL;
	}
	if (fibdrv_keep_kib > KEEP_KIB_MAX) {
		pr_err("keep_kib is %u, but must be 0 to %u\n",
		       fibdrv_keep_kib, KEEP_KIB_MAX);
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(format_names); i++) {
		if (sysfs_streq(format, format_names[i])) {
			fibdrv_default_format = i;
			return 0;
		}
	}
	pr_err("format is '%s', but must be decimal, hex or binary\n", format);
	return -EINVAL;
}

/**
 * fibdrv_init() - Check the parameters and create the device.
 *
 * Return: 0 or a negative errno, with nothing left behind.
 */
static int __init fibdrv_init(void)
{
	struct device *device;
	int err;

	err = check_parameters();
	if (err)
		return err;

	err = fibdrv_fault() ? -ENOMEM :
	      alloc_chrdev_region(&fibdrv_devt, 0, 1, FIBDRV_NODE);
	if (err) {
		pr_err("no device number: %d\n", err);
		return err;
	}

	/*
	 * Allocated, not static: its kobject may outlive the module, and does
	 * where CONFIG_DEBUG_KOBJECT_RELEASE puts off the release.
	 */
	fibdrv_cdev = fibdrv_fault() ? NULL : cdev_alloc();
	if (!fibdrv_cdev) {
		err = -ENOMEM;
		pr_err("cannot allocate the device: %d\n", err);
		goto unregister_region;
	}
	fibdrv_cdev->owner = THIS_MODULE;
	fibdrv_cdev->ops = &fibdrv_fops;
	err = fibdrv_fault() ? -ENOMEM :
	      cdev_add(fibdrv_cdev, fibdrv_devt, 1);
	if (err) {
		pr_err("cannot add the device: %d\n", err);
		kobject_put(&fibdrv_cdev->kobj);
		goto unregister_region;
	}

	fibdrv_class = fibdrv_fault() ? ERR_PTR(-ENOMEM) :
		       compat_class_create(FIBDRV_CLASS);
	if (IS_ERR(fibdrv_class)) {
		err = PTR_ERR(fibdrv_class);
		pr_err("cannot create the class: %d\n", err);
		goto delete_cdev;
	}
	fibdrv_class->devnode = fibdrv_devnode;

	device = fibdrv_fault() ? ERR_PTR(-ENOMEM) :
		 device_create(fibdrv_class, NULL, fibdrv_devt, NULL,
			       FIBDRV_NODE);
	if (IS_ERR(device)) {
		err = PTR_ERR(device);
		pr_err("cannot create the node: %d\n", err);
		goto destroy_class;
	}

	pr_info("/dev/" FIBDRV_NODE " is %d:%d, F(0) to F(%lu), in %s\n",
		MAJOR(fibdrv_devt), MINOR(fibdrv_devt), fibdrv_max_n,
		format_names[fibdrv_default_format]);
	return 0;

destroy_class:
	class_destroy(fibdrv_class);
delete_cdev:
	cdev_del(fibdrv_cdev);
unregister_region:
	unregister_chrdev_region(fibdrv_devt, 1);
	return err;
}

/**
 * fibdrv_exit() - Undo fibdrv_init(). No file is open: each holds the module.
 */
static void __exit fibdrv_exit(void)
{
	device_destroy(fibdrv_class, fibdrv_devt);
	class_destroy(fibdrv_class);
	cdev_del(fibdrv_cdev);
	unregister_chrdev_region(fibdrv_devt, 1);
	pr_info("unloaded\n");
}

module_init(fibdrv_init);
module_exit(fibdrv_exit);

MODULE_AUTHOR("The vmlab authors");
MODULE_DESCRIPTION("Fibonacci numbers of any length, as a character device");
MODULE_VERSION(FIBDRV_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
