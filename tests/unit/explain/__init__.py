# SPDX-License-Identifier: MIT
"""The pages in docs/explain/."""
