# SPDX-License-Identifier: MIT
"""What all unit tests share: an example may take as long as a busy host makes it take."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
