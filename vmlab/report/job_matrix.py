# SPDX-License-Identifier: MIT
"""Targets as a matrix of jobs, in the words of the engines that run them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import UsageError

RUNNERS: Mapping[Architecture, str] = {Architecture.AMD64: "ubuntu-24.04", Architecture.ARM64: "ubuntu-24.04-arm"}
"""GitHub's hosted runners by architecture (docs.github.com, "GitHub-hosted runners reference"). In August 2026
ubuntu-24.04-arm had /dev/kvm and ubuntu-26.04-arm had none (actions/runner-images#14549); KVM is tried on whichever."""
MOST_GITHUB_JOBS = 256
"""Of one matrix, for a run (docs.github.com, "Actions limits")."""
MOST_GITLAB_JOBS = 200
"""Of one `parallel:matrix` (docs.gitlab.com, "CI/CD YAML syntax reference")."""


class JobFormat(StrEnum):
    """Whose words a job matrix is in."""

    GITHUB = "github"
    GITLAB = "gitlab"


def job_matrix(targets: Sequence[Target], form: JobFormat, *, shards: int = 1) -> str:
    """One job a target, or `shards` for each; `UsageError` when the engine would refuse so many.

    For GitHub a line to put into `fromJSON` as `strategy.matrix`: rows with `target`, `shard`, `runner`, `tried`, false
    where nobody saw the row work from its publisher, and `fibdrv`, whether the lab's own example supports its kernel.
    For GitLab the hidden job `.vmlab-matrix` with `parallel`, in YAML to be put behind a child pipeline's jobs, which
    extend it. Its variables are vmlab's own settings.
    """
    if shards < 1:
        raise UsageError(f"{shards} shards of each target make no matrix", hint="--shards 1, or more")
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
    """Whether its guests come from a publisher's image that nobody has seen work."""
    return target.cloud is not None and not target.cloud.image.is_tried


def _github(target: Target, shard: str) -> dict[str, Any]:
    row: dict[str, Any] = {"target": target.id, "runner": RUNNERS[target.architecture]}
    row["tried"] = not is_untried(target)
    row["fibdrv"] = target.has_fibdrv
    # As part of a file's name, where a slash may not stand.
    row["name"] = target.id + (f"-{shard.replace('/', '-of-')}" if shard else "")
    row["shard"] = shard
    return row


def _shards(count: int) -> list[str]:
    return [f"{index}/{count}" for index in range(1, count + 1)] if count > 1 else [""]


def _require_few(jobs: int, most: int, whose: str) -> None:
    if jobs > most:
        raise UsageError(
            f"that would be {jobs} jobs, and {whose} takes {most} of one matrix",
            hint="choose fewer targets with --vmlab-target, or split the run with --vmlab-shard instead",
        )
