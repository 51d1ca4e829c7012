# SPDX-License-Identifier: MIT
"""HTTP as fetching takes it."""
