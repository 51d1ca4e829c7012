# SPDX-License-Identifier: MIT
"""The memory of a hung guest, opened with drgn: the hung task's stack, down to the module's line."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.errors import CommandHung
from vmlab.lab.lab import Lab
from vmlab.machine.memory_dump import note_path
from vmlab.module.load import insert

from .conftest import ZOO

ONE = "debian12-6.1"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("drgn") is None, reason="drgn is not installed: pip install '.[dump]'")
def test_a_dump_of_a_hung_guest_shows_the_line_that_it_hangs_in(vmlab_lab: Lab, target: Target, tmp_path: Path) -> None:
    if target.id != ONE:
        pytest.skip(f"fetches 283 MB of symbols: runs on {ONE} alone")
    import drgn
    from drgn.helpers.linux.pid import for_each_task

    settings = dataclasses.replace(
        vmlab_lab.settings, module=ZOO / "mutex_deadlock", dump=True, report=tmp_path / "report"
    )
    testbed = Lab(settings).testbed(target)
    vmlinux = testbed.vmlinux()
    built = testbed.built()
    with testbed.fork() as running:
        running.guest.limits = dataclasses.replace(running.guest.limits, load_s=10)
        with pytest.raises(CommandHung, match="the hang is in mutex_deadlock") as caught:
            insert(running.guest, built)
    (dump,) = (tmp_path / "report" / "dumps").glob("*.elf")
    assert str(dump) in caught.value.detail

    program = drgn.Program(vmcoreinfo=note_path(dump).read_bytes())
    program.set_core_dump(dump)
    # Only the named files: neither this host's debug files nor downloads.
    program.set_enabled_debug_info_finders([])
    program.load_debug_info([vmlinux, built.ko])
    (task,) = (task for task in for_each_task(program) if task.comm.string_() == b"insmod")
    trace = program.stack_trace(task)
    print(trace)
    frames = {frame.name: frame.source() for frame in trace if frame.is_inline is not None and _has_source(frame)}
    assert "__mutex_lock" in " ".join(frames)
    assert any(Path(source[0]).name == "mutex_deadlock.c" for source in frames.values())


def _has_source(frame: object) -> bool:
    try:
        frame.source()  # type: ignore[attr-defined]
    except LookupError:
        return False
    return True
