# SPDX-License-Identifier: MIT
"""Fixtures shared by the tests of the lab's guarantees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmlab.lab.lab import Lab
from vmlab.system.process import ProcessIdentity
from vmlab.system.scratch import owner_of, scratch_directories

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "tests" / "zoo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished vmlab or pytest run."""

    status: int
    output: str


@dataclass(slots=True)
class Running:
    """An active run; its report directory, named by all its processes, identifies them."""

    child: subprocess.Popen[str]
    report: Path
    log: Path

    def wait_for(self, text: str, *, timeout_s: float = 300) -> None:
        """Wait until the run prints some text."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, f"never printed {text!r}:\n{self.log.read_text()}"
            assert self.child.poll() is None, f"ended before it printed {text!r}:\n{self.log.read_text()}"
            time.sleep(0.1)

    def wait_for_file(self, name: str, *, timeout_s: float = 300) -> None:
        """Wait until the run has created a file in its report directory."""
        deadline = time.monotonic() + timeout_s
        while not (self.report / name).exists():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.child.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def left_behind(self, *, within_s: float = 15) -> list[str]:
        """Processes that still exist after `within_s` seconds and work in this run's directories."""
        deadline = time.monotonic() + within_s
        while True:
            left = _processes(str(self.report.parent))
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.2)


def _processes(directory: str) -> list[str]:
    """Command lines of the processes that name a directory in their arguments, work below it, or hold a file there."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            places = [str(link.readlink()) for link in (process / "cwd", *(process / "fd").iterdir())]
        except OSError:
            continue
        if directory in words or any(place.startswith(directory) for place in places):
            found.append(f"{process.name} {words}")
    return found


def own_directories() -> set[Path]:
    """Scratch directories of this process; those of other runs on this host are excluded."""
    me = ProcessIdentity.of(os.getpid())
    return {path for path in scratch_directories() if owner_of(path) == me}


@pytest.fixture
def start(tmp_path: Path, vmlab_lab: Lab) -> Iterator[Callable[..., Running]]:
    """Start `python -m vmlab …` or `python -m pytest …` with a report directory. The default store is this run's. The
    process is always ended with the test."""
    started: list[Running] = []

    def act(program: str, *arguments: str, store: Path | None = None, **environment: str) -> Running:
        report = tmp_path / f"report-{len(started)}"
        log = tmp_path / f"log-{len(started)}"
        options = ["--vmlab-store", str(store or vmlab_lab.settings.store), "--vmlab-report", str(report)]
        # The options must precede arguments that a subcommand passes on.
        first, rest = arguments[:1], arguments[1:]
        with log.open("w") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", program, *first, *options, *rest],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        started.append(Running(child=child, report=report, log=log))
        return started[-1]

    yield act
    for running in started:
        if running.child.poll() is None:
            os.killpg(running.child.pid, signal.SIGKILL)
            running.child.wait()


@pytest.fixture
def finish(start: Callable[..., Running]) -> Callable[..., Finished]:
    """Like `start`, and wait for the end."""

    def act(program: str, *arguments: str, store: Path | None = None, **environment: str) -> Finished:
        running = start(program, *arguments, store=store, **environment)
        status = running.child.wait(timeout=600)
        return Finished(status=status, output=running.log.read_text())

    return act
