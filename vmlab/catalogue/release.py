# SPDX-License-Identifier: MIT
"""Order of kernel releases."""

from __future__ import annotations

import re


def line_of(release: str) -> tuple[int, int]:
    """Return (6, 12) for `6.12` and for `6.12.117+deb13-cloud-amd64`; (0, 0) if the text is not a release."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)
