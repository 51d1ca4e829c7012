# SPDX-License-Identifier: MIT
"""What cloud-init says of itself. Pure.

`/run/cloud-init/result.json` is there when its last stage has ended, and every version since 0.7 writes it;
`status.json` beside it tells the stage. `cloud-init status --format json` came with 22.4, its exit status 2 for
"recoverable errors" with 23.4 (cloud-init, explanation/failure_states): Debian 11 has 20.4, which has only the files.
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
"""A look that costs no interpreter: the boot's identity and both files, whichever are there."""
VERDICT = "cloud-init status --wait --format json"
"""Asked once the result is there; under emulation each such question costs seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a guest said at a look."""

    boot_id: str
    is_finished: bool
    stage: str
    """The one that runs; empty between two, and before the first."""
    errors: tuple[str, ...]


def read_look(text: str) -> Look:
    """The answer to `LOOK`; a file that is being written, or is not there, tells nothing yet."""
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
    """How cloud-init ended."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What it calls recoverable."""

    @property
    def is_well(self) -> bool:
        return not self.errors


def read_verdict(status: int, output: str, look: Look) -> Verdict:
    """How it ended: by its own command where that knows the option, else by the result file alone.

    `status` and `output` are those of `VERDICT`. An option that argparse does not know ends with 2 and no JSON, which
    is not the 2 that stands for recoverable errors.
    """
    told = _json(output)
    if not told:
        return Verdict(errors=look.errors)
    errors = tuple(map(str, told.get("errors") or look.errors))
    word = str(told.get("status", ""))
    if not errors and (word not in ("done", "") or status == 1):
        errors = (f"its status is {word or 'unknown'!r}: {told.get('detail') or 'no detail'}",)
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
    """The first JSON object in a text; empty when there is none, or only a part of one."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else ({}, 0)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
