# SPDX-License-Identifier: MIT
"""Kernel reports during a watch: from the log, and from the console where the log has a gap."""

from __future__ import annotations

import shlex

import pytest

from unit.fakes import FakeConsole, FakeTransport, guest
from vmlab.errors import CommandHung
from vmlab.guest.guest import Guest
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost
from vmlab.guest.watch import KernelWatch
from vmlab.klog.findings import Witness

_WARNING = "WARNING: CPU: 0 PID: 94 at fibdrv_main.c:42 fib_read+0x1b/0x40 [fibdrv]"


class _Kernel:
    """A kernel's log, its console, and a shell that reads both."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.taint = 0
        self.next = 0
        self.console = FakeConsole()
        self.takes_marks = True
        self.unloading = 0
        """Number of looks that still see a module being unloaded."""
        self.on_unload = ""
        self.transport = FakeTransport(
            {"vmlab_ask": self._shell, "echo": self._shell, "export": self._shell, "i=0;": self._await_unload}
        )
        self.say("Linux version 6.1.0-56-cloud-amd64")

    def guest(self) -> Guest:
        return guest(self.transport, console=self.console)

    def say(self, text: str, *, prefix: int = 4) -> None:
        self.lines.append(f"{prefix},{self.next},{self.next}00000,-;{text}")
        self.console.said += f"[{self.next / 10:12.6f}] {text}\n"
        self.next += 1

    def overwrite(self, kept: int) -> None:
        """Drop all but the newest `kept` lines from the ring buffer."""
        del self.lines[:-kept]

    def _shell(self, command: str) -> str:
        for word in shlex.split(command):
            if word.startswith("<6>") and self.takes_marks:
                self.say(word.removeprefix("<6>"), prefix=14)
        if "LC_ALL" in command:
            return "\n".join([str(self.taint), *self.lines]) + "\n"
        return command.removeprefix("echo ")

    def _await_unload(self, command: str) -> Completed:
        if self.on_unload:
            self.say(self.on_unload)
        return Completed(command=command, status=int(self.unloading > 0), stdout="", stderr="", duration_s=0.0)


@pytest.fixture
def kernel() -> _Kernel:
    return _Kernel()


def test_what_was_there_before_is_not_found(kernel: _Kernel) -> None:
    kernel.say(_WARNING)
    watch = KernelWatch(kernel.guest())
    watch.begin("test_quiet")
    kernel.say("fibdrv: loaded")
    found = watch.end()
    assert found.splats == ()
    assert [record.text for record in found.records] == ["fibdrv: loaded"]
    assert found.notes == ()


def test_a_report_is_found_with_the_test_that_it_was_made_in(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test_noisy")
    kernel.say(_WARNING)
    kernel.taint = 512
    found = watch.end()
    (splat,) = found.splats
    assert (splat.kind, splat.test, splat.module) == ("WARNING", "test_noisy", "fibdrv")
    assert (found.taint_before, found.taint_after) == (0, 512)
    assert found.witness is Witness.LOG


def test_the_beginning_and_the_end_stand_in_the_log_with_a_nonce_of_their_own(kernel: _Kernel) -> None:
    first, second = KernelWatch(kernel.guest()), KernelWatch(kernel.guest())
    for watch in (first, second):
        watch.begin("test_twice")
        watch.end()
    marks = [line.partition(";")[2].split() for line in kernel.lines if "vmlab:" in line]
    assert [mark[:3] for mark in marks] == [["vmlab:", "test_twice", what] for what in ("begins", "ends")] * 2
    assert len({mark[3] for mark in marks}) == 2


def test_the_next_look_goes_on_where_the_last_one_ended(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test")
    kernel.say(_WARNING)
    kernel.taint = 512
    assert len(watch.end().splats) == 1
    found = watch.end()
    assert found.splats == ()
    assert found.taint_before == 512
    assert found.notes == ()


def test_a_hole_in_the_log_is_said_and_the_console_fills_it(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test_flood")
    kernel.say(_WARNING)
    kernel.say("---[ end trace 0000000000000000 ]---")
    for number in range(40):
        kernel.say(f"flood {number}")
    kernel.overwrite(10)
    found = watch.end()
    assert [splat.title for splat in found.splats] == [_WARNING]
    assert any("records of the kernel log were overwritten" in note for note in found.notes)
    assert any("start is not in the kernel log" in note for note in found.notes)


def test_what_both_witnesses_saw_is_told_once(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test_flood")
    for number in range(40):
        kernel.say(f"flood {number}")
    kernel.say(_WARNING)
    kernel.overwrite(10)
    assert len(watch.end().splats) == 1


def test_what_one_witness_saw_follow_is_told_with_its_cause(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test_flood")
    kernel.say(_WARNING)
    for number in range(40):
        kernel.say(f"flood {number}")
    kernel.say("Kernel panic - not syncing: kernel: panic_on_warn set ...")
    kernel.overwrite(10)

    (splat,) = watch.end().splats

    assert splat.title == _WARNING
    assert [each.kind for each in splat.consequences] == ["panic"]


def test_a_log_that_takes_no_marks_is_said(kernel: _Kernel) -> None:
    kernel.takes_marks = False
    watch = KernelWatch(kernel.guest())
    watch.begin("test")
    assert len(watch.end().notes) == 2


@pytest.mark.parametrize("silence", [TransportLost("EOFError"), CommandTooSlow("timed out")])
def test_a_log_that_cannot_be_read_leaves_the_console(kernel: _Kernel, silence: Exception) -> None:
    watched = kernel.guest()
    watch = KernelWatch(watched)
    watch.begin("test_panic")
    kernel.console.said += "[    9.000000] Kernel panic - not syncing: fibdrv: out of order\n"
    kernel.transport.answers = {"echo": silence, "export": silence}
    found = watch.end()
    assert [splat.kind for splat in found.splats] == ["panic"]
    assert found.witness is Witness.CONSOLE
    assert found.lost is not None


def test_what_the_labs_own_interrupt_made_the_kernel_say_is_no_finding(kernel: _Kernel) -> None:
    watched = kernel.guest()
    watch = KernelWatch(watched)
    watch.begin("test_hang")
    watched.evidence_end = kernel.console.size()
    kernel.console.said += "[    9.000000] Kernel panic - not syncing: NMI: Not continuing\n"
    kernel.transport.is_dead = True
    found = watch.end()
    assert found.splats == ()
    assert found.lost is not None


def test_the_consoles_lines_before_the_test_are_not_its_own(kernel: _Kernel) -> None:
    kernel.say(_WARNING)
    watch = KernelWatch(kernel.guest())
    watch.begin("test")
    kernel.transport.is_dead = True
    assert watch.end().splats == ()


def test_a_long_name_is_cut_so_that_its_mark_is_found_again(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test_" + "x" * 2000)
    assert watch.end().notes == ()
    assert max(len(line) for line in kernel.lines) < 300


def test_a_removal_in_the_background_is_waited_for(kernel: _Kernel) -> None:
    watched = kernel.guest()
    watch = KernelWatch(watched)
    watch.begin("test_unloads")
    kernel.on_unload = _WARNING
    watched.run("sudo rmmod fibdrv >/dev/null 2>&1 &")

    watch.await_unload()

    assert [splat.kind for splat in watch.end().splats] == ["WARNING"]


def test_a_removal_that_comes_to_no_end_is_a_hang(kernel: _Kernel) -> None:
    watched = kernel.guest()
    watch = KernelWatch(watched)
    watch.begin("test_unloads")
    kernel.unloading = 1
    watched.run("sudo modprobe -r fibdrv &")

    with pytest.raises(CommandHung, match="still being unloaded"):
        watch.await_unload()


@pytest.mark.parametrize("command", ["modprobe fibdrv", "echo rmmods", "cat /proc/modules"])
def test_a_test_that_takes_no_module_out_is_not_waited_for(kernel: _Kernel, command: str) -> None:
    watched = kernel.guest()
    watch = KernelWatch(watched)
    watch.begin("test_reads")
    watched.run(command)
    before = watched.commands

    watch.await_unload()

    assert watched.commands == before


def test_news_on_the_console_is_the_kernels_and_newer_than_the_last_look(kernel: _Kernel) -> None:
    watch = KernelWatch(kernel.guest())
    watch.begin("test_late")
    watch.end()

    before = watch.has_news()
    kernel.say(_WARNING)

    assert (before, watch.has_news()) == (False, True)
