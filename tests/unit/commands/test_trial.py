# SPDX-License-Identifier: MIT
"""Trying rows of the catalogue: each is told with whose fault it was, and one that fails does not hide the next."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from unit.fakes import image
from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.target import Boot, Target
from vmlab.commands import trial
from vmlab.errors import AssetError, MachineLost, UsageError
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.settings import load_settings


class TriedLab(Lab):
    """Has an image for each target, or the fault that a test tells."""

    faults: dict[str, Exception]
    runs: str

    def image(self, target: Target) -> Image:
        if target.id in self.faults:
            raise self.faults[target.id]
        made = image(Path("nowhere"), release="5.15.0-1-generic")
        return replace(made, target_id=target.id, is_new=True, compiler="gcc-11 11.4.0")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TriedLab:
    lab = TriedLab(load_settings({"store": str(tmp_path / "store")}, directory=tmp_path, environment={}))
    lab.faults, lab.runs = {}, "5.15.0-1-generic"

    class FakeForks:
        def __init__(self, _: Lab) -> None:
            pass

        @contextlib.contextmanager
        def fork(self, _: Target) -> Iterator[Any]:
            yield SimpleNamespace(guest=SimpleNamespace(succeed=lambda _: f"{lab.runs}\n"))

    monkeypatch.setattr(trial, "Forks", FakeForks)
    return lab


@pytest.fixture
def targets() -> tuple[Target, ...]:
    return trial.cloud_targets(load_matrix().select("cloud"))[:3]


def _try(lab: Lab, targets: tuple[Target, ...]) -> tuple[bool, list[str]]:
    said: list[str] = []
    return trial.try_rows(lab, targets, say=said.append, as_json=False), said


def test_every_row_that_does_well_is_told_with_its_kernel_and_compiler(
    lab: TriedLab, targets: tuple[Target, ...]
) -> None:
    is_well, said = _try(lab, targets)
    assert is_well
    assert [line.split(":")[0] for line in said] == [f"well    {target.id}" for target in targets]
    assert "5.15.0-1-generic, gcc-11 11.4.0" in said[0]


def test_a_row_that_fails_is_told_with_whose_fault_it_was_and_the_next_is_tried(
    lab: TriedLab, targets: tuple[Target, ...]
) -> None:
    lab.faults = {
        targets[0].id: AssetError("no such package", hint="correct the row", detail="E: 1\nE: 2"),
        targets[1].id: MachineLost("QEMU ended with status -9"),
    }
    is_well, said = _try(lab, targets)
    assert not is_well
    assert said[0].startswith(f"failed  {targets[0].id}: AssetError: no such package (correct the row)")
    assert said[1].startswith(f"failed  {targets[1].id}: MachineLost: QEMU ended with status -9")
    assert said[2].startswith("well")
    assert all("\n" not in line for line in said)


def test_a_fork_with_another_kernel_is_no_success(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    lab.runs = "5.4.0-1-generic"
    is_well, said = _try(lab, targets[:1])
    assert not is_well
    assert "runs 5.4.0-1-generic, and it was made for 5.15.0-1-generic" in said[0]


def test_json_has_a_row_each(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    lab.faults = {targets[0].id: AssetError("no such package")}
    said: list[str] = []
    assert not trial.try_rows(lab, targets, say=said.append, as_json=True)
    rows = json.loads("".join(said))
    assert [row["target"] for row in rows] == [target.id for target in targets]
    assert [row["is_well"] for row in rows] == [False, True, True]
    assert rows[0]["fault"] == "AssetError"


def test_what_was_provisioned_before_is_made_anew(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    def add(kind: str, target: str) -> str:
        def build(work: Path) -> Mapping[str, str]:
            (work / "file").write_text("x")
            return {"target": target, "name": target}

        return lab.store.obtain(kind, {"target": target}, build).digest

    add("image", targets[0].id)
    add("snapshot", targets[0].id)
    others = {add("image", "debian12-6.1"), add("cloud-image", "ubuntu")}
    _try(lab, targets[:1])
    assert {item.digest for item in lab.store.objects()} == others


def test_only_targets_on_cloud_images_are_tried() -> None:
    matrix = load_matrix()
    with pytest.raises(UsageError, match="none of these targets is on a cloud image"):
        trial.cloud_targets(matrix.select("debian12-6.1"))
    both = trial.cloud_targets(matrix.select("cloud,cloud+strict"))
    assert {target.boot for target in both} == {Boot.STOCK}


def test_images_are_made_one_after_the_other_and_each_is_told(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    lab.faults = {targets[1].id: AssetError("no such package")}
    said: list[str] = []
    assert not trial.build_images(lab, (*targets, targets[0]), say=said.append)
    assert [line.split()[:2] for line in said] == [
        ["whole", f"{targets[0].id}:"],
        ["failed", f"{targets[1].id}:"],
        ["whole", f"{targets[2].id}:"],
    ]


def test_a_fault_that_names_its_row_does_not_name_it_twice(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    name = targets[0].id
    lab.faults = {name: AssetError(f"{name}: making its image: no space left on device")}
    said: list[str] = []

    trial.build_images(lab, targets[:1], say=said.append)
    _, tried = _try(lab, targets[:1])

    assert said == [f"failed  {name}: AssetError: making its image: no space left on device"]
    assert tried[0].count(name) == 1
