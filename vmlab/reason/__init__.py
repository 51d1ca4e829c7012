# SPDX-License-Identifier: MIT
"""Reason of a failure, from the output of a build, a load or a command. Pure."""
