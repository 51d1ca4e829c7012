# SPDX-License-Identifier: MIT
"""A guest that exceeds its time limit: gentle probes come first, and stop when one succeeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.fakes import FakeConsole
from vmlab.errors import HostError, MachineLost
from vmlab.guest import hang
from vmlab.guest.hang import HangProbe

_BACKTRACE = """\
[   20.000000] sysrq: Show backtrace of all active CPUs
[   20.100000] NMI backtrace for cpu 1
[   20.200000] RIP: 0010:spin_forever+0x7/0x10 [spin]
"""
_PANIC = "[   30.000000] Kernel panic - not syncing: NMI: Not continuing\n"


class _Machine:
    """Prints on its console the test's answer to each key."""

    def __init__(self, console: FakeConsole, **answers: str) -> None:
        self.asked: list[str] = []
        self._console = console
        self._answers = answers

    def sysrq(self, key: str) -> None:
        self._ask(key)

    def stale_trap(self) -> str:
        return ""

    def inject_nmi(self) -> None:
        self._ask("nmi")

    def registers(self) -> str:
        return "CPU#0\nRAX=0 RBX=0\nRIP=ffffffffc0000007 RFL=00000046"

    def dump(self, path: Path) -> None:
        self._ask("dump")
        if "full" in self._answers:
            raise HostError("no space left")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self._answers.get(what) == "gone":
            raise MachineLost("QEMU's monitor is gone")
        self._console.said += self._answers.get(what, "")


def _probe(machine: _Machine, console: FakeConsole, **options: object) -> HangProbe:
    settings: dict[str, object] = {"step_s": 0.05, "nmi_panics": True, **options}
    return HangProbe(machine=lambda: machine, console=console, **settings)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang, "QUIET_S", 0.01)


def test_a_guest_that_answers_is_asked_where_its_tasks_and_processors_are_and_left_alone() -> None:
    console = FakeConsole("[    1.000000] boot\n")
    machine = _Machine(console, w="[   19.000000] sysrq: Show Blocked State\n", l=_BACKTRACE)
    report = _probe(machine, console).ask(ssh_answers=True)
    assert machine.asked == ["w", "l"]
    assert report.line == "SSH: answered, sysrq w: answered, sysrq l: answered"
    assert report.frame is not None
    assert (report.frame.module, report.frame.function) == ("spin", "spin_forever")
    assert "spin_forever+0x7/0x10" in str(report)
    assert "boot" not in str(report)
    assert report.nmi_from is None


def test_held_locks_are_asked_for_where_lockdep_is_built_in() -> None:
    console = FakeConsole()
    machine = _Machine(console, w="[    1.000000] a\n", l="[    2.000000] b\n", d="[    3.000000] c\n")
    _probe(machine, console, has_lockdep=True).ask(ssh_answers=True)
    assert machine.asked == ["w", "l", "d"]


def test_a_silent_guest_whose_kernel_answers_gets_no_interrupt_that_would_end_it() -> None:
    console = FakeConsole()
    machine = _Machine(console, w="[    1.000000] a\n", l=_BACKTRACE, t="[    3.000000] c\n")
    report = _probe(machine, console).ask(ssh_answers=False, ssh_evidence="timed out")
    assert machine.asked == ["w", "l", "t"]
    assert report.kernel_answers
    assert "RIP=ffffffffc0000007" in str(report)
    assert "RAX" not in str(report)


def test_a_kernel_that_answers_no_key_is_interrupted_and_its_last_words_are_known_as_such() -> None:
    console = FakeConsole("[    1.000000] before\n")
    machine = _Machine(console, nmi=_PANIC)
    report = _probe(machine, console).ask(ssh_answers=False)
    # It would not answer the other keys either.
    assert machine.asked == ["w", "nmi"]
    assert report.kernel_answers
    assert report.nmi_from == len("[    1.000000] before\n")


def test_where_an_interrupt_is_not_known_to_tell_anything_none_is_sent() -> None:
    machine = _Machine(console := FakeConsole(), nmi=_PANIC)
    report = _probe(machine, console, nmi_panics=False).ask(ssh_answers=False)
    assert machine.asked == ["w"]
    assert not report.kernel_answers


def test_what_qemu_says_is_no_answer_of_the_kernel() -> None:
    machine = _Machine(console := FakeConsole())
    report = _probe(machine, console).ask(ssh_answers=False)
    assert not report.kernel_answers
    assert "registers" not in report.line
    assert report.registers == "CPU#0\nRIP=ffffffffc0000007 RFL=00000046"


def test_a_machine_that_is_gone_is_told_and_not_raised() -> None:
    machine = _Machine(console := FakeConsole(), w="gone", nmi="gone")
    report = _probe(machine, console).ask(ssh_answers=False)
    assert not report.kernel_answers
    assert "QEMU's monitor is gone" in str(report)


@pytest.mark.parametrize("ssh_answers", [True, False])
def test_the_memory_is_dumped_when_it_is_wanted_and_before_the_interrupt(ssh_answers: bool, tmp_path: Path) -> None:
    machine = _Machine(console := FakeConsole(), nmi=_PANIC)
    report = _probe(machine, console, dump_to=lambda: tmp_path / "dump").ask(ssh_answers=ssh_answers)
    assert machine.asked == (["w", "dump"] if ssh_answers else ["w", "dump", "nmi"])
    assert report.dump == tmp_path / "dump"
    assert str(tmp_path / "dump") in str(report)


def test_a_dump_that_fails_is_said_and_stops_nothing(tmp_path: Path) -> None:
    machine = _Machine(console := FakeConsole(), full="", nmi=_PANIC)
    report = _probe(machine, console, dump_to=lambda: tmp_path / "dump").ask(ssh_answers=False)
    assert report.dump is None
    assert "its memory was not dumped: no space left" in str(report)
    assert machine.asked[-1] == "nmi"


def test_long_answers_are_cut_and_the_rest_is_on_the_console() -> None:
    console = FakeConsole()
    machine = _Machine(console, w="".join(f"[    1.{n:06d}] task {n}\n" for n in range(500)), l="[    2.000000] x\n")
    assert "440 more lines in the console's file" in str(_probe(machine, console).ask(ssh_answers=True))
