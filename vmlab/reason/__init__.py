# SPDX-License-Identifier: MIT
"""The line of a tool's output that says why it failed: of a build, a load, a command. Pure."""
