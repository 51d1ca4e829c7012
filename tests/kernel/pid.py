# SPDX-License-Identifier: MIT
"""Meaning of a process id in a guest: why `perf -p`, `strace -p` or `gdb -p` print "No such process"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vmlab.errors import UsageError
from vmlab.guest.guest import Guest

_KERNEL_THREAD = 0x00200000
"""PF_KTHREAD, include/linux/sched.h: in the ninth field of /proc/PID/stat."""
# The innermost id in NSpid is the task's id in its own namespace; a single id means the guest's namespace.
_LOOK = """
id -u {user}; cat /proc/sys/kernel/pid_max /proc/loadavg; echo ---
cat /proc/{pid}/status 2>/dev/null; echo ---
cat /proc/{pid}/stat 2>/dev/null; echo ---
grep -sE '^NSpid:.*[[:space:]][0-9]+[[:space:]]{pid}$' /proc/[0-9]*/task/[0-9]*/status; true
"""


class PidKind(StrEnum):
    """Kind of object that an id names."""

    PROCESS = "a process"
    THREAD = "a thread"
    ZOMBIE = "a zombie"
    KERNEL_THREAD = "a kernel thread"
    OTHER_USER = "another user's process"
    OTHER_NAMESPACE = "a process of another pid namespace"
    GONE = "no process"


@dataclass(frozen=True, slots=True, kw_only=True)
class PidFacts:
    """Contents of /proc for an id. `status` is empty when no task has it."""

    pid: int
    user_id: int
    """User id that perf would run as."""
    pid_max: int
    last_pid: int
    status: Mapping[str, str] = field(default_factory=dict)
    is_kernel_thread: bool = False
    elsewhere: tuple[int, ...] = ()
    """Ids, in the guest's namespace, of tasks that have this id in their own namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PidDiagnosis:
    """A diagnosis in one sentence, and advice."""

    pid: int
    kind: PidKind
    sentence: str
    hint: str = ""
    use_instead: int | None = None
    """The id of the same task in the guest's namespace."""

    def __str__(self) -> str:
        return f"{self.sentence} ({self.hint})" if self.hint else self.sentence


def diagnose_pid(guest: Guest, pid: int, *, user: str = "lab") -> PidDiagnosis:
    """Diagnose `pid` in a guest, for a `user` who wants to inspect it. Cost: one command as root.

    Raises `UsageError` for a number that cannot be a process id.
    """
    if pid < 1:
        raise UsageError(f"{pid} is no process id", hint="they begin at 1")
    return judge(read_facts(guest.as_root(_LOOK.format(pid=pid, user=user)), pid))


def read_facts(text: str, pid: int) -> PidFacts:
    """Parse the output of `diagnose_pid`'s command. Pure."""
    general, status, stat, elsewhere = (part.strip() for part in text.split("---\n"))
    user_id, pid_max, load = general.split("\n")
    # The command name in parentheses may contain anything; the state follows it, the flags are the seventh field.
    fields = stat.rpartition(")")[2].split()
    outer = (int(found[1]) for found in re.finditer(r"task/(\d+)/status:", elsewhere))
    return PidFacts(
        pid=pid,
        user_id=int(user_id),
        pid_max=int(pid_max),
        last_pid=int(load.split()[-1]),  # proc(5), /proc/loadavg: the most recent id
        status=dict(line.split(":\t", 1) for line in status.split("\n") if ":\t" in line),
        is_kernel_thread=len(fields) > 6 and bool(int(fields[6]) & _KERNEL_THREAD),
        elsewhere=tuple(outer),
    )


def judge(facts: PidFacts) -> PidDiagnosis:
    """Diagnose an id from its facts. Pure."""
    if not facts.status:
        return _absent(facts)
    found = _present(facts)
    if not facts.elsewhere:
        return found
    other = facts.elsewhere[0]
    hint = f"meant is perhaps {facts.pid} of another pid namespace: that is {other} here"
    return PidDiagnosis(
        pid=found.pid,
        kind=found.kind,
        sentence=found.sentence,
        hint=f"{found.hint}; {hint}" if found.hint else hint,
        use_instead=other,
    )


def _absent(facts: PidFacts) -> PidDiagnosis:
    pid = facts.pid
    if facts.elsewhere:
        other = facts.elsewhere[0]
        return PidDiagnosis(
            pid=pid,
            kind=PidKind.OTHER_NAMESPACE,
            sentence=f"{pid} is a process id of another pid namespace, a container's; here that process is {other}",
            hint=f"use -p {other}",
            use_instead=other,
        )
    if pid >= facts.pid_max:
        why = f"ids stay below {facts.pid_max} (kernel.pid_max)"
    elif pid <= facts.last_pid:
        why = f"it has ended; ids are given in order, and {facts.last_pid} was the last"
    else:
        why = f"ids are given in order, and {facts.last_pid} was the last"
    return PidDiagnosis(
        pid=pid, kind=PidKind.GONE, sentence=f"there is no process {pid}: {why}", hint="look it up again: pgrep -a NAME"
    )


def _present(facts: PidFacts) -> PidDiagnosis:
    pid, status = facts.pid, facts.status
    name = status.get("Name", "?")
    owner = int(status.get("Uid", "0").split()[0])
    leader = int(status.get("Tgid", str(pid)))
    if facts.is_kernel_thread:
        return PidDiagnosis(
            pid=pid,
            kind=PidKind.KERNEL_THREAD,
            sentence=f"{pid} is the kernel thread {name}: root's, and never in user space",
            hint=f"sudo perf record -e cpu-clock -p {pid}",
        )
    if status.get("State", "").startswith(("Z", "X")):
        parent = status.get("PPid", "?")
        return PidDiagnosis(
            pid=pid,
            kind=PidKind.ZOMBIE,
            sentence=f"{pid} ({name}) has ended and is a zombie: {parent}, its parent, has not waited for it",
            hint="it does nothing any more; /proc still lists it",
        )
    if facts.user_id not in (0, owner):
        return PidDiagnosis(
            pid=pid,
            kind=PidKind.OTHER_USER,
            sentence=f"{pid} ({name}) runs as user {owner}, and perf as {facts.user_id}: refused with EACCES",
            hint="run perf with sudo or CAP_PERFMON",
        )
    if leader != pid:
        return PidDiagnosis(
            pid=pid,
            kind=PidKind.THREAD,
            sentence=f"{pid} is a thread of process {leader} ({name}): -p {pid} means all threads of it",
            hint=f"-t {pid} means this thread alone",
        )
    return PidDiagnosis(pid=pid, kind=PidKind.PROCESS, sentence=f"{pid} ({name}) lives, with {_threads(status)}")


def _threads(status: Mapping[str, str]) -> str:
    count = status.get("Threads", "1")
    return "one thread" if count == "1" else f"{count} threads"
