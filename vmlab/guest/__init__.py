# SPDX-License-Identifier: MIT
"""The guest: the running system, as seen over SSH."""
