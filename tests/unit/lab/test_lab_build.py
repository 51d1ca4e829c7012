# SPDX-License-Identifier: MIT
"""A run says that it builds the module when it does, and not when the store has the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.fakes import image
from unit.module.test_build import FakePlace
from unit.report.results import facts
from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import MachineLost
from vmlab.guest.guest import Guest
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.module import build
from vmlab.module.build import build_module
from vmlab.module.inspect import ModuleInfo
from vmlab.settings import BuildPlace, CompilerPolicy, load_settings

_RELEASE = "6.1.0-56-cloud-amd64"


class _Lab(Lab):
    """Has an image without making one."""

    def qemu_version(self, architecture: Architecture) -> str:
        return f"7.2 for {architecture}"

    def image(self, target: Target) -> Image:
        return image(Path("/i"), release=_RELEASE)


@pytest.fixture
def progress() -> list[str]:
    return []


@pytest.fixture
def lab(tmp_path: Path, progress: list[str], monkeypatch: pytest.MonkeyPatch) -> _Lab:
    (tmp_path / "fib").mkdir()
    (tmp_path / "fib" / "Kbuild").write_text("obj-m := fib.o\n")
    compilers = ("GCC: (Debian 12.2.0-14) 12.2.0",)
    info = ModuleInfo(name="fib", vermagic=_RELEASE, license="GPL", machine="EM_X86_64", compilers=compilers)
    monkeypatch.setattr(build, "inspect_module", lambda _: info)
    given = {"store": str(tmp_path / "store"), "accel": "tcg", "build": "guest", "module": str(tmp_path / "fib")}
    made = _Lab(
        load_settings({**given, "target": "debian12-6.1"}, directory=tmp_path, environment={}), progress=progress.append
    )
    made.facts["debian12-6.1"] = facts()
    return made


def _lose() -> Guest:
    raise MachineLost("QEMU ended")


def test_a_build_that_starts_is_announced(lab: _Lab, progress: list[str]) -> None:
    (target,) = lab.targets

    with pytest.raises(MachineLost):
        lab.build(target, _lose)

    assert progress == ["debian12-6.1: building fib (guest)"]


def test_a_cached_build_is_not_announced(lab: _Lab, progress: list[str]) -> None:
    (target,) = lab.targets
    build_module(
        lab.source,
        lab.image(target),
        FakePlace,
        BuildPlace.GUEST,
        lab.store,
        policy=CompilerPolicy.REFUSE,
        timeout_s=10,
    )

    built = lab.build(target, _lose)

    assert built.is_cached
    assert progress == []
