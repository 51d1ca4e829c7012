# SPDX-License-Identifier: MIT
"""A publisher's cloud image, and the kernel that a target has on it, as images/targets/*.toml tells them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Firmware(StrEnum):
    """What an image's own bootloader starts from."""

    BIOS = "bios"
    UEFI = "uefi"


class PackageManager(StrEnum):
    """How a distribution installs."""

    APT = "apt"
    DNF = "dnf"
    ZYPPER = "zypper"


class Algorithm(StrEnum):
    """What a publisher's checksum list is made with."""

    SHA256 = "sha256"
    SHA512 = "sha512"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudImage:
    """A disk with cloud-init on it, as its publisher offers it."""

    id: str
    """Its name in `images/lock.toml`."""
    urls: tuple[str, ...]
    """Where the file is, the first choice first. A `*` in the last component stands for a build's number, which the
    checksum list tells."""
    checksums: tuple[str, ...]
    """Where the list with its checksum is, for each of `urls`. A `*` in the last component is looked up in the index
    page of its directory."""
    algorithm: Algorithm
    signature: str = ""
    """Where the list's signature is: `inside`, or what follows the list's address, as `.gpg`; empty where its publisher
    signs none, or it is not known by which key."""
    keyrings: tuple[str, ...] = ()
    """Files with the key that signs the list, as packages install them; the first that a host has is used."""
    firmware: Firmware
    user: str
    """The ordinary user that its cloud-init makes by default."""
    package_manager: PackageManager
    note: str = ""
    """What of the row could not be learned from its publisher, or is to be known before it is used."""
    is_tried: bool = False
    """Whether a guest was made of it, from its publisher, by whoever wrote the row or by the scheduled workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudKernel:
    """What a target takes from a cloud image, and installs in it."""

    image: CloudImage
    kernel: str
    """The package that brings its kernel line; empty for the kernel that the image boots with."""
    headers: str
    """The package with its headers; `{release}` in it is what `uname -r` says."""
    compiler: str
    """The package with the compiler that built it; empty where the kernel's own configuration tells which."""
