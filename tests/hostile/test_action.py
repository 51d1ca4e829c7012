# SPDX-License-Identifier: MIT
"""Checkouts of pull requests that try to run code in the action, before anything of them is confined."""

from __future__ import annotations

import json
import subprocess
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


def _interpreter(tmp_path: Path, *, run: str = "") -> str:
    """An interpreter that has vmlab and builds no image; in the place of pytest it does `run`, if that is given."""
    python, wrapper = environment_with_vmlab(tmp_path / "venv"), tmp_path / "python"
    instead = f'*" pytest "*) {run}; exit 0 ;;' if run else ""
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *" images key"*) ;; *" images "*) exit 0 ;; {instead} esac\nexec "{python}" "$@"\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)


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
    python = _interpreter(tmp_path)
    runner.environment["PYTEST_ADDOPTS"] = options

    runner.run(ROOT / "action.yml", targets="debian12-6.1", accel="tcg", python=python, cache="false")

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
    python = _interpreter(tmp_path, run='echo "network=$VMLAB_NETWORK keep=$VMLAB_KEEP"')
    (runner.workspace / "pyproject.toml").write_text("[tool.vmlab]\nnetwork = true\nkeep = true\n")

    runner.run(ROOT / "action.yml", targets="debian12-6.1", accel="tcg", python=python, cache="false")

    assert "network=no keep=no" in runner.logs["run"]


def test_no_setting_of_a_checkout_counts_for_vmlabs_own_tests(runner: Runner, tmp_path: Path) -> None:
    python = _interpreter(tmp_path, run='echo "in $PWD: $*"')
    (runner.workspace / "pyproject.toml").write_text('[tool.vmlab]\nstore = "evil"\nknown_splats = "evil"\n')

    runner.run(ROOT / "action.yml", until="run", targets="debian12-6.1", accel="tcg", python=python, store="own")

    (told,) = [line for line in runner.logs["run"].splitlines() if line.startswith("in ")]
    assert runner.outcomes["prepare"] == "success", runner.logs
    assert f"in {runner.home}/temp: " in told
    assert f"--rootdir={runner.home}/temp/" in told
    assert f"--vmlab-store={runner.workspace}/own" in told
    assert "--vmlab-known-splats" not in told


def _git(directory: Path, *words: str) -> str:
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *name, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def pull_request(runner: Runner) -> Runner:
    """The runner, for a pull request whose base is checked out in base/."""
    base = runner.workspace / "base"
    base.mkdir()
    (base / "own.toml").write_text("")
    _git(base, "init")
    _git(base, "add", ".")
    _git(base, "commit", "-m", "base")
    (runner.workspace / "own.toml").write_text("")
    _git(runner.workspace, "init")
    _git(runner.workspace, "add", "own.toml")
    _git(runner.workspace, "commit", "-m", "the pull request")
    event = runner.home / "event.json"
    event.write_text(json.dumps({"pull_request": {"base": {"sha": _git(base, "rev-parse", "HEAD")}}}))
    runner.environment |= {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
    return runner


@pytest.mark.parametrize("name", ["lock", "catalogue", "known_splats"])
@pytest.mark.parametrize("path", ["own.toml", "./new/../own.toml", "missing.toml", "base/link.toml", "out.toml"])
def test_a_pull_request_does_not_choose_what_is_trusted(
    name: str, path: str, pull_request: Runner, tmp_path: Path
) -> None:
    python = environment_with_vmlab(tmp_path / "venv")
    (pull_request.workspace / "base" / "link.toml").symlink_to("../own.toml")
    (pull_request.workspace / "out.toml").symlink_to("/etc/hosts")

    inputs = {"targets": "debian12-6.1", "accel": "tcg", "python": str(python), name: path}
    assert pull_request.run(ROOT / "action.yml", until="prepare", **inputs) == "failure"

    (line,) = [line for line in pull_request.logs["prepare"].splitlines() if line.startswith("::error")]
    assert f"{name.replace('_', '-')}: in a pull request, the pull request could change this file" in line
    assert "ref: ${{ github.event.pull_request.base.sha }} and path: base" in line


@pytest.mark.parametrize(("event", "lock"), [("pull_request", "base/own.toml"), ("push", "own.toml")])
def test_the_lock_of_the_base_or_of_a_push_is_read(event: str, lock: str, pull_request: Runner, tmp_path: Path) -> None:
    python = environment_with_vmlab(tmp_path / "venv")
    pull_request.environment["GITHUB_EVENT_NAME"] = event

    inputs = {"targets": "debian12-6.1", "accel": "tcg", "python": str(python), "lock": lock}
    assert pull_request.run(ROOT / "action.yml", until="prepare", **inputs) == "success", pull_request.logs


def test_a_module_that_is_a_link_out_of_the_checkout_is_refused(runner: Runner, tmp_path: Path) -> None:
    python = _interpreter(tmp_path, run='echo "was run"')
    (tmp_path / "private").mkdir()
    (runner.workspace / "src").symlink_to(tmp_path / "private")

    runner.run(until="run", module="src", targets="debian12-6.1", accel="tcg", python=python)

    assert "::error title=vmlab::module: a link leads out of the checkout" in runner.logs["run"]
    assert "was run" not in runner.logs["run"]
