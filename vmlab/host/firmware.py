# SPDX-License-Identifier: MIT
"""The UEFI firmware that this host has for guests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError


@dataclass(frozen=True, slots=True, kw_only=True)
class UefiFiles:
    """A firmware's two flash images: its code, and the variables it begins with, of which each machine has a copy."""

    code: Path
    variables: Path


def _pair(directory: str, code: str, variables: str) -> UefiFiles:
    return UefiFiles(code=Path(directory, code), variables=Path(directory, variables))


# Without Secure Boot, which would refuse to load the modules that are to be tested. Debian and Ubuntu, Fedora and its
# family, openSUSE, Arch.
PLACES: Mapping[Architecture, Sequence[UefiFiles]] = {
    Architecture.AMD64: (
        _pair("/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
        _pair("/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),
        _pair("/usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),
        _pair("/usr/share/qemu", "ovmf-x86_64-4m-code.bin", "ovmf-x86_64-4m-vars.bin"),
        _pair("/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),
    ),
    Architecture.ARM64: (
        _pair("/usr/share/AAVMF", "AAVMF_CODE.fd", "AAVMF_VARS.fd"),
        _pair("/usr/share/edk2/aarch64", "QEMU_EFI-pflash.raw", "vars-template-pflash.raw"),
        _pair("/usr/share/qemu", "aavmf-aarch64-code.bin", "aavmf-aarch64-vars.bin"),
    ),
}
PACKAGES = {Architecture.AMD64: "ovmf", Architecture.ARM64: "qemu-efi-aarch64"}
"""Debian's and Ubuntu's packages of them."""


def find_uefi(architecture: Architecture) -> UefiFiles:
    """The firmware for an architecture's guests; `HostError` with what to type when there is none."""
    for files in PLACES[architecture]:
        if files.code.is_file() and files.variables.is_file():
            return files
    raise HostError(
        f"there is no UEFI firmware for {architecture} guests on this host",
        hint=f"`vmlab setup` for such a target installs {PACKAGES[architecture]}",
    )


def has_uefi(architecture: Architecture) -> bool:
    """Whether this host has firmware for an architecture's guests."""
    return any(files.code.is_file() and files.variables.is_file() for files in PLACES[architecture])
