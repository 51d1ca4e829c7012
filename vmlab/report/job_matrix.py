# SPDX-License-Identifier: MIT
"""Targets as a CI job matrix, in the format of GitHub or GitLab. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import UsageError

RUNNERS: Mapping[Architecture, str] = {Architecture.AMD64: "ubuntu-24.04", Architecture.ARM64: "ubuntu-24.04-arm"}
"""GitHub's hosted runners by architecture (docs.github.com, "GitHub-hosted runners reference"). In August 2026
ubuntu-24.04-arm had /dev/kvm, ubuntu-26.04-arm did not (actions/runner-images#14549); KVM is tried on either."""
MOST_GITHUB_JOBS = 256
"""Maximum number of jobs in one matrix, per run (docs.github.com, "Actions limits")."""
MOST_GITLAB_JOBS = 200
"""Maximum number of jobs in one `parallel:matrix` (docs.gitlab.com, "CI/CD YAML syntax reference")."""


class JobFormat(StrEnum):
    """Format of a job matrix."""

    GITHUB = "github"
    GITLAB = "gitlab"


def job_matrix(targets: Sequence[Target], form: JobFormat, *, shards: int = 1) -> str:
    """Return a matrix with one job per target, or `shards` per target; raises `UsageError` for too many jobs.

    For GitHub, a line for `strategy.matrix` through `fromJSON`: rows with `target`, `shard`, `runner`, `tried` (false
    if the publisher's image was never tried) and `fibdrv` (true if the example driver supports the kernel). For GitLab,
    YAML with the hidden job `.vmlab-matrix` and its `parallel`, to append to a child pipeline whose jobs extend it. Its
    variables are vmlab's settings.
    """
    if shards < 1:
        raise UsageError(f"--shards must be at least 1, got {shards}", hint="such as --shards 2")
    if form is JobFormat.GITHUB:
        rows = [_github(target, shard) for target in targets for shard in _shards(shards)]
        _require_few(len(rows), MOST_GITHUB_JOBS, "GitHub")
        return json.dumps({"include": rows}, separators=(",", ":"))
    _require_few(len(targets) * shards, MOST_GITLAB_JOBS, "GitLab")
    lines = [".vmlab-matrix:", "  parallel:", "    matrix:"]
    lines.append(f"      - VMLAB_TARGET: {json.dumps([target.id for target in targets])}")
    if shards > 1:
        lines.append(f"        VMLAB_SHARD: {json.dumps(_shards(shards))}")
    return "\n".join(lines)


def is_untried(target: Target) -> bool:
    """True if the target's image comes from a publisher's image that was never tried."""
    return target.cloud is not None and not target.cloud.image.is_tried


def _github(target: Target, shard: str) -> dict[str, Any]:
    row: dict[str, Any] = {"target": target.id, "runner": RUNNERS[target.architecture]}
    row["tried"] = not is_untried(target)
    row["fibdrv"] = target.has_fibdrv
    # For a file name, which must not contain a slash.
    row["name"] = target.id + (f"-{shard.replace('/', '-of-')}" if shard else "")
    row["shard"] = shard
    return row


def _shards(count: int) -> list[str]:
    return [f"{index}/{count}" for index in range(1, count + 1)] if count > 1 else [""]


def _require_few(jobs: int, most: int, whose: str) -> None:
    if jobs > most:
        raise UsageError(
            f"the matrix has {jobs} jobs, {whose} allows {most}",
            hint="select fewer targets with --vmlab-target, or split the run with --vmlab-shard",
        )
