# SPDX-License-Identifier: MIT
"""What this host can do, and what to type where it cannot."""
