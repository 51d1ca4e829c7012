# SPDX-License-Identifier: MIT
"""Shared by the attacks on stores: an object's content, and a limit for what must not block."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

INPUTS = {"kernel": "6.1"}
NOBODY = 65534
IS_ROOT = os.geteuid() == 0


def fill(work: Path) -> Mapping[str, Any]:
    """Write an image's files; returns its facts."""
    (work / "disk").write_bytes(b"disk" * 1000)
    (work / "tools" / "bin").mkdir(parents=True)
    (work / "tools" / "bin" / "gcc").write_text("compiler")
    return {"target": "debian12-6.1", "release": "6.1.0-56-cloud-amd64", "packages": {}}


def in_time(act: Callable[[], object]) -> object:
    """The result of `act`, which must not block: a FIFO without a writer would for ever."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(act()), daemon=True)
    thread.start()
    thread.join(30)
    assert results, "it blocked or raised"
    return results[0]
