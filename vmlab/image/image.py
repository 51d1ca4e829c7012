# SPDX-License-Identifier: MIT
"""What an image is: the record that everything above this layer works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmlab.catalogue.target import Architecture

GUEST_USER = "lab"
"""The ordinary user that every guest has, with passwordless sudo."""

DISK_ROOT = "root=/dev/vda"
"""How the kernel is told of a root file system that is all of a disk."""

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
    root: str = DISK_ROOT
    """What the kernel is told of where its root file system is."""
    cloud_image: str = ""
    """The publisher's image that it was made of, by name and digest; empty for one that was made out of packages."""
    compiler: str = ""
    """The first line of its compiler's `--version`, where its guest was asked when it was made."""

    @property
    def kernel_package(self) -> str:
        """The version of the package that brought its kernel, as its package manager has it."""
        names = (f"linux-image-{self.release}", f"linux-image-unsigned-{self.release}", "kernel-core", "kernel-default")
        return next((self.packages[name] for name in names if name in self.packages), "")


class Reachable(Protocol):
    """What a machine takes of an image, or of a disk that is to become one: its name, its disk, its keys."""

    @property
    def target_id(self) -> str: ...
    @property
    def disk(self) -> Path: ...
    @property
    def host_key(self) -> str: ...
    @property
    def user_key(self) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A disk that an image is being made of."""

    target_id: str
    disk: Path
    host_key: str
    user_key: Path
