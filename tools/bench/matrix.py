# SPDX-License-Identifier: MIT
"""Limits of the main job: the matrix cold and warm, the unit tests, and the plugin's overhead for other projects."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import Limit, Measured

ROOT = Path(__file__).parents[2]
_PAIRS = 9


def _pytest(*arguments: str, directory: Path = ROOT) -> float:
    """Seconds of a pytest run, which must pass."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - started
    if done.returncode != 0:
        raise RuntimeError(f"pytest ended with status {done.returncode}:\n{done.stdout[-3000:]}")
    return took


def _matrix(store: Path | None, tests: str = "tests/fibdrv") -> Measured:
    with tempfile.TemporaryDirectory() as report:
        what = [tests, "-m", "not slow and not thorough"]  # as `nox -s matrix`
        options = [*what, "-n", "auto", "--vmlab-target", "", "--vmlab-report", report]
        seconds = _pytest(*options, *(["--vmlab-store", str(store)] if store else []))
        targets = json.loads(Path(report, "results.json").read_text())["targets"]
    facts = [row["facts"] for row in targets]
    return Measured(
        value=seconds,
        conditions={
            "targets": ", ".join(row["target"] for row in targets),
            "accelerator": ", ".join(sorted({fact["provenance"]["accelerator"] for fact in facts})),
            "images": ", ".join(sorted({fact["image"] for fact in facts})),
            "boots": ", ".join(str(fact["boots"]) for fact in facts),
            "boot_s": ", ".join(f"{fact['boot_s']:.0f}" for fact in facts),
            "fork_s": ", ".join(f"{fact['fork_s']:.1f}" for fact in facts),
            "repetitions": "1",
        },
    )


def cold() -> Measured:
    """Four targets with an empty store: everything is downloaded, made, booted, built and tested."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as store:
        return _matrix(Path(store))


def warm(tests: str = "tests/fibdrv") -> Measured:
    """Four targets with all images, builds and snapshots cached; missing ones are made first."""
    measured = _matrix(None, tests)
    is_warm = measured.conditions["images"] == "cached" and set(measured.conditions["boots"]) <= set("0, ")
    return measured if is_warm else _matrix(None, tests)


def unit_tests() -> Measured:
    """Wall-clock time of the unit tests on all cores, with the interpreter's start."""
    return Measured(value=_pytest("tests/unit", "-n", "auto"), conditions={"repetitions": "1"})


def plugin_overhead() -> Measured:
    """The plugin's overhead for a pytest run without guests: with and without the plugin in turns.

    The fastest run of each, since a busy host only adds time.
    """
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        with_plugin, without = [], []
        for _ in range(_PAIRS):
            with_plugin.append(_pytest(directory=Path(directory)))
            without.append(_pytest("-p", "no:vmlab.plugin", directory=Path(directory)))
    difference_ms = (min(with_plugin) - min(without)) * 1000
    ratio = min(with_plugin) / min(without)
    return Measured(value=difference_ms, conditions={"pairs": str(_PAIRS), "ratio": f"{ratio:.3f}"})


LIMITS = (
    Limit(name="matrix.plugin_overhead", limit=100, unit="ms", measure=plugin_overhead),
    Limit(name="matrix.unit_tests", limit=60, unit="s", measure=unit_tests),
    Limit(name="matrix.warm", limit=2 * 60, unit="s", measure=warm),
    Limit(name="matrix.cold", limit=25 * 60, unit="s", measure=cold),
)
