// SPDX-License-Identifier: MIT OR GPL-2.0
/* Refuses to load without its firmware */
#include <linux/firmware.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static struct platform_device *device;

static int __init needs_firmware_init(void)
{
	const struct firmware *found;
	int err;

	device = platform_device_register_simple("vmlab_firmware", -1, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	err = request_firmware(&found, "vmlab/none.bin", &device->dev);
	if (err) {
		platform_device_unregister(device);
		return err;
	}
	release_firmware(found);
	return 0;
}

static void __exit needs_firmware_exit(void)
{
	platform_device_unregister(device);
}

module_init(needs_firmware_init);
module_exit(needs_firmware_exit);

MODULE_DESCRIPTION("Refuses to load without its firmware");
MODULE_FIRMWARE("vmlab/none.bin");
MODULE_LICENSE("Dual MIT/GPL");
