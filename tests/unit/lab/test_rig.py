# SPDX-License-Identifier: MIT
"""A run obtains each target's image once, and does not retry an image that cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.errors import AssetError
from vmlab.image.image import Image
from vmlab.lab.rig import Rig
from vmlab.settings import load_settings
from vmlab.testing import FakeLab, image
from vmlab.timing.document import host_words


class _Rig(Rig):
    """Makes an empty image, and counts the requests."""

    asked = 0
    fault: AssetError | None = None

    def obtain_image(self) -> Image:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return image(self.run.store.obtain("image", {"target": self.target.id}, lambda _: {}).path)


@pytest.fixture
def rig(tmp_path: Path) -> _Rig:
    given = {"store": str(tmp_path / "store"), "accel": "tcg", "target": "debian12-6.1"}
    lab = FakeLab(load_settings(given, directory=tmp_path, environment={}))
    return _Rig(lab, lab.targets[0])


def test_an_image_is_asked_for_once_and_its_facts_are_there(rig: _Rig) -> None:
    assert rig.facts is None
    assert rig.image is rig.image
    assert rig.asked == 1
    assert rig.provenance.qemu == "7.2.22"


def test_a_targets_facts_say_which_host_ran_it(rig: _Rig) -> None:
    _ = rig.image
    assert rig.provenance.host == host_words()


def test_one_that_cannot_be_had_is_not_tried_for_each_test(rig: _Rig) -> None:
    rig.fault = AssetError("linux-image-6.1.0-56-cloud-amd64 is gone", detail="404")
    for _ in range(3):
        with pytest.raises(AssetError, match="is gone"):
            _ = rig.image
    assert rig.asked == 1
    assert rig.facts is None
