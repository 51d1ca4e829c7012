# SPDX-License-Identifier: MIT
"""Invalid input and faults as a user meets them: one line, a non-zero status, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.errors import MachineLost
from vmlab.guest.ssh import Address, connect
from vmlab.image.keys import lab_keys
from vmlab.lab.lab import Lab
from vmlab.machine.argv import machine_spec
from vmlab.machine.machine import Machine

from .conftest import ZOO, Finished, Running

Finish = Callable[..., Finished]
Start = Callable[..., Running]
ONE = "debian12-6.1"


def _line(finished: Finished) -> str:
    """The one line that reports the fault."""
    lines = [line for line in finished.output.splitlines() if line.startswith("vmlab: ")]
    assert "Traceback" not in finished.output, finished.output
    assert len(lines) == 1, finished.output
    return lines[0]


@pytest.fixture(autouse=True)
def _is_cached(target: Target) -> None:
    """Skip all targets but one: the tests need only its image, not several kernels."""
    if target.id != ONE:
        pytest.skip(f"says nothing about a kernel: runs on {ONE} alone")


def test_no_qemu_is_told_with_the_command_that_installs_it(finish: Finish, tmp_path: Path) -> None:
    finished = finish("vmlab", "shell", ONE, "true", PATH=str(tmp_path))
    assert finished.status == 1
    assert "qemu-system-x86_64" in _line(finished)
    assert "vmlab setup" in _line(finished)


def test_no_mmdebstrap_is_told_when_an_image_must_be_made(finish: Finish, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "mmdebstrap":
            (programs / program.name).symlink_to(program)
    finished = finish("vmlab", "shell", ONE, "true", store=tmp_path / "store", PATH=str(programs))
    assert finished.status == 1
    assert "mmdebstrap is not installed" in _line(finished)


def test_an_unreachable_mirror_is_named_as_such(finish: Finish, tmp_path: Path) -> None:
    mirror = "http://127.0.0.1:9/debian"
    finished = finish("vmlab", "shell", "--vmlab-mirror", mirror, ONE, "true", store=tmp_path / "store")
    assert finished.status == 1
    assert "mirror is unreachable" in _line(finished)
    assert "--vmlab-mirror" in _line(finished)
    assert not list((tmp_path / "store" / "tmp").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_is_told_with_what_is_free(start: Start, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(store)], check=True)
    try:
        running = start("vmlab", "shell", ONE, "true", store=store)
        assert running.child.wait(timeout=300) == 1
        line = _line(Finished(status=1, output=running.log.read_text()))
        assert "no space left" in line
        assert not list((store / "tmp").iterdir())
    finally:
        subprocess.run(["umount", str(store)], check=True)


def test_a_damaged_image_is_refused_and_the_way_out_named(
    finish: Finish, vmlab_lab: Lab, target: Target, tmp_path: Path
) -> None:
    image = vmlab_lab.testbed(target).image
    store = tmp_path / "store"
    copy = store / "objects" / "image" / image.digest
    copy.parent.mkdir(parents=True)
    shutil.copytree(image.disk.parent, copy, copy_function=os.link, symlinks=True)
    for name in ("keys", "notes"):
        shutil.copytree(vmlab_lab.store.root / name, store / name)
    (copy / "kernel").unlink()
    (copy / "kernel").write_bytes(image.kernel.read_bytes()[:-1])

    finished = finish("vmlab", "shell", ONE, "true", store=store)

    assert finished.status == 1
    assert "damaged: kernel" in _line(finished)
    assert "vmlab images prune --damaged" in _line(finished)


def test_a_module_that_does_not_compile_turns_the_cell_red_with_the_compilers_words(finish: Finish) -> None:
    finished = finish(
        "pytest", "tests/fibdrv/test_node.py", "--vmlab-target", ONE, "--vmlab-module", str(ZOO / "no_compile")
    )
    assert finished.status == 1
    table = finished.output.partition("kernels =")[2]
    assert "no_compile.c:9: " in table
    assert "undeclared" in table


def test_a_warning_at_load_turns_the_cell_red_with_the_kernels_words(finish: Finish) -> None:
    finished = finish(
        "pytest", "tests/lab/any_module.py", "--vmlab-target", ONE, "--vmlab-module", str(ZOO / "noisy_load")
    )
    assert finished.status == 1
    assert "kernel: WARNING: " in finished.output.partition("kernels =")[2]


def test_an_oops_in_read_turns_the_cell_red_though_the_test_itself_would_pass(finish: Finish) -> None:
    finished = finish(
        "pytest",
        "tests/lab/any_module.py",
        *("--vmlab-target", ONE, "--vmlab-module", str(ZOO / "null_read")),
        COLUMNS="300",
    )
    assert finished.status == 1
    reason = "kernel: BUG: kernel NULL pointer dereference"
    assert reason in finished.output.partition("kernels =")[2]
    # pytest's short summary starts with the reason too, and the module's frame has its line.
    assert re.search(rf"^FAILED .* - {reason}", finished.output, re.MULTILINE)
    assert re.search(
        r"^in the source of null_read:\n  null_read\S*\+\S+ \[null_read\]  null_read\.c:\d+$", finished.output, re.M
    )


def test_a_guest_that_never_answers_is_a_lost_machine_with_its_console(
    vmlab_lab: Lab, target: Target, tmp_path: Path
) -> None:
    image = vmlab_lab.testbed(target).image
    verdict = vmlab_lab.accelerators.verdict(image)
    spec = machine_spec(image, verdict.accelerator, cpus=1, memory_mib=512, cpu_model=verdict.cpu_model)
    with Machine(image, spec, console=tmp_path / "console") as machine:
        keys = lab_keys(vmlab_lab.store)
        address = Address(port=machine.ssh_port, host_key=keys.public(keys.host), user_key=keys.user)
        with pytest.raises(MachineLost, match="gave up waiting for the guest's SSH") as caught:
            connect(
                address,
                timeout_s=3,
                step_timeout_s=3,
                require_alive=machine.require_alive,
                evidence=machine.console.tail,
            )
    assert "--- console, last lines ---" in caught.value.detail
    assert not machine.is_alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_qemu_and_no_half_a_snapshot_survive_a_run_that_is_ended_in_a_boot(
    start: Start, finish: Finish, vmlab_lab: Lab, number: signal.Signals
) -> None:
    # No snapshot exists for guests of this memory size.
    size = ("--vmlab-memory-mib", str(700 + number))
    running = start("pytest", "tests/fibdrv", "--vmlab-target", ONE, "-k", "node", *size)
    running.wait_for("booting")
    running.child.send_signal(number)
    assert running.child.wait(timeout=60) != 0
    assert running.left_behind() == []
    assert "Traceback" not in running.log.read_text()
    assert finish("vmlab", "reap").status == 0
    assert not list((vmlab_lab.store.root / "tmp").glob("snapshot-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_half_made_is_left_when_an_image_build_is_ended(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    store = tmp_path / "store"
    running = start("vmlab", "shell", ONE, "true", store=store)
    running.wait_for("building the suite's base")
    running.child.send_signal(number)
    assert running.child.wait(timeout=60) != 0
    assert running.left_behind() == []
    assert not list(store.glob("objects/*/*"))
    mounts = Path("/proc/self/mounts").read_text()
    assert f"vmlab-{running.child.pid}-" not in mounts


@pytest.mark.slow
def test_two_runs_at_once_both_come_out_green(start: Start) -> None:
    both = [start("pytest", "tests/fibdrv", "--vmlab-target", ONE, "-k", "node") for _ in range(2)]
    assert [running.child.wait(timeout=900) for running in both] == [0, 0]
    results = [json.loads((running.report / "results.json").read_text()) for running in both]
    assert all(result["targets"][0]["target"] == ONE for result in results)
