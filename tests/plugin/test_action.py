# SPDX-License-Identifier: MIT
"""The composite action's unmodified steps: outputs, a failing status, annotations, and difficult inputs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from vmlab.catalogue.cloud_image import Algorithm
from vmlab.cloud.lock import ImageLock, LockedImage, write_lock
from vmlab.report.files import read_result

from .inner import CONFTEST
from .runner import ROOT, Runner, environment_with_vmlab

_TARGETS = "debian12-6.1,debian13-6.12"
_TESTS = """
def test_good(guest): pass
"""
_RED = """
def test_good(guest): pass

def test_bad(guest):
    print("::add-mask::everything")
    print("::error::a guest said so")
    assert 1 == 2
"""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner whose workspace has a module, and whose lab has no machines."""
    made = Runner(tmp_path / "runner")
    (made.workspace / "src").mkdir()
    (made.workspace / "src" / "Kbuild").write_text("obj-m := src.o\n")
    (made.workspace / "src" / "src.c").write_text("\n")
    (made.workspace / "tests").mkdir()
    (made.workspace / "tests" / "conftest.py").write_text(CONFTEST)
    (made.workspace / "tests" / "test_all.py").write_text(_TESTS)
    return made


@pytest.fixture
def python(tmp_path: Path) -> str:
    """This interpreter, with image building disabled."""
    python = environment_with_vmlab(tmp_path / "venv")
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in "-I -m vmlab images key"*) ;; *" images refresh"*"no network"*) exit 1 ;;\n'
        f'"-I -m vmlab images "*) echo "$@" >>"{tmp_path}/images"; exit 0 ;; esac\n'
        f'exec "{python}" "$@"\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)


def _with(python: str, case: str) -> str:
    """The interpreter without image building, with one of its calls answered differently."""
    other = Path(python).with_name("other-python")
    other.write_text(f'#!/bin/sh\ncase "$*" in {case} esac\nexec "{python}" "$@"\n')
    other.chmod(0o755)
    return str(other)


def _run(runner: Runner, interpreter: str, /, **inputs: str) -> str:
    defaults = {"module": "src", "targets": _TARGETS, "tests": "tests", "accel": "tcg", "python": interpreter}
    return runner.run(ROOT / "action.yml", until="", **(defaults | inputs))


def test_a_green_run_has_its_outputs_its_summary_and_its_artifact(runner: Runner, python: str) -> None:
    assert _run(runner, python) == "success", runner.logs
    told = {name: runner.result(name) for name in ("status", "accelerator", "passed", "failed", "lost", "skipped")}
    assert told == {
        "status": "0",
        "accelerator": "tcg",
        "passed": "2",
        "failed": "0",
        "lost": "0",
        "skipped": "0",
    }
    result = read_result(Path(runner.result("results")))
    assert [row.target for row in result.targets] == _TARGETS.split(",")
    assert result.module == "src"
    assert result.source
    assert Path(runner.result("junit")).is_file()
    assert "### vmlab: src" in runner.summary
    assert "debian13-6.12" in runner.summary.replace("\\", "")
    restored, saved, uploaded = runner.used
    assert restored["key"] == saved["key"]
    assert restored["key"].startswith(restored["restore-keys"])
    assert uploaded["name"] == "vmlab-src-debian12-6.1-debian13-6.12"
    assert uploaded["overwrite"] == "True"
    assert Path(uploaded["path"], "results.json").is_file()
    assert "--vmlab-target=debian12-6.1,debian13-6.12" in (Path(python).parent / "images").read_text()


def test_a_red_run_fails_and_is_reported_all_the_same(runner: Runner, python: str) -> None:
    (runner.workspace / "tests" / "test_all.py").write_text(_RED)
    assert _run(runner, python, targets="debian12-6.1", cache="false") == "failure"
    assert (runner.outcomes["run"], runner.outcomes["report"]) == ("failure", "success")
    assert (runner.result("status"), runner.result("passed"), runner.result("failed")) == ("1", "1", "1")
    assert "assert 1 == 2" in runner.summary
    assert len(runner.used) == 1
    (error,) = [line for line in runner.logs["report"].splitlines() if line.startswith("::error ")]
    assert "assert 1 == 2" in error


def test_what_a_guest_prints_is_no_command_to_the_runner(runner: Runner, python: str) -> None:
    (runner.workspace / "tests" / "test_all.py").write_text(_RED)
    _run(runner, python, targets="debian12-6.1")
    log = runner.logs["run"]
    match = re.match(r"::stop-commands::([0-9a-f-]{36})\n", log)
    assert match is not None
    stopped, _, after = log.partition(f"\n::{match[1]}::\n")
    assert "::add-mask::everything" in stopped
    assert after == ""
    assert not any(line.startswith(("::add-mask", "::error::")) for line in runner.logs["report"].splitlines())


