# SPDX-License-Identifier: MIT
"""The lab's own promises, on real guests."""
