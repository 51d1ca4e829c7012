# SPDX-License-Identifier: MIT
"""Processes that end before perf opens them: "No such process" although the id was valid a moment before."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from kernel.pid import PidKind, diagnose_pid
from vmlab.guest.guest import Guest
from vmlab.perf.access import PerfAccess

from .busy import Start
from .finding import Note
from .typed import Said, by_user

# perf and tracing patch the running kernel's code.
pytestmark = pytest.mark.usefixtures("one_processor")

_TOP = "perf top --stdio -e cpu-clock:u -p"
_GONE = "No such process"
_OPENING = re.compile(
    r"sys_perf_event_open\(\) syscall (?:returned with 3 \(No such process\)|failed for .*: No such process)"
)
"""The kernel found no such task (ESRCH, 3) after perf had found it in /proc; the second wording is perf 6.12's."""
# perf lists /proc/PID/task (thread_map__new_by_pid_str(), tools/perf/util/thread_map.c), and later opens an event for
# each thread. strace stops perf when it closes the directory after the list, and then detaches.
_BETWEEN = """\
strace -D -I 2 -q -o /tmp/strace.log -P /proc/{pid}/task -e trace=close -e inject=close:signal=SIGSTOP:when=1 \\
    {perf} >/tmp/perf.out 2>&1 </dev/null &
until grep -qs 'stopped by SIGSTOP' /tmp/strace.log || ! kill -0 $!; do sleep 0.1; done
kill $(awk '/TracerPid/ {{ print $2 }}' /proc/$!/status)
kill -{signal} {pid}
while [ -e /proc/{pid}/task/{gone} ] || ! grep -q 'TracerPid:.0$' /proc/$!/status; do sleep 0.1; done
kill -CONT $!
wait $!
cat /tmp/perf.out"""


@pytest.fixture(autouse=True)
def _own_processes_may_be_measured(perf_access: Callable[..., PerfAccess], perf_in_use: None) -> None:
    perf_access(level=2)


def _between(guest: Guest, perf: str, pid: int, *, signal: str, gone: int) -> Said:
    """perf's output when `signal` ended a thread after perf listed it and before perf opened it."""
    script = _BETWEEN.format(pid=pid, perf=perf, signal=signal, gone=gone)
    return by_user(guest, f"rm -f /tmp/strace.log; {script}", shown=script)


def test_the_pid_of_a_wrapper_that_has_ended_is_not_what_it_started(
    shared_guest: Guest, busy_path: str, start: Start, finding: Note
) -> None:
    # Like a script that starts a program in the background, or a launcher that forks and exits.
    wrapper = f"sh -c '{busy_path} >/tmp/wrapped.out 2>&1 &' & wrapper=$!; wait $wrapper"
    said = by_user(shared_guest, f"rm -f /tmp/wrapped.out; {wrapper}; echo $wrapper; {_TOP} $wrapper </dev/null")
    pid = int(said.output.split()[0])
    started = int(shared_guest.wait_until("grep . /tmp/wrapped.out").split()[0])
    finding("perf.pid.wrapper", **said.shown, wrapper=pid, started=started, words=_GONE in said.output)
    assert pid != started
    assert _GONE in said.output, said.output
    assert diagnose_pid(shared_guest, pid).kind is PidKind.GONE
    cure = by_user(
        shared_guest,
        f"pid=$(pgrep -n -f ^{busy_path}); echo $pid; perf stat -e cpu-clock:u -p $pid -- sleep 0.3",
    )
    finding("perf.pid.wrapper-cure", **cure.shown, pid=started, status=cure.status)
    assert int(cure.output.split()[0]) == started
    assert cure.status == 0, cure.output


def test_a_process_that_ends_between_listing_and_opening(shared_guest: Guest, start: Start, finding: Note) -> None:
    pid, _ = start()
    said = _between(shared_guest, f"{_TOP} {pid}", pid, signal="KILL", gone=pid)
    finding("perf.pid.race", **said.shown, words=_GONE in said.output)
    assert _OPENING.search(said.output), said.output


def test_a_thread_that_ends_between_listing_and_opening_stops_perf_top(
    shared_guest: Guest, start: Start, finding: Note
) -> None:
    pid, thread = start()
    said = _between(shared_guest, f"{_TOP} {pid}", pid, signal="USR1", gone=thread)
    lives = diagnose_pid(shared_guest, pid).kind is PidKind.PROCESS
    finding("perf.pid.race-thread", **said.shown, words=_GONE in said.output, lives=lives)
    assert _OPENING.search(said.output), said.output
    assert lives


def test_perf_stat_goes_on_without_a_thread_that_ended(shared_guest: Guest, start: Start, finding: Note) -> None:
    # evsel->ignore_missing_thread (tools/perf/builtin-*.c): perf record sets it since v4.11, perf stat in 6.1 but not
    # in 5.10, perf top never.
    version = re.match(r"perf version (\d+)\.(\d+)", by_user(shared_guest, "perf --version").output)
    assert version is not None
    pid, thread = start()
    said = _between(shared_guest, f"perf stat -e cpu-clock:u -p {pid} -- sleep 0.1", pid, signal="USR1", gone=thread)
    finding("perf.pid.race-stat", **said.shown, words=_GONE in said.output, status=said.status)
    goes_on = f"Ignored open failure for pid {thread}" in said.output
    assert goes_on is (_GONE not in said.output), said.output
    line = (int(version[1]), int(version[2]))
    if line <= (5, 10) or line >= (6, 1):
        assert goes_on is (line >= (6, 1)), said.output


def test_perf_that_starts_its_program_itself_needs_no_pid(shared_guest: Guest, finding: Note) -> None:
    record = "perf record --no-bpf-event -e cpu-clock:u -o /tmp/perf.data -- seq 1 200000 >/dev/null"
    said = by_user(shared_guest, f"{record} && perf script -i /tmp/perf.data -F comm | sort | uniq -c")
    finding("perf.pid.cure", **said.shown, status=said.status)
    assert re.search(r"^ *\d+ +seq", said.output, re.MULTILINE), said.output
