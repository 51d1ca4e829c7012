# SPDX-License-Identifier: MIT
"""What an image is: the record that everything above this layer works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.target import Architecture

GUEST_USER = "lab"
"""The ordinary user that every guest has, with passwordless sudo."""

BUILD_DIRECTORY = "/build"
"""Where modules are compiled, in the guest and in the tool root alike: paths end up in debug info."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A target's sealed disk with the kernel and initrd that boot it."""

    target_id: str
    architecture: Architecture
    digest: str
    seal: str
    """Digest of what is in it: an image that is made again has the same name and other bytes."""
    release: str
    disk: Path
    kernel: Path
    initrd: Path
    tool_root: Path
    """The target's own root file system as plain files, without what a compiler has no use for."""
    packages: Mapping[str, str]
    """Versions of what was installed by name: kernel, headers, compiler and the rest."""
    is_new: bool
    size_bytes: int
    host_key: str
    """The guest's public SSH host key, `ssh-ed25519 AAAA…`."""
    user_key: Path
    """The lab's private SSH key."""
