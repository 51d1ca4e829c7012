# SPDX-License-Identifier: MIT
"""How an image's kernel was configured."""

from __future__ import annotations

from vmlab.image.image import Image


def has_option(image: Image, option: str) -> bool:
    """Whether a CONFIG_ option is built into an image's kernel, by the configuration that its headers carry."""
    path = image.tool_root / "usr" / "src" / f"linux-headers-{image.release}" / ".config"
    try:
        return f"\n{option}=y\n" in path.read_text(encoding="utf-8")
    except OSError:
        return False
