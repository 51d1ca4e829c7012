# SPDX-License-Identifier: MIT
"""A host is too busy for clock timing when no processor is free for the guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.host.load import busy_processors, too_busy


@pytest.mark.parametrize(
    ("busy", "processors", "is_fine"), [(0.0, 1, True), (1.0, 2, True), (0.3, 1, False), (1.5, 2, False)]
)
def test_one_processor_must_be_free(busy: float, processors: int, *, is_fine: bool) -> None:
    why = too_busy(busy, processors)
    assert (why == "") is is_fine
    assert is_fine or f"uses {busy:.1f} of its {processors} processors" in why


def test_busy_is_counted_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 100 800 0 0 0 0 0 0\ncpu0 1\n")
    monkeypatch.setattr(
        "vmlab.host.load.time.sleep", lambda _: stat.write_text("cpu 140 0 110 840 10 0 0 0 0 0\ncpu0 1\n")
    )
    monkeypatch.setattr("vmlab.host.load.os.cpu_count", lambda: 4)
    assert busy_processors(stat=stat) == 2.0
