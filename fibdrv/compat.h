/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Every difference between the kernels that this driver builds for, 5.10 to
 * the newest, with the commit and the release that made it.
 */
#ifndef FIBDRV_COMPAT_H
#define FIBDRV_COMPAT_H

#include <linux/device.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "fibdrv supports kernels from 5.10 on"
#endif

#if !defined(CONFIG_64BIT) || !defined(__LITTLE_ENDIAN)
#error "fibdrv supports 64-bit little-endian machines: amd64 and arm64"
#endif

/*
 * class_create() lost its owner argument in v6.4, commit 1aaba11da9aa
 * ("driver core: class: remove module * from class_create()").
 */
static inline struct class *compat_class_create(const char *name)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	return class_create(name);
#else
	return class_create(THIS_MODULE, name);
#endif
}

/*
 * The devnode() callback of a class takes a const device since v6.2, commit
 * ff62b8e6588f ("driver core: make struct class.devnode() take a const *").
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define compat_devnode_device const struct device
#else
#define compat_devnode_device struct device
#endif

/*
 * kzalloc_obj() takes the object and not its size since v7.0, commit
 * 2932ba8d9c99 ("slab: Introduce kmalloc_obj() and family"). It went into
 * stable kernels as well (6.18), so a version says nothing; the macro does.
 */
#ifndef kzalloc_obj
#define kzalloc_obj(object, gfp) kzalloc(sizeof(object), gfp)
#endif

#endif /* FIBDRV_COMPAT_H */
