# SPDX-License-Identifier: MIT
"""perf on a process id as an ordinary user: the ids that work, and the meaning of "No such process"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kernel.pid import PidKind, diagnose_pid
from vmlab.guest.guest import Guest
from vmlab.guest.transport import Completed
from vmlab.perf.access import PerfAccess

from .busy import Start
from .finding import Note
from .typed import Said, by_user

# perf and tracing patch the running kernel's code.
pytestmark = pytest.mark.usefixtures("one_processor")

_EVENT = "-F 500 -e cpu-clock:u"
_QUICK = "--no-buildid --no-buildid-cache --no-bpf-event"
_FIRST_IN_NAMESPACE = 30000
"""An unused process id in the guest's own namespace: ids start at 1 after the boot and ascend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """A running process of the user, and its second thread."""

    pid: int
    thread: int


@pytest.fixture(autouse=True)
def _own_processes_may_be_measured(perf_access: Callable[..., PerfAccess], perf_in_use: None) -> None:
    perf_access(level=2)


@pytest.fixture
def busy(start: Start) -> Busy:
    pid, thread = start()
    return Busy(pid=pid, thread=thread)


def _record(guest: Guest, which: str) -> Completed:
    # The process is busy a fifth of the time: some thirty samples per thread. Two thirds of record's time under
    # emulation go to writing down build ids of the samples and the kernel's BPF programs.
    return guest.run(f"perf record {_QUICK} {_EVENT} -o /tmp/perf.data {which} -- sleep 0.3")


def _top(guest: Guest, pid: int, shown: str) -> Said:
    """Run `perf top` on an invalid id: it ends at once."""
    return by_user(guest, f"perf top --stdio {_EVENT} -p {pid} </dev/null", shown=shown)


def _sampled_threads(guest: Guest) -> set[int]:
    samples = guest.succeed("perf script -i /tmp/perf.data -F tid 2>/dev/null")
    return {int(tid) for tid in samples.split()}


def _why(guest: Guest, pid: int, done: Completed) -> str:
    return f"{done.stderr.strip()}\n{diagnose_pid(guest, pid)}"


def test_a_live_process_is_recorded_with_all_its_threads(shared_guest: Guest, busy: Busy) -> None:
    done = _record(shared_guest, f"-p {busy.pid}")
    assert done.ok, _why(shared_guest, busy.pid, done)
    assert _sampled_threads(shared_guest) == {busy.pid, busy.thread}
    assert diagnose_pid(shared_guest, busy.pid).kind is PidKind.PROCESS


def test_the_id_of_a_thread_means_its_whole_process_to_p_and_itself_to_t(shared_guest: Guest, busy: Busy) -> None:
    # perf opens every task in /proc/ID/task (tools/perf/util/thread_map.c). /proc lists only group leaders but also
    # resolves thread ids (fs/proc/base.c), and then shows all threads of the group.
    done = _record(shared_guest, f"-p {busy.thread}")
    assert done.ok, _why(shared_guest, busy.thread, done)
    assert _sampled_threads(shared_guest) == {busy.pid, busy.thread}
    done = _record(shared_guest, f"-t {busy.thread}")
    assert done.ok, _why(shared_guest, busy.thread, done)
    assert _sampled_threads(shared_guest) == {busy.thread}
    said = diagnose_pid(shared_guest, busy.thread)
    assert (said.kind, str(busy.pid) in said.sentence) == (PidKind.THREAD, True)


def test_perf_top_shows_a_live_process_and_finds_an_event_by_itself(
    shared_guest: Guest, busy: Busy, finding: Note
) -> None:
    # Without an event perf uses cycles, or a software clock without a PMU. It reads keys from standard input and
    # redisplays a menu at end of file, so the input never ends.
    never = "rm -f /tmp/never; mkfifo /tmp/never; exec 0<>/tmp/never"
    # With one processor and a busy process, the first screen took 100 s on a busy host.
    limit_s = shared_guest.limits.command_s * 0.8
    top = f"stdbuf -oL timeout {limit_s:.0f} perf top --stdio -d 1 -p {busy.pid} 2>&1"
    done = shared_guest.run(f"{never}; {top} | grep -am 1 -E '%.*spin_(first|second)|rror'")
    finding("perf.pid.top", command=f"perf top -p {busy.pid}", output=done.stdout, works=done.ok)
    assert re.search(r"spin_(first|second)", done.stdout), _why(shared_guest, busy.pid, done)


def test_a_process_that_has_ended_is_told_from_one_that_never_was(shared_guest: Guest, finding: Note) -> None:
    ended = int(shared_guest.succeed("sh -c 'echo $$'"))
    done = _top(shared_guest, ended, "pid=$(sh -c 'echo $$'); perf top -p $pid")
    finding("perf.pid.finished", **done.shown, words="No such process" in done.output)
    assert "No such process" in done.output
    said = diagnose_pid(shared_guest, ended)
    assert (said.kind, "it has ended" in said.sentence) == (PidKind.GONE, True), said
    never = diagnose_pid(shared_guest, 4_000_000)
    assert (never.kind, "it has ended" in never.sentence) == (PidKind.GONE, False), never


def test_a_zombie_is_listed_and_no_such_process(shared_guest: Guest, start: Start, finding: Note) -> None:
    parent, child = start("zombie")
    top = _top(
        shared_guest, child, f"./busy zombie &  # a process that does not wait for its child\nperf top -p {child}"
    )
    finding("perf.pid.zombie", **top.shown, words="No such process" in top.output)
    assert "No such process" in top.output
    done = _record(shared_guest, f"-p {child}")
    assert not done.ok
    assert "No such process" in done.stderr + done.stdout
    said = diagnose_pid(shared_guest, child)
    assert (said.kind, str(parent) in said.sentence) == (PidKind.ZOMBIE, True), said


def test_an_id_of_another_pid_namespace_is_named_as_it_is_here(
    shared_guest: Guest, start: Start, finding: Note
) -> None:
    # The namespace continues counting from this number: proc_pid_ns(5), ns_last_pid.
    last = f"echo {_FIRST_IN_NAMESPACE - 1} >/proc/sys/kernel/ns_last_pid"
    within = f"unshare --user --map-root-user --pid --fork sh -c '{last}; {{command}}; true'"
    inside, _ = start(within=within)
    assert inside >= _FIRST_IN_NAMESPACE
    top = _top(shared_guest, inside, f"{within.format(command='./busy')} &\nperf top -p {inside}")
    finding("perf.pid.namespace", **top.shown, words="No such process" in top.output)
    assert "No such process" in top.output
    said = diagnose_pid(shared_guest, inside)
    assert said.kind is PidKind.OTHER_NAMESPACE, said
    assert said.use_instead is not None
    cure = by_user(shared_guest, f"grep NSpid: /proc/[0-9]*/status | grep -w {inside}")
    finding("perf.pid.namespace-cure", **cure.shown, inside=inside, outside=said.use_instead)
    assert cure.output.split()[-2:] == [str(said.use_instead), str(inside)], cure.output
    done = _record(shared_guest, f"-p {said.use_instead}")
    assert done.ok, _why(shared_guest, said.use_instead, done)


def test_what_is_not_the_users_is_refused_and_is_no_missing_process(shared_guest: Guest) -> None:
    assert diagnose_pid(shared_guest, 1).kind is PidKind.OTHER_USER
    assert diagnose_pid(shared_guest, 2).kind is PidKind.KERNEL_THREAD
    done = _record(shared_guest, "-p 1")
    assert not done.ok
    assert "No such process" not in done.stderr + done.stdout
