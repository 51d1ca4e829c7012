# SPDX-License-Identifier: MIT
"""The image: a bootable disk for a target, with its kernel and initrd, sealed and read-only."""
