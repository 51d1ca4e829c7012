# SPDX-License-Identifier: MIT
"""A run prints a notice when it builds the module, and none when the build is cached."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.module.test_build import FakePlace
from vmlab.errors import MachineLost
from vmlab.module import build
from vmlab.module.build import build_tree
from vmlab.module.inspect import ModuleInfo
from vmlab.settings import BuildPlace, CompilerPolicy, load_settings
from vmlab.testing import FakeLab, FakeRig

from .scripted import TARGET, Script, ScriptedTestbed

_RELEASE = "6.1.0-56-cloud-amd64"


@pytest.fixture
def progress() -> list[str]:
    return []


@pytest.fixture
def testbed(tmp_path: Path, progress: list[str], monkeypatch: pytest.MonkeyPatch) -> ScriptedTestbed:
    (tmp_path / "fib").mkdir()
    (tmp_path / "fib" / "Kbuild").write_text("obj-m := fib.o\n")
    compilers = ("GCC: (Debian 12.2.0-14) 12.2.0",)
    info = ModuleInfo(name="fib", vermagic=_RELEASE, license="GPL", machine="EM_X86_64", compilers=compilers)
    monkeypatch.setattr(build, "inspect_module", lambda _: info)
    given = {"store": str(tmp_path / "store"), "accel": "tcg", "build": "guest", "module": str(tmp_path / "fib")}
    settings = load_settings({**given, "target": "debian12-6.1"}, directory=tmp_path, environment={})
    lab, script = FakeLab(settings, progress=progress.append), Script()
    script.snapshots, script.boots = [MachineLost("QEMU ended")] * 2, [MachineLost("QEMU ended")] * 2
    return ScriptedTestbed(lab, FakeRig(lab, TARGET), script)


def test_a_build_that_starts_is_announced(testbed: ScriptedTestbed, progress: list[str]) -> None:
    with pytest.raises(MachineLost):
        testbed.built()

    assert progress == ["debian12-6.1: building fib (guest)"]


def test_a_cached_build_is_not_announced(testbed: ScriptedTestbed, progress: list[str]) -> None:
    build_tree(
        testbed.run.source,
        testbed.image,
        FakePlace,
        BuildPlace.GUEST,
        testbed.run.store,
        policy=CompilerPolicy.REFUSE,
        timeout_s=10,
    )

    built = testbed.built()

    assert built.is_cached
    assert progress == []
