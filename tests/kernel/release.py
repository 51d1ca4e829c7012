# SPDX-License-Identifier: MIT
"""Kernel releases as the experiments compare them. Pure."""

from __future__ import annotations

import re


def line_of(release: str) -> tuple[int, int]:
    """(6, 12) for `6.12` and `6.12.117+deb13-cloud-amd64`; `ValueError` when it is not a kernel release."""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match is None:
        raise ValueError(f"no kernel release: {release!r}")
    return int(match[1]), int(match[2])
