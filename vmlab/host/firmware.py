# SPDX-License-Identifier: MIT
"""UEFI firmware for guests, as installed on this host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError


@dataclass(frozen=True, slots=True, kw_only=True)
class UefiFiles:
    """Flash images of a firmware: its code, and its initial variables, which are copied for each machine."""

    code: Path
    variables: Path


def _pair(directory: str, code: str, variables: str) -> UefiFiles:
    return UefiFiles(code=Path(directory, code), variables=Path(directory, variables))


# Without Secure Boot, which refuses to load unsigned modules. In order: Debian and Ubuntu, Fedora and its family,
# openSUSE, Arch.
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
"""Packages of the firmware in Debian and Ubuntu."""


def find_uefi(architecture: Architecture) -> UefiFiles:
    """Find the firmware for an architecture's guests; raises `HostError` with the command that installs it."""
    for files in PLACES[architecture]:
        if files.code.is_file() and files.variables.is_file():
            return files
    raise HostError(
        f"UEFI firmware for {architecture} guests is not installed on this host",
        hint=f"`vmlab setup --vmlab-target TARGET` for such a target installs {PACKAGES[architecture]}",
    )


def has_uefi(architecture: Architecture) -> bool:
    """True if this host has firmware for an architecture's guests."""
    return any(files.code.is_file() and files.variables.is_file() for files in PLACES[architecture])
