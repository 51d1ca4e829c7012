# SPDX-License-Identifier: MIT
"""Options of a kernel's configuration, and the one that leaves a directory of its source out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LINE = re.compile(r"^(?:CONFIG_(\w+)=([ym])|# CONFIG_(\w+) is not set)$", re.MULTILINE)
# Options by the directory whose modules depend on them, the outermost first; drivers/*/Makefile, net/Makefile.
DIRECTORIES: Mapping[str, tuple[str, ...]] = {
    "drivers/accel": ("DRM_ACCEL", "DRM"),
    "drivers/ata": ("ATA",),
    "drivers/auxdisplay": ("AUXDISPLAY",),
    "drivers/bcma": ("BCMA",),
    "drivers/bluetooth": ("BT",),
    "drivers/char/ipmi": ("IPMI_HANDLER",),
    "drivers/comedi": ("COMEDI",),
    "drivers/counter": ("COUNTER",),
    "drivers/devfreq": ("PM_DEVFREQ",),
    "drivers/edac": ("EDAC",),
    "drivers/extcon": ("EXTCON",),
    "drivers/firewire": ("FIREWIRE",),
    "drivers/gnss": ("GNSS",),
    "drivers/gpio": ("GPIOLIB",),
    "drivers/gpu/drm": ("DRM",),
    "drivers/hid": ("HID_SUPPORT", "HID"),
    "drivers/hwmon": ("HWMON",),
    "drivers/i2c": ("I2C",),
    "drivers/i3c": ("I3C",),
    "drivers/iio": ("IIO",),
    "drivers/infiniband": ("INFINIBAND",),
    "drivers/input": ("INPUT", "INPUT_MISC"),
    "drivers/isdn": ("ISDN",),
    "drivers/leds": ("NEW_LEDS", "LEDS_CLASS"),
    "drivers/md": ("MD",),
    "drivers/media": ("MEDIA_SUPPORT",),
    "drivers/memstick": ("MEMSTICK",),
    "drivers/mfd": ("MFD_CORE",),
    "drivers/misc/mei": ("INTEL_MEI",),
    "drivers/mmc": ("MMC",),
    "drivers/mtd": ("MTD",),
    "drivers/net/can": ("CAN", "CAN_DEV"),
    "drivers/net/phy": ("PHYLIB",),
    "drivers/net/ppp": ("PPP",),
    "drivers/net/wireless": ("WIRELESS", "WLAN"),
    "drivers/net/wwan": ("WWAN",),
    "drivers/nfc": ("NFC",),
    "drivers/parport": ("PARPORT",),
    "drivers/pcmcia": ("PCCARD",),
    "drivers/platform/x86": ("X86_PLATFORM_DEVICES",),
    "drivers/power/supply": ("POWER_SUPPLY",),
    "drivers/pwm": ("PWM",),
    "drivers/regulator": ("REGULATOR",),
    "drivers/scsi": ("SCSI",),
    "drivers/slimbus": ("SLIMBUS",),
    "drivers/soundwire": ("SOUNDWIRE",),
    "drivers/spi": ("SPI",),
    "drivers/ssb": ("SSB",),
    "drivers/staging": ("STAGING",),
    "drivers/thunderbolt": ("USB4",),
    "drivers/ufs": ("SCSI_UFSHCD",),
    "drivers/usb": ("USB_SUPPORT", "USB"),
    "drivers/video": ("FB", "FB_CORE"),
    "drivers/w1": ("W1",),
    "fs/ocfs2": ("OCFS2_FS",),
    "net/9p": ("NET_9P",),
    "net/atm": ("ATM",),
    "net/ax25": ("HAMRADIO", "AX25"),
    "net/bluetooth": ("BT",),
    "net/can": ("CAN",),
    "net/ieee802154": ("IEEE802154",),
    "net/mac80211": ("WIRELESS", "MAC80211"),
    "net/nfc": ("NFC",),
    "net/rfkill": ("RFKILL",),
    "net/rxrpc": ("AF_RXRPC",),
    "net/wireless": ("WIRELESS", "CFG80211"),
    "sound": ("SOUND", "SND"),
}
# Options by the beginning of the header that declares a function: built-in code has no module's path.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "drm/": ("DRM",),
    "linux/backlight.h": ("BACKLIGHT_CLASS_DEVICE",),
    "linux/clk": ("COMMON_CLK",),
    "linux/devfreq.h": ("PM_DEVFREQ",),
    "linux/dma-buf": ("DMA_SHARED_BUFFER",),
    "linux/dma-fence": ("DMA_SHARED_BUFFER",),
    "linux/dma-resv.h": ("DMA_SHARED_BUFFER",),
    "linux/dmaengine.h": ("DMADEVICES", "DMA_ENGINE"),
    "linux/dpll.h": ("DPLL",),
    "linux/extcon": ("EXTCON",),
    "linux/fb.h": ("FB", "FB_CORE"),
    "linux/gpio": ("GPIOLIB",),
    "linux/hdmi.h": ("HDMI",),
    "linux/hid": ("HID_SUPPORT", "HID"),
    "linux/hwmon": ("HWMON",),
    "linux/i2c": ("I2C",),
    "linux/iio/": ("IIO",),
    "linux/input": ("INPUT",),
    "linux/leds": ("NEW_LEDS", "LEDS_CLASS"),
    "linux/mfd/": ("MFD_CORE",),
    "linux/mmc/": ("MMC",),
    "linux/mtd/": ("MTD",),
    "linux/nvmem": ("NVMEM",),
    "linux/phy.h": ("PHYLIB",),
    "linux/phy/": ("GENERIC_PHY",),
    "linux/pinctrl/": ("PINCTRL",),
    "linux/pm_domain.h": ("PM_GENERIC_DOMAINS",),
    "linux/pm_opp.h": ("PM_OPP",),
    "linux/power_supply.h": ("POWER_SUPPLY",),
    "linux/pwm.h": ("PWM",),
    "linux/regmap.h": ("REGMAP",),
    "linux/regulator/": ("REGULATOR",),
    "linux/reset.h": ("RESET_CONTROLLER",),
    "linux/rfkill.h": ("RFKILL",),
    "linux/rtc": ("RTC_CLASS",),
    "linux/sfp.h": ("SFP",),
    "linux/spi/": ("SPI",),
    "linux/sync_file.h": ("SYNC_FILE",),
    "linux/thermal.h": ("THERMAL",),
    "linux/usb": ("USB_SUPPORT", "USB"),
    "linux/vga_switcheroo.h": ("VGA_SWITCHEROO",),
    "linux/watchdog.h": ("WATCHDOG",),
    "media/": ("MEDIA_SUPPORT",),
    "net/cfg80211.h": ("WIRELESS", "CFG80211"),
    "net/switchdev.h": ("NET_SWITCHDEV",),
    "sound/": ("SOUND", "SND"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Options that are y or m, and those that a configuration names as not set."""

    on: frozenset[str] = field(default=frozenset())
    off: frozenset[str] = field(default=frozenset())

    @classmethod
    def parse(cls, text: str) -> Options:
        """Read a .config."""
        rows = _LINE.findall(text)
        return cls(frozenset(name for name, _, _ in rows if name), frozenset(name for _, _, name in rows if name))


def lacking(place: str, header: str, generic: Options, cloud: Options) -> str:
    """Return the outermost option that is on in the generic flavour and off in the cloud one.

    It is looked up by the exporting module's path, else by the header that declares the symbol; `-` if the tables have
    no such option.
    """
    directory = max((name for name in DIRECTORIES if place.startswith(f"{name}/")), key=len, default="")
    beginning = max((name for name in HEADERS if header.startswith(name)), key=len, default="")
    for option in (*DIRECTORIES.get(directory, ()), *HEADERS.get(beginning, ())):
        if option in generic.on and option not in cloud.on:
            return f"CONFIG_{option}"
    return "-"
