# SPDX-License-Identifier: MIT
"""Findings in a kernel's log during a period, and their source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vmlab.errors import MachineLost
from vmlab.klog.log import LogRecord
from vmlab.klog.splat import Splat


class Witness(StrEnum):
    """Source of the findings."""

    LOG = "kernel log"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Splats, records and taint of a kernel during a period."""

    splats: tuple[Splat, ...]
    records: tuple[LogRecord, ...]
    """Records of the period, as far as they could be read."""
    taint_before: int
    taint_after: int
    witness: Witness
    notes: tuple[str, ...] = ()
    """Sentences about defects of the evidence."""
    cut: str = ""
    """Sentence about what the lab's limits left out of the kernel log; empty if nothing."""
    unchecked: str = ""
    """Sentence that says why a report may be missing: the log and the console both lack something; empty if not."""
    lost: MachineLost | None = None
    """Error that prevented reading the log; None if it was read."""