@pytest.mark.parametrize(
    ("inputs", "step", "words"),
    [
        ({"timeout_minutes": "soon"}, "prepare", "timeout-minutes must be a whole number of minutes"),
        ({"timeout_minutes": "0"}, "prepare", "timeout-minutes must be a whole number of minutes"),
        ({"python": "/bin/false"}, "prepare", "python: vmlab is not installed for this interpreter"),
        ({"targets": "debian12-6.2"}, "prepare", "unknown target 'debian12-6.2' (did you mean"),
        ({"module": "nowhere"}, "run", "does not exist"),
        ({"accel": "kmv"}, "run", "must be auto, kvm or tcg, got 'kmv' (did you mean 'kvm'?)"),
        ({"shard": "5/3"}, "run", "must be between 1/3 and 3/3, got '5/3'"),
        ({"durations": "nowhere.json", "shard": "1/2"}, "run", "cannot read"),
        ({"tests": "nowhere"}, "run", "tests: no such file or directory: nowhere"),
    ],
)
def test_a_wrong_input_fails_with_one_line(
    runner: Runner, python: str, inputs: dict[str, str], step: str, words: str
) -> None:
    assert _run(runner, python, **inputs) == "failure"
    assert runner.outcomes[step] == "failure"
    lines = [line for line in runner.logs[step].splitlines() if words in line]
    assert len(lines) == 1, runner.logs[step]
    assert "Traceback" not in runner.logs[step]
    if step == "run":
        assert "::error title=vmlab::the run wrote no results" in runner.logs["report"]
    else:
        assert runner.outcomes["run"] == "skipped"
        assert runner.outcomes["report"] == "skipped"


@pytest.mark.parametrize(("accel", "outcome"), [("kvm", "failure"), ("auto", "success")])
def test_without_the_device_only_a_demand_for_kvm_fails_and_at_once(
    runner: Runner, python: str, accel: str, outcome: str
) -> None:
    runner.environment["KVM_DEVICE"] = str(runner.home / "none")
    assert runner.run(until="prepare", module="src", targets=_TARGETS, accel=accel, python=python) == outcome
    words = "::error title=vmlab::accel: kvm is required, but this runner has no"
    assert (words in runner.logs["prepare"]) == (accel == "kvm")


_EVIL = "x';touch pwned;$(touch pwned)`touch pwned`\"; touch pwned #"


@pytest.mark.parametrize(
    "names",
    [("timeout_minutes",), ("python",), ("targets",), ("tests",), ("store", "artifact"), ("module", "accel", "shard")],
)
def test_no_input_is_ever_shell(runner: Runner, python: str, names: tuple[str, ...]) -> None:
    _run(runner, python, **dict.fromkeys(names, _EVIL))
    assert not list(runner.home.rglob("pwned"))
    if "artifact" in names:
        assert re.fullmatch(r"[A-Za-z0-9._+-]+", runner.used[-1]["name"])


@pytest.mark.parametrize("name", ["tests", "timeout_minutes"])
def test_no_input_becomes_a_command_to_the_runner(runner: Runner, python: str, name: str) -> None:
    _run(runner, python, **{name: "x\n::add-mask::everything\r\n::set-output name=a::b"})
    for log in runner.logs.values():
        assert not [line for line in log.splitlines() if line.startswith(("::add-mask", "::set-output"))]


def test_without_tests_the_lab_has_some_for_any_module(runner: Runner, python: str) -> None:
    # Collect only, because these tests would start real guests.
    runner.environment["PYTEST_ADDOPTS"] = "--collect-only -q"
    _run(runner, python, tests="", targets="debian12-6.1")
    assert "test_builds_and_loads[debian12-6.1]" in runner.logs["run"]
    assert "test_unloads_and_loads_again[debian12-6.1]" in runner.logs["run"]


def test_an_image_that_cannot_be_made_keeps_no_other_target_from_its_verdict(runner: Runner, python: str) -> None:
    python = _with(python, '*" images build"*) echo "failed  debian12-6.1: gone"; exit 1 ;;')
    assert _run(runner, python, targets="debian12-6.1") == "success"
    assert "::warning title=vmlab::some images could not be built" in runner.logs["images"]
    assert runner.outputs["images"] == {}
    assert runner.outcomes["run"] == "success"


