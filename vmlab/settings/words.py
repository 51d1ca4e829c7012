# SPDX-License-Identifier: MIT
"""Types for the values of settings, apart from numbers, paths and texts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AcceleratorChoice(StrEnum):
    """The accelerator that the user asks for; `host.accelerator` decides which one is used."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class BuildPlace(StrEnum):
    """The place where the module is built."""

    AUTO = "auto"
    HOST = "host"
    GUEST = "guest"


class CompilerPolicy(StrEnum):
    """Policy for a target that has only another version of the kernel's compiler."""

    REFUSE = "refuse"
    WAIVE = "waive"


class TimingChoice(StrEnum):
    """The timing source to use; `auto` takes the best one that is proved to count."""

    AUTO = "auto"
    PMU = "pmu"
    EMULATED_PMU = "emulated-pmu"
    ICOUNT = "icount"
    CLOCK = "clock"


class StaleIndex(StrEnum):
    """Policy for an expired package index, such as a frozen mirror's."""

    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A shard: one of `count` parts of a run."""

    index: int
    """Number of the shard, from 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
