# SPDX-License-Identifier: MIT
"""Kernel releases in order."""

from __future__ import annotations

import re


def line_of(release: str) -> tuple[int, int]:
    """(6, 12) of `6.12` and of `6.12.117+deb13-cloud-amd64`; (0, 0) of what is no release."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)
