# SPDX-License-Identifier: MIT
"""License strings that a module may have, and writing one into a built module. Pure.

The kernel accepts six texts (`license_is_gpl_compatible()`, include/linux/license.h); any other text is incompatible,
including SPDX identifiers such as `GPL-2.0`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """An argument of MODULE_LICENSE()."""

    slug: str
    """Name in file names and findings."""
    text: str
    is_compatible: bool
    """True if a module under it may use EXPORT_SYMBOL_GPL symbols."""


_PLACEHOLDER = "GPL and additional rights"
"""The longest text, used for building the modules: any other fits into its place."""

LICENSES = (
    License(slug="gpl", text="GPL", is_compatible=True),
    License(slug="gpl_v2", text="GPL v2", is_compatible=True),
    License(slug="gpl_and_more", text=_PLACEHOLDER, is_compatible=True),
    License(slug="dual_bsd", text="Dual BSD/GPL", is_compatible=True),
    License(slug="dual_mit", text="Dual MIT/GPL", is_compatible=True),
    License(slug="dual_mpl", text="Dual MPL/GPL", is_compatible=True),
    License(slug="proprietary", text="Proprietary", is_compatible=False),
    License(slug="spdx", text="GPL-2.0", is_compatible=False),
    License(slug="made_up", text="As you like it", is_compatible=False),
)


def relicensed(data: bytes, license: License) -> bytes:
    """A module's bytes with another license in `.modinfo`, padded with zeros, which the kernel skips
    (`module_next_tag_pair()`). `ValueError` unless the module has exactly the one expected text."""
    old = b"license=" + _PLACEHOLDER.encode() + b"\0"
    if data.count(old) != 1:
        raise ValueError(f"the module says {data.count(old)} times that it is under {_PLACEHOLDER!r}")
    return data.replace(old, f"license={license.text}".encode().ljust(len(old), b"\0"))