@pytest.mark.parametrize(("status", "is_kept"), [(0, True), (1, False)])
def test_the_cache_is_kept_where_every_image_was_made(runner: Runner, python: str, status: int, is_kept: bool) -> None:
    python = _with(python, f'*" images build"*) exit {status} ;;')
    runner.run(
        until="run", module="src", tests="tests", targets="debian12-6.1", accel="tcg", python=python, cache="true"
    )
    assert sum("key" in used for used in runner.used) == 1 + is_kept  # requested, and kept


def test_a_run_out_of_time_and_wrong_usage_end_the_job(runner: Runner, python: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    short = tmp_path / "bin" / "timeout"
    short.write_text('#!/bin/sh\necho "::add-mask::everything"\nexit "$ENDS_WITH"\n')
    short.chmod(0o755)
    runner.environment |= {"PATH": f"{short.parent}:/usr/sbin:/usr/bin:/sbin:/bin", "ENDS_WITH": "2"}
    assert _run(runner, python, targets="debian12-6.1") == "failure"
    assert runner.outcomes["run"] == "skipped"
    stopped, _, after = runner.logs["images"].partition("\n\n")
    assert stopped.startswith("::stop-commands::")
    assert "::add-mask" not in after
    runner.environment["ENDS_WITH"] = "124"
    assert _run(runner, python, targets="debian12-6.1") == "failure"
    assert runner.outcomes["run"] == "skipped"
    assert "::error title=vmlab::stopped after 60 minutes" in runner.logs["images"]


@pytest.mark.parametrize(
    ("module", "shard", "name"),
    [
        ("src", "2/2", "vmlab-src-debian12-6.1-debian13-6.12-2-2"),
        ("./drivers/net", "", "vmlab-drivers-net-debian12-6.1-debian13-6.12"),
        (".", "", "vmlab-debian12-6.1-debian13-6.12"),
    ],
)
def test_an_artifact_is_named_after_module_targets_and_shard(
    runner: Runner, python: str, module: str, shard: str, name: str
) -> None:
    runner.run(until="prepare", module=module, targets=_TARGETS, accel="tcg", python=python, shard=shard)
    assert runner.outputs["prepare"]["artifact"] == name


def _key(runner: Runner, python: str, targets: str = "debian12-6.1", lock: str = "") -> str:
    runner.used.clear()
    runner.run(until="cache", module="src", targets=targets, accel="tcg", python=python, lock=lock)
    return str(runner.used[0]["key"])


def test_the_cache_goes_by_what_images_are_made_from(runner: Runner, python: str) -> None:
    keys = {_key(runner, python), _key(runner, python, "debian13-6.12")}
    runner.environment["RUNNER_ARCH"] = "ARM64"
    keys.add(_key(runner, python))
    assert len(keys) == 3


def test_the_cache_goes_by_the_lock_of_the_users_own(runner: Runner, python: str) -> None:
    image = LockedImage(id="ubuntu24.04-amd64", name="a.img", size_bytes=1, algorithm=Algorithm.SHA256, digest="a" * 64)
    row = "ubuntu24.04-6.8"
    without, other = _key(runner, python, row), _key(runner, python)
    keys = {without}
    for digest in ("a" * 64, "b" * 64):
        lock = ImageLock(path=runner.workspace / "own.toml", rows={})
        write_lock(lock.with_row(replace(image, digest=digest)))
        keys.add(_key(runner, python, row, lock="own.toml"))
    assert len(keys) == 3
    assert _key(runner, python, lock="own.toml") == other, "a row that is not of that image"


@pytest.mark.parametrize(
    ("hit", "store", "asked"),
    [
        ("true", "", ["build"]),
        ("", "", ["build"]),
        ("false", "", ["refresh", "build", "prune"]),
        ("false", "own", ["refresh", "build"]),
        ("false", "no network", ["build"]),
    ],
)
def test_an_earlier_weeks_images_are_asked_about_once(
    runner: Runner, python: str, tmp_path: Path, hit: str, store: str, asked: list[str]
) -> None:
    runner.outputs["cache"] = {"cache-hit": hit}
    runner.run(until="images", module="src", targets="debian12-6.1", accel="tcg", python=python, store=store)
    assert runner.outcomes["images"] == "success"
    lines = (tmp_path / "images").read_text().splitlines()
    assert [line.split()[4] for line in lines] == asked
    warning = "::warning title=vmlab::the package indexes could not be read"
    assert (warning in runner.logs["images"]) == (store == "no network")
