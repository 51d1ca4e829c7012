# SPDX-License-Identifier: MIT
"""A run has each target's image once, learns of it once, and does not try again to make one that cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.fakes import image
from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import AssetError
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.settings import load_settings
from vmlab.timing.document import host_words


class _Lab(Lab):
    """Makes no image, and counts how often it was to."""

    asked = 0
    fault: AssetError | None = None

    def qemu_version(self, architecture: Architecture) -> str:
        return f"7.2 for {architecture}"

    def _obtain_image(self, target: Target) -> Image:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return image(self.store.obtain("image", {"target": target.id}, lambda _: {}).path)


@pytest.fixture
def lab(tmp_path: Path) -> _Lab:
    given = {"store": str(tmp_path / "store"), "accel": "tcg", "target": "debian12-6.1"}
    return _Lab(load_settings(given, directory=tmp_path, environment={}))


def test_an_image_is_asked_for_once_and_its_facts_are_there(lab: _Lab) -> None:
    (target,) = lab.targets
    assert lab.image(target) is lab.image(target)
    assert lab.asked == 1
    assert lab.facts[target.id].provenance.qemu == "7.2 for amd64"


def test_a_targets_facts_say_which_host_ran_it(lab: _Lab) -> None:
    (target,) = lab.targets
    lab.image(target)
    assert lab.facts[target.id].provenance.host == host_words()


def test_one_that_cannot_be_had_is_not_tried_for_each_test(lab: _Lab) -> None:
    (target,) = lab.targets
    lab.fault = AssetError("linux-image-6.1.0-56-cloud-amd64 is gone", detail="404")
    for _ in range(3):
        with pytest.raises(AssetError, match="is gone"):
            lab.image(target)
    assert lab.asked == 1
    assert target.id not in lab.facts
