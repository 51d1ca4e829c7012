# SPDX-License-Identifier: MIT
"""The content-addressed cache of images, snapshots, builds and downloads."""
