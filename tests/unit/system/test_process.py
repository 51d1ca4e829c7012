# SPDX-License-Identifier: MIT
"""Running other programs: no child outlives its time limit, its call or its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.system.process import end, find_program, run, tied_to_parent
from vmlab.system.wait import wait_until


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _require_gone(pid: int) -> None:
    wait_until(lambda: not _is_running(pid), timeout_s=5, describe=f"process {pid} to end", interval_s=0.02)


def _pid_in(path: Path) -> int:
    def read() -> int | None:
        return int(path.read_text()) if path.exists() and path.read_text().strip() else None

    return wait_until(read, timeout_s=10, describe=str(path), interval_s=0.02)


def test_output_and_status_are_returned_as_they_came() -> None:
    ended = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=10)
    assert ended.status == 3
    assert not ended.ok
    assert ended.output == "out\nerr\n"


def test_the_tail_is_the_end_of_the_output() -> None:
    ended = run(["seq", "100"], timeout_s=10)
    assert ended.ok
    assert ended.tail.splitlines()[0] == "76"
    assert ended.tail.splitlines()[-1] == "100"


def test_lines_are_seen_as_they_come_and_kept_in_the_log(tmp_path: Path) -> None:
    seen: list[str] = []
    log = tmp_path / "log"
    log.write_text("before\n")
    run(["printf", "a\\nb\\n"], timeout_s=10, on_line=seen.append, log=log)
    assert seen == ["a", "b"]
    assert log.read_text() == "before\na\nb\n"


def test_input_environment_and_directory_reach_the_program(tmp_path: Path) -> None:
    ended = run(
        ["sh", "-c", "cat; echo $WORD; pwd"],
        timeout_s=10,
        input_text="in\n",
        environment={"WORD": "env"},
        directory=tmp_path,
    )
    assert ended.output == f"in\nenv\n{tmp_path}\n"


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    assert run(["true"], timeout_s=10, input_text="x" * 1_000_000).ok


def test_words_are_never_read_by_a_shell() -> None:
    assert run(["echo", "$HOME; `id`", "a b"], timeout_s=10).output == "$HOME; `id` a b\n"


def test_output_that_is_no_utf_8_is_no_crash() -> None:
    assert "\N{REPLACEMENT CHARACTER}" in run(["printf", "\\377"], timeout_s=10).output


def test_a_missing_program_is_the_hosts_fault() -> None:
    with pytest.raises(HostError, match="program not found: 'no-such-program'") as caught:
        run(["no-such-program"], timeout_s=10)
    assert "vmlab setup" in caught.value.hint


def test_the_administrators_directories_are_searched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program("no-such-program") is None
    assert find_program("chroot") is not None


def test_time_out_ends_the_whole_session_with_its_grandchildren(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = f"sh -c 'sleep 1000 & echo $! > {pids}; wait' & echo begun; wait"
    with pytest.raises(HostError, match=r"took longer than .* and was stopped") as caught:
        run(["sh", "-c", script], timeout_s=0.5, grace_s=5)
    assert caught.value.detail == "begun\n"
    _require_gone(_pid_in(pids))


def test_time_out_ends_also_what_ignores_the_polite_signal(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    script = f"(trap '' TERM; sleep 1000 & echo $! > {pids}; wait) & wait"
    with pytest.raises(HostError):
        run(["sh", "-c", script], timeout_s=0.5, grace_s=0.3)
    _require_gone(_pid_in(pids))


def test_what_a_program_leaves_in_the_background_neither_delays_nor_outlives_the_call() -> None:
    started = time.monotonic()
    ended = run(["sh", "-c", "sleep 1000 & echo $!"], timeout_s=30)
    assert time.monotonic() - started < 4
    _require_gone(int(ended.output))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    pids = tmp_path / "pid"
    script = f"echo $$ > {pids}; exec sleep 1000"
    code = f"from vmlab.system.process import run; run(['sh', '-c', {script!r}], timeout_s=60)"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        pid = _pid_in(pids)
        assert _is_running(pid)
        os.kill(parent.pid, number)
        parent.wait(timeout=10)
    _require_gone(pid)


def test_a_child_whose_parent_died_before_it_began_does_not_begin() -> None:
    argv = tied_to_parent(["echo", "begun"])
    guard = argv.index("guard") + 1
    argv[guard] = "1"  # as if the starting process had been another one
    assert subprocess.run(argv, capture_output=True, text=True, check=False).stdout == ""


def test_ending_twice_is_safe() -> None:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    end(child, grace_s=5)
    end(child, grace_s=5)
    assert child.returncode == -signal.SIGTERM
