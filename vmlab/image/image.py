# SPDX-License-Identifier: MIT
"""The record of an image, which the layers above use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmlab.catalogue.target import Architecture

GUEST_USER = "lab"
"""The ordinary user that every guest has, with passwordless sudo."""

DISK_ROOT = "root=/dev/vda"
"""root= argument for a root file system that fills a disk."""

BUILD_DIRECTORY = "/build"
"""Directory in which modules are built, the same in guest and tool root, because debug info records its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A target's sealed disk with the kernel and initrd that boot it."""

    target_id: str
    architecture: Architecture
    digest: str
    seal: str
    """Digest of its files: a rebuilt image has the same name but other bytes."""
    release: str
    disk: Path
    kernel: Path
    initrd: Path
    tool_root: Path
    """The target's root file system as plain files, without those that a compiler does not need."""
    packages: Mapping[str, str]
    """Versions of the installed packages by name: kernel, headers, compiler and others."""
    is_new: bool
    size_bytes: int
    root: str = DISK_ROOT
    """root= arguments for the kernel command line."""
    cloud_image: str = ""
    """Name and digest of the publisher's image; empty if the image was built from packages."""
    tools_digest: str = ""
    """Digest of the tool root, if packages were added to it."""
    compiler: str = ""
    """First line of its compiler's `--version`, if a guest was asked during provisioning."""

    @property
    def kernel_package(self) -> str:
        """Version of the kernel's package, as its package manager reports it."""
        names = (f"linux-image-{self.release}", f"linux-image-unsigned-{self.release}", "kernel-core", "kernel-default")
        return next((self.packages[name] for name in names if name in self.packages), "")


class Bootable(Protocol):
    """Name and disk of an image or a draft, as a machine needs them."""

    @property
    def target_id(self) -> str: ...
    @property
    def disk(self) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A disk that is becoming an image."""

    target_id: str
    disk: Path
