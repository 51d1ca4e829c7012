# SPDX-License-Identifier: MIT
"""Job matrices use the vocabulary of their CI system."""

from __future__ import annotations

import json

import pytest
import yaml

from vmlab.catalogue.matrix import load_matrix
from vmlab.errors import UsageError
from vmlab.report.job_matrix import JobFormat, job_matrix

_MATRIX = load_matrix()


def test_github_gets_a_row_per_target_on_one_line() -> None:
    text = job_matrix(_MATRIX.select("debian12-6.1,debian12-6.1-arm64,debian13-6.12+strict"), JobFormat.GITHUB)
    assert "\n" not in text
    rows = {row["target"]: row for row in json.loads(text)["include"]}
    assert rows["debian12-6.1"] == {
        "target": "debian12-6.1",
        "runner": "ubuntu-24.04",
        "tried": True,
        "fibdrv": True,
        "name": "debian12-6.1",
        "shard": "",
    }
    assert rows["debian12-6.1-arm64"]["runner"] == "ubuntu-24.04-arm"
    assert set(rows) == {"debian12-6.1", "debian12-6.1-arm64", "debian13-6.12+strict"}


def test_shards_are_rows_of_their_own_with_names_for_files() -> None:
    rows = json.loads(job_matrix(_MATRIX.select("debian12-6.1"), JobFormat.GITHUB, shards=3))["include"]
    assert [(row["shard"], row["name"]) for row in rows] == [
        ("1/3", "debian12-6.1-1-of-3"),
        ("2/3", "debian12-6.1-2-of-3"),
        ("3/3", "debian12-6.1-3-of-3"),
    ]


def test_gitlab_gets_a_hidden_job_in_yaml_whose_variables_are_settings() -> None:
    found = yaml.safe_load(job_matrix(_MATRIX.select("debian12-6.1,debian13-6.12"), JobFormat.GITLAB, shards=2))
    assert found == {
        ".vmlab-matrix": {
            "parallel": {"matrix": [{"VMLAB_TARGET": ["debian12-6.1", "debian13-6.12"], "VMLAB_SHARD": ["1/2", "2/2"]}]}
        }
    }
    alone = yaml.safe_load(job_matrix(_MATRIX.select("debian12-6.1"), JobFormat.GITLAB))
    assert alone[".vmlab-matrix"]["parallel"]["matrix"] == [{"VMLAB_TARGET": ["debian12-6.1"]}]


@pytest.mark.parametrize("form", JobFormat)
def test_more_jobs_than_the_engine_takes_are_refused(form: JobFormat) -> None:
    with pytest.raises(UsageError, match="the matrix has 300 jobs"):
        job_matrix(_MATRIX.select("debian12-6.1"), form, shards=300)
    with pytest.raises(UsageError, match="--shards must be at least 1, got 0"):
        job_matrix(_MATRIX.select("debian12-6.1"), form, shards=0)
