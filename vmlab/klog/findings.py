# SPDX-License-Identifier: MIT
"""What a kernel reported between two moments, and which witness said so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vmlab.errors import MachineLost
from vmlab.klog.log import LogRecord
from vmlab.klog.splat import Splat


class Witness(StrEnum):
    """Where a finding comes from."""

    LOG = "kernel log"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a kernel reported between two moments."""

    splats: tuple[Splat, ...]
    records: tuple[LogRecord, ...]
    """What was logged in that time, as far as it could be had."""
    taint_before: int
    taint_after: int
    witness: Witness
    notes: tuple[str, ...] = ()
    """What is not as it should be with the evidence itself, in sentences."""
    lost: MachineLost | None = None
    """Why the log could not be read."""
