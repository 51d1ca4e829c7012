# SPDX-License-Identifier: MIT
"""Shared by the plugin's tests: an inner pytest run with a fake lab, and its result file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

# Imported here to stay loaded: pytester discards modules that an inner run imports, so each run would import it again.
import vmlab.host.exclusive
import vmlab.host.load
import vmlab.plugin.session  # noqa: F401

CONFTEST = Path(__file__).with_name("fake_lab.py").read_text(encoding="utf-8")


class Inner:
    """A directory with test files and a lab without machines."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makeconftest(CONFTEST)
        (pytester.mkdir("fibdrv") / "Kbuild").write_text("obj-m := fibdrv.o\n")

    def tests(self, **files: str) -> None:
        """Write test files, by name without `test_`."""
        self.pytester.makepyfile(**{f"test_{name}": text for name, text in files.items()})

    def run(self, *arguments: str, target: str = "debian12-6.1") -> pytest.RunResult:
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", "--vmlab-target", target, *arguments)

    def result(self) -> dict[str, Any]:
        """The result file, with each target's tests as a mapping from name to test."""
        data: dict[str, Any] = json.loads((self.pytester.path / "build" / "vmlab" / "results.json").read_text())
        for row in data["targets"]:
            row["tests"] = {test["test"].rpartition("::")[2]: test for test in row["tests"]}
        return data

    def outcomes(self) -> dict[str, str]:
        """Test name to outcome, for the only target."""
        (row,) = self.result()["targets"]
        return {name.partition("[")[0]: test["outcome"] for name, test in row["tests"].items()}
