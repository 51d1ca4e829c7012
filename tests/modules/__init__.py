# SPDX-License-Identifier: MIT
"""Small modules of ours, one of each kind of tree, with what the lab is to say of each."""
