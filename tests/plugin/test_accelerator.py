# SPDX-License-Identifier: MIT
"""No silent fallback to emulation: a run that requires KVM gets it or ends, and the header names the accelerator."""

from __future__ import annotations

import pytest

from vmlab.host import accelerator

from .inner import Inner

pytest_plugins = ["pytester"]

_GOOD = "def test_good(guest): pass\n"


@pytest.fixture(autouse=True)
def _no_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "refusal_of_kvm", lambda *_: "/dev/kvm does not exist")


def test_kvm_that_cannot_be_had_ends_the_run_before_it_begins(inner: Inner) -> None:
    inner.tests(all=_GOOD)
    result = inner.run("--vmlab-accel", "kvm")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.outlines + result.errlines if "vmlab: " in line]
    assert "KVM was requested but does not work: /dev/kvm does not exist (use --vmlab-accel auto or tcg)" in line
    assert not (inner.pytester.path / "build").exists()


@pytest.mark.parametrize("options", [("-q",), ("-n", "2", "--dist", "load")], ids=["quiet", "two workers"])
def test_it_ends_so_without_a_header_and_with_workers_too(inner: Inner, options: tuple[str, ...]) -> None:
    inner.tests(all=_GOOD)
    assert inner.run("--vmlab-accel", "kvm", *options).ret == pytest.ExitCode.USAGE_ERROR


def test_kvm_that_a_project_demands_is_refused_where_a_test_needs_it(inner: Inner) -> None:
    inner.pytester.makepyprojecttoml("[tool.vmlab]\ntarget = 'debian12-6.1'\naccel = 'kvm'\n")
    inner.tests(guest=_GOOD, sum="def test_sum(): pass\n")

    def run(name: str) -> pytest.RunResult:
        return inner.pytester.runpytest_inprocess("-p", "no:cacheprovider", name)

    assert run("test_sum.py").ret == pytest.ExitCode.OK
    result = run("test_guest.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any("ERROR: vmlab: KVM was requested but does not work" in line for line in result.errlines)


@pytest.mark.parametrize(
    ("accel", "told"),
    [("auto", "tcg, emulation: /dev/kvm does not exist"), ("tcg", "tcg, emulation: asked for")],
)
def test_the_header_tells_the_accelerator_and_why(inner: Inner, accel: str, told: str) -> None:
    inner.tests(all=_GOOD)
    result = inner.run("--vmlab-accel", accel)
    assert result.ret == pytest.ExitCode.OK
    assert f"vmlab: accelerator: {told}" in result.outlines


def test_before_there_is_an_image_to_prove_it_with_the_header_says_so(
    inner: Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "refusal_of_kvm", lambda *_: "")
    inner.tests(all=_GOOD)
    result = inner.run()
    assert "vmlab: accelerator: not known yet: KVM is proved with the first image" in result.outlines


def test_a_run_without_guests_has_no_header_of_ours(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_sum(): pass\n")
    assert "accelerator" not in pytester.runpytest_inprocess().stdout.str()


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "load")], ids=["alone", "two workers"])
def test_on_actions_a_notice_is_one_of_the_runners_too(
    inner: Inner, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner.tests(
        all="def test_good(guest, vmlab_lab): vmlab_lab.context.notice('guests are emulated: 50%\\nof ::them')\n"
    )
    told = "::notice title=vmlab::guests are emulated: 50%25%0Aof ::them"
    assert told not in inner.run(*workers).outlines
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert told in inner.run(*workers).outlines
