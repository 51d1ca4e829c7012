# SPDX-License-Identifier: MIT
"""Plots of cost against n: an SVG file, or text for the terminal.

Does not use matplotlib, which would add 70 MB of dependencies for one kind of plot.
"""
