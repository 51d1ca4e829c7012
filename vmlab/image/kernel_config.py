# SPDX-License-Identifier: MIT
"""How an image's kernel was configured."""

from __future__ import annotations

from vmlab.errors import AssetError
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


def require_kfence(image: Image, target_id: str) -> None:
    """Raise `AssetError` when an image's kernel was built without KFENCE."""
    if not has_option(image, "CONFIG_KFENCE"):
        raise AssetError(
            f"{target_id}: {image.release} was built without KFENCE (CONFIG_KFENCE is not set)",
            hint="debian13's kernels have it: --vmlab-target 'debian13-6.12+kfence,debian13-7.3+kfence'",
        )
