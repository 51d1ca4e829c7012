# SPDX-License-Identifier: MIT
"""A target: a kernel to test on, and its boot mode.

It names a kernel *line* (6.12) and a flavour, not a version. The newest version of the line is looked up
in the distribution's index when the image is built, and recorded with the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from vmlab.catalogue.cloud_image import CloudKernel, Firmware

# Other architectures lack this interrupt and its parameter (Documentation/admin-guide/kernel-parameters.txt).
_ONLY_AMD64 = ("unknown_nmi_panic",)


NEWEST = "newest"
"""Value of `line` for a distribution that moves to newer kernel lines."""


class Flavour(StrEnum):
    """Kernel configuration of a distribution within one line.

    Debian's cloud kernels lack whole subsystems and boot fastest; rt is PREEMPT_RT.
    """

    CLOUD = "cloud"
    GENERIC = "generic"
    RT = "rt"


class Architecture(StrEnum):
    """Debian's names of the processor architectures."""

    AMD64 = "amd64"
    ARM64 = "arm64"


TRIPLETS = {Architecture.AMD64: "x86_64-linux-gnu", Architecture.ARM64: "aarch64-linux-gnu"}
"""Prefix of Debian's compiler names for an architecture, before a dash."""


class Boot(StrEnum):
    """Boot mode of a target; a mode other than `stock` is part of the target's id: `debian12-6.1+strict`."""

    STOCK = "stock"
    STRICT = "strict"
    """The allocator checks every object, and the processor's protections are enabled."""
    KFENCE = "kfence"
    """The kernel surrounds a sample of its allocations with guard pages, if it was built with KFENCE."""
    ICOUNT = "icount"
    """One emulated processor executes one instruction per nanosecond: the same work takes the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A distribution's release, the source of a target's root file system."""

    id: str
    distribution: str
    codename: str
    pockets: tuple[str, ...] = ()
    """Archive suites to install from: the release, its updates, its security suite. Empty for cloud images, whose
    package manager is configured already."""
    packages: tuple[str, ...] = ()
    """Packages of this suite's guests, in addition to those of every guest."""
    kernel_parameters: tuple[str, ...] = ()
    """Kernel parameters of this suite, in addition to those of every target. `unknown_nmi_panic` among them means that
    a non-maskable interrupt was observed to panic these kernels on amd64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A row of the matrix."""

    id: str
    suite: Suite
    line: str
    flavour: Flavour
    architecture: Architecture
    pockets: tuple[str, ...]
    is_default: bool
    note: str = ""
    boot: Boot = Boot.STOCK
    cloud: CloudKernel | None = None
    """Source of its guests if they are built from a cloud image; None if they are built from packages."""
    has_fibdrv: bool = True
    """True if the example module fibdrv supports its kernel."""

    @property
    def stock(self) -> Target:
        """The target in stock boot mode, to which the image belongs."""
        return self.started(Boot.STOCK)

    def started(self, boot: Boot) -> Target:
        """Return the same row in another boot mode."""
        row = self.id.partition("+")[0]
        return replace(self, id=row if boot is Boot.STOCK else f"{row}+{boot}", boot=boot)

    @property
    def kernel_parameters(self) -> tuple[str, ...]:
        """Kernel parameters of its suite, without those that its architecture lacks."""
        is_amd64 = self.architecture is Architecture.AMD64
        return tuple(word for word in self.suite.kernel_parameters if is_amd64 or word not in _ONLY_AMD64)

    @property
    def release_pattern(self) -> re.Pattern[str]:
        """Pattern of this line's and flavour's kernel releases, with the ABI or patch level as its only group.

        Debian names releases `6.1.0-56-cloud-amd64` and, since 6.12, `6.12.117+deb13-cloud-amd64`.
        """
        suffix = {Flavour.CLOUD: "-cloud", Flavour.GENERIC: "", Flavour.RT: "-rt"}[self.flavour]
        middle = r"(?:0-)?([0-9][0-9a-z.+~]*(?:\.[0-9]+)*)"
        return re.compile(rf"^{re.escape(self.line)}\.{middle}{suffix}-{self.architecture}$")


def architectures_of(targets: Iterable[Target]) -> tuple[Architecture, ...]:
    """Return the targets' architectures without duplicates, in the order of `Architecture`."""
    there = {target.architecture for target in targets}
    return tuple(architecture for architecture in Architecture if architecture in there)


def uefi_architectures_of(targets: Iterable[Target]) -> tuple[Architecture, ...]:
    """Return the architectures of the targets whose cloud images need UEFI."""
    return architectures_of(
        target for target in targets if target.cloud is not None and target.cloud.image.firmware is Firmware.UEFI
    )
