# SPDX-License-Identifier: MIT
"""Publishers' cloud images, and the kernels that targets install on them, as declared in images/targets/*.toml."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Firmware(StrEnum):
    """Firmware that starts an image's boot loader."""

    BIOS = "bios"
    UEFI = "uefi"


class PackageManager(StrEnum):
    """Package manager of a distribution."""

    APT = "apt"
    DNF = "dnf"
    ZYPPER = "zypper"


class Algorithm(StrEnum):
    """Hash algorithm of a publisher's checksum list."""

    SHA256 = "sha256"
    SHA512 = "sha512"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudImage:
    """A publisher's disk image with cloud-init."""

    id: str
    """Name in `images/lock.toml`."""
    urls: tuple[str, ...]
    """Addresses of the file, in order of preference. A `*` in the last component stands for a build number, which is
    taken from the checksum list."""
    checksums: tuple[str, ...]
    """Address of the checksum list for each of `urls`. A `*` in the last component is resolved from the index page of
    its directory."""
    algorithm: Algorithm
    signature: str = ""
    """Location of the list's signature: `inside`, or a suffix of the list's address such as `.gpg`. Empty if the
    publisher does not sign the list, or the key is unknown."""
    keyrings: tuple[str, ...] = ()
    """Paths of the key that signs the list, as packages install it; the first that exists on the host is used."""
    firmware: Firmware
    user: str
    """Ordinary user that its cloud-init creates by default."""
    package_manager: PackageManager
    note: str = ""
    """Facts that the publisher does not state, or that a user must know."""
    is_tried: bool = False
    """True if the author of the row or the scheduled workflow has built a guest from the publisher's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudKernel:
    """A target's cloud image and the packages to install in it."""

    image: CloudImage
    kernel: str
    """Package of the kernel line; empty for the kernel that the image boots."""
    headers: str
    """Package of the kernel headers; `{release}` stands for the output of `uname -r`."""
    compiler: str
    """Package of the compiler that built the kernel; empty to derive it from the kernel's configuration."""
