# SPDX-License-Identifier: MIT
"""The values that settings may have, besides numbers, paths and texts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AcceleratorChoice(StrEnum):
    """What the user asks for; what it becomes is `host.accelerator`'s verdict."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class BuildPlace(StrEnum):
    """Where the module is compiled."""

    AUTO = "auto"
    HOST = "host"
    GUEST = "guest"


class CompilerPolicy(StrEnum):
    """What to do when the kernel's own compiler is not there, only another version."""

    REFUSE = "refuse"
    WAIVE = "waive"


class TimingChoice(StrEnum):
    """What is to count the time; `auto` takes the best of them that is proved to count."""

    AUTO = "auto"
    PMU = "pmu"
    EMULATED_PMU = "emulated-pmu"
    ICOUNT = "icount"
    CLOCK = "clock"


class StaleIndex(StrEnum):
    """What to do with a package index whose date of expiry has passed, as those of frozen mirrors have."""

    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Which part of a run this is."""

    index: int
    """From 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
