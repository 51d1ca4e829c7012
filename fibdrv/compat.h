/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Every difference between the kernels that this driver builds for, 5.10 to
 * the newest, with the commit and the release that made it.
 *
 * Red Hat's kernels, and with them AlmaLinux's and Rocky's, keep their version
 * for ten years (5.14 in release 9) and take such changes in later: there
 * <linux/version.h> has RHEL_RELEASE_CODE, and that is what to ask.
 */
#ifndef FIBDRV_COMPAT_H
#define FIBDRV_COMPAT_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "fibdrv supports kernels from 5.10 on"
#endif

#if !defined(CONFIG_64BIT) || !defined(__LITTLE_ENDIAN)
#error "fibdrv supports 64-bit little-endian machines: amd64 and arm64"
#endif

#ifdef RHEL_RELEASE_CODE
#define COMPAT_RHEL_SINCE(major, minor) \
	(RHEL_RELEASE_CODE >= RHEL_RELEASE_VERSION(major, minor))
#else
#define COMPAT_RHEL_SINCE(major, minor) 0
#endif

/*
 * class_create() lost its owner argument in v6.4, commit 1aaba11da9aa
 * ("driver core: class: remove module * from class_create()"), and in Red
 * Hat's 9.4 (5.14.0-427).
 */
static inline struct class *compat_class_create(const char *name)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0) || COMPAT_RHEL_SINCE(9, 4)
	return class_create(name);
#else
	return class_create(THIS_MODULE, name);
#endif
}

/*
 * The devnode() callback of a class takes a const device since v6.2, commit
 * ff62b8e6588f ("driver core: make struct class.devnode() take a const *"),
 * and since Red Hat's 9.3 (5.14.0-362).
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) || COMPAT_RHEL_SINCE(9, 3)
#define compat_devnode_device const struct device
#else
#define compat_devnode_device struct device
#endif

/*
 * Negative offsets are asked for in the file operations since v6.12, commit
 * 641bb4394f40 ("fs: move FMODE_UNSIGNED_OFFSET to fop_flags"), and before that
 * in each open file.
 */
#ifdef FOP_UNSIGNED_OFFSET
#define COMPAT_UNSIGNED_OFFSET	.fop_flags = FOP_UNSIGNED_OFFSET,
#define COMPAT_UNSIGNED_MODE	0
#else
#define COMPAT_UNSIGNED_OFFSET
#define COMPAT_UNSIGNED_MODE	FMODE_UNSIGNED_OFFSET
#endif

#endif /* FIBDRV_COMPAT_H */
