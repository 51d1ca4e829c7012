# SPDX-License-Identifier: MIT
"""The diagnosis of a process id from /proc."""

from __future__ import annotations

import pytest
from kernel.pid import PidDiagnosis, PidKind, diagnose_pid, judge, read_facts

from unit.fakes import FakeTransport, guest
from vmlab.errors import UsageError


def _said(
    pid: int, *, status: str = "", flags: int = 0x400000, elsewhere: str = "", user: int = 1000, name: str = "busy"
) -> PidDiagnosis:
    stat = f"{pid} ({name}) S 1 345 345 0 -1 {flags} 100 0" if status else ""
    text = f"{user}\n32768\n0.00 0.01 0.05 1/80 381\n---\n{status}---\n{stat}\n---\n{elsewhere}"
    return judge(read_facts(text, pid))


def _status(
    *, pid: int = 345, leader: int = 345, state: str = "S (sleeping)", uid: int = 1000, threads: int = 2
) -> str:
    return (
        f"Name:\tbusy\nUmask:\t0022\nState:\t{state}\nTgid:\t{leader}\nPid:\t{pid}\nPPid:\t344\n"
        f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGroups:\t1000 \nNSpid:\t{pid}\nThreads:\t{threads}\n"
    )


def test_a_live_process_is_one() -> None:
    said = _said(345, status=_status())
    assert (said.kind, str(said)) == (PidKind.PROCESS, "345 (busy) lives, with 2 threads")


def test_a_thread_names_its_process() -> None:
    said = _said(347, status=_status(pid=347))
    assert said.kind is PidKind.THREAD
    assert "347 is a thread of process 345 (busy)" in said.sentence
    assert "-t 347" in said.hint


def test_a_zombie_names_the_parent_that_does_not_wait() -> None:
    said = _said(352, status=_status(pid=352, leader=352, state="Z (zombie)"))
    assert (said.kind, "344, its parent" in said.sentence) == (PidKind.ZOMBIE, True)


def test_another_users_process_is_no_missing_one() -> None:
    said = _said(1, status=_status(pid=1, leader=1, uid=0))
    assert (said.kind, "EACCES" in said.sentence, "sudo" in said.hint) == (PidKind.OTHER_USER, True, True)
    assert _said(1, status=_status(pid=1, leader=1, uid=0), user=0).kind is PidKind.PROCESS
    assert _said(345, status=_status(), user=0).kind is PidKind.PROCESS


def test_a_kernel_thread_is_known_by_its_flag_whatever_its_name() -> None:
    status = _status(pid=2, leader=2, uid=0, threads=1)
    assert _said(2, status=status, flags=0x208040, name="kworker/0:1 (x) Z 3").kind is PidKind.KERNEL_THREAD
    assert _said(2, status=status, flags=0x400100).kind is PidKind.OTHER_USER


def test_what_has_ended_is_told_from_what_never_was() -> None:
    ended, never, huge = _said(355), _said(400), _said(4_000_000)
    assert {said.kind for said in (ended, never, huge)} == {PidKind.GONE}
    assert "it has ended" in ended.sentence
    assert "381 was the last" in never.sentence
    assert "has ended" not in never.sentence + huge.sentence
    assert "pid_max" in huge.sentence


def test_an_id_of_another_namespace_is_named_as_it_is_here() -> None:
    said = _said(30001, elsewhere="/proc/401/task/403/status:NSpid:\t403\t30001\n")
    assert (said.kind, said.use_instead, said.hint) == (PidKind.OTHER_NAMESPACE, 403, "use -p 403")


def test_an_id_that_is_one_here_and_there_is_told_to_be_both() -> None:
    said = _said(345, status=_status(), elsewhere="/proc/401/task/401/status:NSpid:\t401\t345\n")
    assert (said.kind, said.use_instead) == (PidKind.PROCESS, 401)
    assert "345 of another pid namespace: that is 401 here" in said.hint


def test_a_guest_is_asked_once_and_nonsense_not_at_all() -> None:
    root = FakeTransport({"id": "1000\n32768\n0.00 0.01 0.05 1/80 381\n---\n---\n---\n"})
    there = guest(FakeTransport(), root=root)
    assert diagnose_pid(there, 355).kind is PidKind.GONE
    assert len(root.commands) == 1
    with pytest.raises(UsageError, match="-1 is no process id"):
        diagnose_pid(there, -1)
    assert len(root.commands) == 1
