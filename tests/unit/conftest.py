# SPDX-License-Identifier: MIT
"""Settings of all unit tests: Hypothesis examples have no deadline, because a host may be busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
