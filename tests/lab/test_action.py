# SPDX-License-Identifier: MIT
"""The unmodified composite action, from its own environment and a fresh install to a verdict on real guests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from plugin.runner import Runner

from vmlab.catalogue.target import Target
from vmlab.lab.lab import Lab

from .conftest import ZOO

ONE = "debian12-6.1"
pytestmark = pytest.mark.slow


@pytest.fixture
def runner(target: Target, tmp_path: Path) -> Runner:
    if target.id != ONE:
        pytest.skip(f"says nothing about a kernel: runs on {ONE} alone")
    made = Runner(tmp_path / "runner")
    # The route to PyPI is this host's own setting; on a runner it is the image's.
    made.environment = {name: value for name, value in os.environ.items() if "PIP_" in name or "proxy" in name.lower()}
    config = Path.home() / ".config" / "pip"
    if config.is_dir():
        shutil.copytree(config, made.home / ".config" / "pip")
    return made


def _run(runner: Runner, lab: Lab, module: str) -> str:
    shutil.copytree(ZOO / module, runner.workspace / "drivers" / module)
    return runner.run(
        module=f"drivers/{module}", targets=ONE, accel="auto", store=str(lab.settings.store), cache="false"
    )


def test_a_module_without_tests_of_its_own_is_loaded_and_unloaded(runner: Runner, vmlab_lab: Lab) -> None:
    assert _run(runner, vmlab_lab, "good") == "success", runner.logs
    assert (runner.result("status"), runner.result("passed"), runner.result("failed")) == ("0", "2", "0")
    assert "vmlab: accelerator: " in runner.logs["run"]
    assert "### vmlab: good" in runner.summary


def test_a_module_that_does_not_compile_is_annotated_at_its_line(runner: Runner, vmlab_lab: Lab) -> None:
    assert _run(runner, vmlab_lab, "no_compile") == "failure"
    assert (runner.result("status"), runner.result("failed")) == ("1", "2")
    (error,) = [line for line in runner.logs["report"].splitlines() if line.startswith("::error ")]
    assert error.startswith("::error file=drivers/no_compile/no_compile.c,line=")


def test_a_kernels_report_is_annotated_at_the_modules_innermost_frame(runner: Runner, vmlab_lab: Lab) -> None:
    assert _run(runner, vmlab_lab, "warn_on") == "failure"
    (error,) = [line for line in runner.logs["report"].splitlines() if line.startswith("::error ")]
    assert error.startswith("::error file=drivers/warn_on/warn_on.c,line=")
    assert "WARNING" in error
