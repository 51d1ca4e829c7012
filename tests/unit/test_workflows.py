# SPDX-License-Identifier: MIT
"""Workflows and the action follow the hardening rules, of which linters check only a part."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from vmlab.catalogue.matrix import catalogue_directory, load_matrix
from vmlab.cloud.lock import read_lock
from vmlab.report.job_matrix import is_untried

_ROOT = Path(__file__).parents[2]
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))
_FILES = [*_WORKFLOWS, _ROOT / "action.yml"]
_PINNED = re.compile(r"^\s*(?:- )?uses: (?:\./|[\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v\d+(?:\.\d+)*)$")


def _read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return data


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    data = _read(path)
    if "runs" in data:
        yield from data["runs"]["steps"]
    for job in data.get("jobs", {}).values():
        yield from job["steps"]


def test_there_are_workflows_to_look_at() -> None:
    assert {path.name for path in _WORKFLOWS} >= {"ci.yml", "nightly.yml", "untried.yml"}
    assert all(list(_steps(path)) for path in _FILES)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_digest_with_its_version_beside(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"^\s*(- )?uses:", line)]
    assert lines
    assert [line for line in lines if not _PINNED.match(line)] == []


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_no_expression_stands_in_shell(path: Path) -> None:
    assert [step["run"] for step in _steps(path) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_nothing_is_permitted_but_to_read(path: Path) -> None:
    data = _read(path)
    assert data["permissions"] == {}
    text = path.read_text(encoding="utf-8")
    assert text.index("\npermissions: {}\n") < text.index("\njobs:")
    more = {
        name: job["permissions"] for name, job in data["jobs"].items() if job["permissions"] != {"contents": "read"}
    }
    # A trusted publisher shows its identity, and no job has a secret.
    assert more == ({"publish": {"id-token": "write"}} if path.name == "release.yml" else {})
    assert "secrets." not in text


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_every_job_and_every_step_has_a_time_limit(path: Path) -> None:
    for name, job in _read(path)["jobs"].items():
        assert "timeout-minutes" in job, name
        assert [step for step in job["steps"] if "timeout-minutes" not in step] == []


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_a_checkout_leaves_no_credentials(path: Path) -> None:
    checkouts = [step for step in _steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_kvm_is_tried_on_every_runner_and_assumed_of_none(path: Path) -> None:
    steps = list(_steps(path))
    own = [step["with"]["accel"] for step in steps if step.get("uses") == "./"]
    given = [step["env"]["INPUT_ACCEL"] for step in steps if "INPUT_ACCEL" in step.get("env", {})]
    assert {*own, *given} <= {"auto", "${{ inputs.accel }}"}
    assert "endsWith(matrix.runner" not in path.read_text(encoding="utf-8")


def test_the_nightly_locks_what_need_not_be_locked() -> None:
    """Without the lock step, the nightly job would fail when the action looks up the lock's row."""
    locked = read_lock(catalogue_directory() / "lock.toml").rows
    assert [image.id for image in load_matrix().images if image.is_tried and image.id not in locked] == []
    steps = list(_steps(_ROOT / ".github" / "workflows" / "nightly.yml"))
    (step,) = [step for step in steps if "images lock" in step.get("run", "")]
    assert step["if"] == "${{ !matrix.tried }}"
    assert 'echo "VMLAB_LOCK=' in step["run"]


def test_the_actions_inputs_are_all_used_and_no_others() -> None:
    text = (_ROOT / "action.yml").read_text(encoding="utf-8")
    declared = set(_read(_ROOT / "action.yml")["inputs"])
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == declared
    given = {name.replace("-", "_").upper() for name in declared - {"cache"}}
    script = (_ROOT / ".github" / "action.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"INPUT_([A-Z_]+)", script)) == given


def test_the_cache_that_any_pull_request_reads_holds_images_and_no_keys() -> None:
    steps = [step for step in _steps(_ROOT / "action.yml") if step.get("uses", "").startswith("actions/cache/")]

    assert [step["uses"].partition("@")[0] for step in steps] == ["actions/cache/restore", "actions/cache/save"]
    for step in steps:
        paths = [path.removeprefix("${{ steps.prepare.outputs.store }}/") for path in step["with"]["path"].split("\n")]
        assert list(filter(None, paths)) == ["notes", "objects/image"]


def _planned(name: str) -> set[str]:
    """The targets that a workflow's plan names."""
    steps = _steps(_ROOT / ".github" / "workflows" / name)
    globs = {step["env"]["TARGETS"] for step in steps if "TARGETS" in step.get("env", {})}
    (one,) = globs
    return {target.id for target in load_matrix().select(one)}


def test_the_nightly_has_every_row_and_the_weekly_every_row_that_nobody_tried() -> None:
    targets = load_matrix().targets
    assert _planned("nightly.yml") == {target.id for target in targets}
    assert _planned("untried.yml") >= {target.id for target in targets if is_untried(target)}
    assert _planned("ci.yml") >= {target.id for target in targets if target.is_default}


@pytest.mark.parametrize(("status", "verdict"), [(0, "works"), (1, "does not work")])
def test_a_row_that_was_tried_is_told_and_its_guests_words_are_no_commands(
    tmp_path: Path, status: int, verdict: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$VMLAB_LOCK $*"; echo ::add-mask::x; echo ::error::y >&2; exit {status}\n')
    python.chmod(0o755)
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        [_ROOT / ".github" / "try-row.sh"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": str(python), "TARGET": "sid-cloudimg-newest", "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert f"### sid-cloudimg-newest: {verdict}\n" in summary.read_text()
    asked = [line for line in (tmp_path / "tried" / "trial.txt").read_text().splitlines() if "-m vmlab" in line]
    lock = tmp_path / "tried" / "lock.toml"
    assert asked[0] == f"{lock} -m vmlab images lock --unchecked sid-cloudimg-newest"
    assert len(asked) == (2 if status == 0 else 1)
    token = done.stdout.splitlines()[0].removeprefix("::stop-commands::")
    stopped, _, heard = done.stdout.partition(f"\n::{token}::\n")
    assert "::add-mask::x" in stopped
    assert "::error::y" in stopped
    kind = "notice" if status == 0 else "error"
    assert heard.startswith(f"::{kind} title=vmlab::sid-cloudimg-newest {verdict} from its publisher")
    assert not done.stderr
