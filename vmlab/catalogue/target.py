# SPDX-License-Identifier: MIT
"""A target: a kernel to test on, and how it is started.

It names a kernel *line* (6.12) and a flavour, not a version: the newest version of that line is found
in the distribution's index when its image is built, and recorded with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from vmlab.catalogue.cloud_image import CloudKernel, Firmware

# Other architectures have no such interrupt, and no such parameter (Documentation/admin-guide/kernel-parameters.txt).
_ONLY_AMD64 = ("unknown_nmi_panic",)


NEWEST = "newest"
"""In place of a line, where a distribution moves on through kernel lines."""


class Flavour(StrEnum):
    """Which of a distribution's builds of one kernel line.

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
"""How Debian's compilers for an architecture are called, before a dash."""


class Boot(StrEnum):
    """How a target's kernel is started; not `stock` shows in the target's id: `debian12-6.1+strict`."""

    STOCK = "stock"
    STRICT = "strict"
    """The allocator checks every object, and what the processor can refuse it refuses."""
    KFENCE = "kfence"
    """The kernel guards a sample of its allocations with pages of their own, where it was built with KFENCE."""
    ICOUNT = "icount"
    """On one emulated processor for which each instruction takes a nanosecond: the same work takes the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A distribution's release: what a target's root file system is made from."""

    id: str
    distribution: str
    codename: str
    pockets: tuple[str, ...] = ()
    """Archive suites to install from: the release itself, its updates, its security suite. None where its guests are
    cloud images, which know their own."""
    packages: tuple[str, ...] = ()
    """Packages that this suite's guests have besides those of every guest."""
    kernel_parameters: tuple[str, ...] = ()
    """What this suite's kernels are told besides what every kernel is; `unknown_nmi_panic` among them says that a
    non-maskable interrupt was seen to make them panic, on amd64."""


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
    """Where its guests come from when they are not made out of packages."""
    has_fibdrv: bool = True
    """Whether the lab's own example supports its kernel."""

    @property
    def stock(self) -> Target:
        """The row itself, whose image it is."""
        return self.started(Boot.STOCK)

    def started(self, boot: Boot) -> Target:
        """The same row, started in another way."""
        row = self.id.partition("+")[0]
        return replace(self, id=row if boot is Boot.STOCK else f"{row}+{boot}", boot=boot)

    @property
    def kernel_parameters(self) -> tuple[str, ...]:
        """What its kernel is told besides what every kernel is: its suite's, less what its architecture has not."""
        is_amd64 = self.architecture is Architecture.AMD64
        return tuple(word for word in self.suite.kernel_parameters if is_amd64 or word not in _ONLY_AMD64)

    @property
    def release_pattern(self) -> re.Pattern[str]:
        """Matches this line's and flavour's kernel releases, with the ABI or patch level as its only group.

        Debian names releases `6.1.0-56-cloud-amd64` and, since 6.12, `6.12.117+deb13-cloud-amd64`.
        """
        suffix = {Flavour.CLOUD: "-cloud", Flavour.GENERIC: "", Flavour.RT: "-rt"}[self.flavour]
        middle = r"(?:0-)?([0-9][0-9a-z.+~]*(?:\.[0-9]+)*)"
        return re.compile(rf"^{re.escape(self.line)}\.{middle}{suffix}-{self.architecture}$")


def architectures_of(targets: Iterable[Target]) -> tuple[Architecture, ...]:
    """The architectures that targets have, each once, in the order of `Architecture`."""
    there = {target.architecture for target in targets}
    return tuple(architecture for architecture in Architecture if architecture in there)


def uefi_architectures_of(targets: Iterable[Target]) -> tuple[Architecture, ...]:
    """The architectures of which a target is on a cloud image that UEFI starts."""
    return architectures_of(
        target for target in targets if target.cloud is not None and target.cloud.image.firmware is Firmware.UEFI
    )
