# SPDX-License-Identifier: MIT
"""The license strings that a module may have, and how one is put into a built module. Pure.

The kernel knows six texts (`license_is_gpl_compatible()`, include/linux/license.h); anything else is not compatible,
an SPDX identifier such as `GPL-2.0` among it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """What stands in MODULE_LICENSE()."""

    slug: str
    """How it is called in names of files and findings."""
    text: str
    is_compatible: bool
    """Whether a module under it may use what was exported with EXPORT_SYMBOL_GPL."""


_PLACEHOLDER = "GPL and additional rights"
"""The longest, which the modules are built with: any other fits into its place."""

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
    """A module's bytes with another text for its license in `.modinfo`, which ends in zeros where it is shorter; the
    kernel passes over them (`module_next_tag_pair()`). `ValueError` when the module has not the one text expected."""
    old = b"license=" + _PLACEHOLDER.encode() + b"\0"
    if data.count(old) != 1:
        raise ValueError(f"the module says {data.count(old)} times that it is under {_PLACEHOLDER!r}")
    return data.replace(old, f"license={license.text}".encode().ljust(len(old), b"\0"))
