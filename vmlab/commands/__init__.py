# SPDX-License-Identifier: MIT
"""The `vmlab` command."""
