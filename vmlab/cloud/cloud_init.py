# SPDX-License-Identifier: MIT
"""Parser of cloud-init's status. Pure.

cloud-init writes `/run/cloud-init/result.json` when its last stage ends, in every version since 0.7; `status.json`
beside it names the stage. `cloud-init status --format json` came with 22.4, its exit status 2 for "recoverable errors"
with 23.4 (cloud-init, explanation/failure_states). Debian 11 has 20.4, which has only the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RESULT_FILE = "/run/cloud-init/result.json"
STATUS_FILE = "/run/cloud-init/status.json"
_MARK = "--- vmlab ---"
LOOK = (
    "cat /proc/sys/kernel/random/boot_id; "
    f"for f in {RESULT_FILE} {STATUS_FILE}; do echo '{_MARK}'; cat $f 2>/dev/null; done; true"
)
"""Command that prints the boot id and both files, if they exist; cheap, because it starts no Python."""
VERDICT = "cloud-init status --wait --format json"
"""Command for the outcome, once the result file exists; under emulation it takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A guest's answer to `LOOK`."""

    boot_id: str
    is_finished: bool
    stage: str
    """Running stage; empty between two stages, and before the first."""
    errors: tuple[str, ...]


def read_look(text: str) -> Look:
    """Parse the answer to `LOOK`; a missing or incomplete file counts as empty."""
    boot_id, result, status = [*text.split(_MARK), "", ""][:3]
    finished, stages = _version_1(result), _version_1(status)
    errors = finished.get("errors")
    stage = stages.get("stage")
    return Look(
        boot_id=boot_id.strip(),
        is_finished=bool(finished),
        stage=stage if isinstance(stage, str) else "",
        errors=tuple(map(str, errors)) if isinstance(errors, list) else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Outcome of cloud-init."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Errors that cloud-init calls recoverable."""

    @property
    def is_well(self) -> bool:
        return not self.errors


def read_verdict(status: int, output: str, look: Look) -> Verdict:
    """Return the outcome: from cloud-init's command if it supports the option, else from the result file alone.

    `status` and `output` are those of `VERDICT`. For an unknown option argparse also exits with 2, the status for
    recoverable errors, but prints no JSON.
    """
    told = _json(output)
    if not told:
        return Verdict(errors=look.errors)
    errors = tuple(map(str, told.get("errors") or look.errors))
    word = str(told.get("status", ""))
    if not errors and (word not in ("done", "") or status == 1):
        errors = (f"status {word or 'unknown'!r}: {told.get('detail') or 'no detail'}",)
    recoverable = told.get("recoverable_errors")
    warnings = (
        tuple(f"{kind}: {text}" for kind, texts in recoverable.items() for text in texts)
        if isinstance(recoverable, dict)
        else ()
    )
    return Verdict(errors=errors, warnings=warnings)


def _version_1(text: str) -> Mapping[str, Any]:
    inner = _json(text).get("v1")
    return inner if isinstance(inner, dict) else {}


def _json(text: str) -> Mapping[str, Any]:
    """Return the first JSON object in a text; empty when there is none, or an incomplete one."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else ({}, 0)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
