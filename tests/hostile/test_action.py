# SPDX-License-Identifier: MIT
"""Checkouts of pull requests that try to run code in the action, before anything of them is confined."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from plugin.runner import ROOT, Runner, environment_with_vmlab

_SHADOWS = (
    *("venv", "pip", "vmlab", "pytest", "_pytest", "xdist", "execnet", "msgspec", "rich", "sitecustomize"),
    *("usercustomize", "conftest", "platform", "json", "tomllib", "encodings"),
)
"""Modules that the action's interpreters import, and that Python would look for in the current directory first."""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner whose checkout has a module, and a file or package in the place of each Python module."""
    made = Runner(tmp_path / "runner")
    attack = f"open({str(made.home / 'pwned')!r}, 'a').write(__name__ + ' ')\nraise SystemExit(0)\n"
    for name in _SHADOWS:
        (made.workspace / f"{name}.py").write_text(attack)
        (made.workspace / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (made.workspace / name / file).write_text(attack)
    (made.workspace / "Kbuild").write_text("obj-m := src.o\n")
    (made.workspace / "pytest.ini").write_text("[pytest]\naddopts = -p conftest\npythonpath = .\n")
    (made.workspace / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-p conftest"\n')
    made.environment |= {"PYTHONPATH": str(made.workspace), "PYTHONUSERBASE": str(made.workspace)}
    return made


def _started(runner: Runner) -> str:
    pwned = runner.home / "pwned"
    return pwned.read_text() if pwned.exists() else ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        # No option may start a real guest. Only without --collect-only there are workers.
        ("--collect-only -q", "test_builds_and_loads[debian12-6.1]"),
        ("-k no_test", "no tests ran"),
    ],
)
def test_no_file_of_a_checkout_is_run_in_place_of_vmlab_pytest_or_python(
    options: str, words: str, runner: Runner, tmp_path: Path
) -> None:
    python = environment_with_vmlab(tmp_path / "venv")
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *" images key"*) ;; *" images "*) exit 0 ;; esac\nexec "{python}" "$@"\n'
    )
    wrapper.chmod(0o755)
    runner.environment["PYTEST_ADDOPTS"] = options

    runner.run(ROOT / "action.yml", targets="debian12-6.1", accel="tcg", python=str(wrapper), cache="false")

    assert _started(runner) == ""
    assert words in runner.logs["run"]


def test_no_file_of_a_checkout_is_run_while_an_environment_is_made(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python3 = tmp_path / "bin" / "python3"
    # Without pip in the new environment, the installation of vmlab from the network ends the step.
    python3.write_text(
        f'#!/bin/sh\ncase "$*" in *"-m venv "*) set -- "$@" --without-pip ;; esac\nexec "{sys.executable}" "$@"\n'
    )
    python3.chmod(0o755)
    runner.environment["PATH"] = f"{python3.parent}:/usr/sbin:/usr/bin:/sbin:/bin"

    runner.run(ROOT / "action.yml", until="prepare", targets="debian12-6.1", accel="tcg")

    assert _started(runner) == ""
    assert "No module named pip" in runner.logs["prepare"]


def test_a_checkout_gives_its_guests_no_network_and_keeps_none(runner: Runner, tmp_path: Path) -> None:
    python = environment_with_vmlab(tmp_path / "venv")
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *" images key"*) ;; *" images "*) exit 0 ;;\n'
        f'*" pytest "*) echo "network=$VMLAB_NETWORK keep=$VMLAB_KEEP"; exit 0 ;; esac\nexec "{python}" "$@"\n'
    )
    wrapper.chmod(0o755)
    (runner.workspace / "pyproject.toml").write_text("[tool.vmlab]\nnetwork = true\nkeep = true\n")

    runner.run(ROOT / "action.yml", targets="debian12-6.1", accel="tcg", python=str(wrapper), cache="false")

    assert "network=no keep=no" in runner.logs["run"]


@pytest.mark.parametrize("key", ["store", "lock"])
def test_a_checkout_does_not_choose_the_store_or_the_lock(key: str, runner: Runner, tmp_path: Path) -> None:
    python = environment_with_vmlab(tmp_path / "venv")
    (runner.workspace / "pyproject.toml").write_text(f'[tool.vmlab]\n{key} = "evil"\n')

    assert runner.run(until="prepare", targets="debian12-6.1", accel="tcg", python=str(python)) == "failure"

    (line,) = [line for line in runner.logs["prepare"].splitlines() if line.startswith("vmlab: ")]
    assert f"[tool.vmlab] {key}: a project may not set this" in line
