# SPDX-License-Identifier: MIT
"""Cost against n as pictures: an SVG file, and text for the terminal.

Own code: matplotlib, which draws far more, would be 70 MB of dependencies for one kind of picture.
"""
