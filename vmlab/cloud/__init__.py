# SPDX-License-Identifier: MIT
"""Images of cloud publishers: locked, downloaded, verified, provisioned."""
