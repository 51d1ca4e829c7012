# SPDX-License-Identifier: MIT
"""Configuration of an image's kernel."""

from __future__ import annotations

from vmlab.errors import AssetError
from vmlab.image.image import Image
from vmlab.image.in_root import read_in_root


def has_option(image: Image, option: str) -> bool:
    """True if a CONFIG_ option is built into an image's kernel."""
    return f"\n{option}=y\n" in _text(image)


def read_options(image: Image) -> dict[str, str]:
    """Return the options that an image's kernel is configured with: `CONFIG_X` to `y`, `m` or a value."""
    rows = (line.partition("=") for line in _text(image).splitlines() if line.startswith("CONFIG_"))
    return {name: value.strip('"') for name, equals, value in rows if equals}


def _text(image: Image) -> str:
    """Return the configuration in the headers of an image's kernel, else the one copied from its guest; empty if
    neither is there."""
    for place in (f"usr/src/linux-headers-{image.release}/.config", f"boot/config-{image.release}"):
        try:
            return read_in_root(image.tool_root, place)
        except OSError:
            continue
    return ""


def require_kfence(image: Image, target_id: str) -> None:
    """Raise `AssetError` when an image's kernel was built without KFENCE."""
    if not has_option(image, "CONFIG_KFENCE"):
        raise AssetError(
            f"{target_id}: {image.release} was built without KFENCE (CONFIG_KFENCE is not set)",
            hint="debian13's kernels have KFENCE: --vmlab-target 'debian13-6.12+kfence,debian13-7.3+kfence'",
        )
