# SPDX-License-Identifier: MIT
"""Trying rows of the catalogue: each failure is attributed, and does not hide later rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.target import Boot, Target
from vmlab.commands import trial
from vmlab.errors import AssetError, MachineLost, UsageError, VmlabError
from vmlab.guest.transport import Completed
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.lab.testbed import Testbed
from vmlab.settings import Settings, load_settings
from vmlab.testing import FakeLab, FakeRig, FakeTestbed, FakeTransport, image


class TriedRig(FakeRig):
    """A rig that has an image, unless its row is at fault."""

    def obtain_image(self) -> Image:
        lab = cast("TriedLab", self.run)
        if self.target.id in lab.faults:
            raise lab.faults[self.target.id]
        made = image(Path("nowhere"), target_id=self.target.id, release="5.15.0-1-generic")
        return replace(made, is_new=True, compiler="gcc-11 11.4.0")


class TriedTransport(FakeTransport):
    """A guest that reports the kernel it runs."""

    def __init__(self, release: str) -> None:
        self._release = release
        super().__init__()

    def answer(self, command: str) -> Completed | str:
        return f"{self._release}\n" if command == "uname -r" else super().answer(command)


class TriedTestbed(FakeTestbed):
    """A testbed that forks at once."""

    def __init__(self, lab: TriedLab, target: Target) -> None:
        super().__init__(lab, target, lambda _: TriedTransport(lab.runs))
        self.rig = TriedRig(lab, target)


class TriedLab(FakeLab):
    """A lab with some faulty rows."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.faults: dict[str, VmlabError] = {}
        self.runs = "5.15.0-1-generic"

    def make_testbed(self, target: Target) -> Testbed:
        return TriedTestbed(self, target)


@pytest.fixture
def lab(tmp_path: Path) -> TriedLab:
    return TriedLab(load_settings({"store": str(tmp_path / "store")}, directory=tmp_path, environment={}))


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
    assert [line.split(":")[0] for line in said] == [f"ok      {target.id}" for target in targets]
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
    assert said[2].startswith("ok ")
    assert all("\n" not in line for line in said)


def test_a_fork_with_another_kernel_is_no_success(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    lab.runs = "5.4.0-1-generic"
    is_well, said = _try(lab, targets[:1])
    assert not is_well
    assert "expected kernel 5.15.0-1-generic, the fork runs 5.4.0-1-generic" in said[0]


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
    with pytest.raises(UsageError, match="none of these targets runs on a cloud image"):
        trial.cloud_targets(matrix.select("debian12-6.1"))
    both = trial.cloud_targets(matrix.select("cloud,cloud+strict"))
    assert {target.boot for target in both} == {Boot.STOCK}


def test_images_are_made_one_after_the_other_and_each_is_told(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    lab.faults = {targets[1].id: AssetError("no such package")}
    said: list[str] = []
    assert not trial.build_images(lab, (*targets, targets[0]), say=said.append)
    assert [line.split()[:2] for line in said] == [
        ["ok", f"{targets[0].id}:"],
        ["failed", f"{targets[1].id}:"],
        ["ok", f"{targets[2].id}:"],
    ]


def test_a_fault_that_names_its_row_does_not_name_it_twice(lab: TriedLab, targets: tuple[Target, ...]) -> None:
    name = targets[0].id
    lab.faults = {name: AssetError(f"{name}: making its image: no space left on device")}
    said: list[str] = []

    trial.build_images(lab, targets[:1], say=said.append)
    _, tried = _try(lab, targets[:1])

    assert said == [f"failed  {name}: AssetError: making its image: no space left on device"]
    assert tried[0].count(name) == 1
