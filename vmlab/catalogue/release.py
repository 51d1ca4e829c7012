# SPDX-License-Identifier: MIT
"""Form and order of kernel releases."""

from __future__ import annotations

import re


def line_of(release: str) -> tuple[int, int]:
    """Return (6, 12) for `6.12` and for `6.12.117+deb13-cloud-amd64`; (0, 0) if the text is not a release."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def is_release(text: str) -> bool:
    """True for a kernel release such as `6.12.117+deb13-cloud-amd64`, at most 64 characters (__NEW_UTS_LEN): it is used
    in file names and in shell commands."""
    return len(text) <= 64 and re.fullmatch(r"\d+\.\d+[A-Za-z0-9._+~-]*", text, re.ASCII) is not None
