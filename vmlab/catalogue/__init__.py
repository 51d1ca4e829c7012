# SPDX-License-Identifier: MIT
"""The matrix: targets, and the cloud images they come from."""
