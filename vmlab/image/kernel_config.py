# SPDX-License-Identifier: MIT
"""How an image's kernel was configured."""

from __future__ import annotations

from vmlab.image.image import Image


def has_option(image: Image, option: str) -> bool:
    """Whether a CONFIG_ option is built into an image's kernel, by the configuration that its headers carry or that
    was taken out of its guest."""
    for place in (f"usr/src/linux-headers-{image.release}/.config", f"boot/config-{image.release}"):
        try:
            return f"\n{option}=y\n" in (image.tool_root / place).read_text(encoding="utf-8")
        except OSError:
            continue
    return False
