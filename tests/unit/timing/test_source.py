# SPDX-License-Identifier: MIT
"""Available timing sources, their order, and the proof that a source counts."""

from __future__ import annotations

import pytest

from unit.timing.fake_program import FakeProgram
from vmlab.catalogue.target import Architecture, Boot
from vmlab.errors import UsageError
from vmlab.host.accelerator import Accelerator
from vmlab.timing.series import TimingSource
from vmlab.timing.source import Proof, boot_for, order, parse_sources, prove, why_not
from vmlab.timing.stopwatch import Stopwatch


def _prove(program: FakeProgram, source: TimingSource) -> Proof:
    return prove(Stopwatch(guest=program, program="/tmp/stopwatch", source=source))


@pytest.mark.parametrize("source", list(TimingSource))
def test_what_counts_every_instruction_is_proved_and_says_what_it_counted(source: TimingSource) -> None:
    proof = _prove(FakeProgram(), source)
    assert proof.is_had
    assert "loop" in proof.fact


@pytest.mark.parametrize("source", [TimingSource.PMU, TimingSource.EMULATED_PMU])
def test_the_words_of_processor_and_kernel_stand_beside_the_proof(source: TimingSource) -> None:
    fact = _prove(FakeProgram(), source).fact
    assert "CPUID a: eax=8300805 ebx=0 ecx=f edx=8604" in fact
    assert "its kernel log: [    0.4] Performance Events: AMD PMU driver." in fact
    assert "its kernel log does not mention a PMU" in _prove(FakeProgram(said=""), source).fact


@pytest.mark.parametrize(
    ("program", "source", "fact"),
    [
        (FakeProgram(user=0), TimingSource.PMU, "its instruction counter counts nothing: 0 for a loop of 400000"),
        (FakeProgram(kernel=0), TimingSource.PMU, "its instruction counter counts user space only"),
        (FakeProgram(user=1.05), TimingSource.PMU, "its instruction counter counted 420000 for a loop of 400000"),
        (FakeProgram(user=1.002), TimingSource.EMULATED_PMU, "its instruction counter counted 400800 for a loop"),
        (FakeProgram(user=1.002), TimingSource.ICOUNT, "its time stamp counter counted 400800 for a loop"),
        (FakeProgram(user=2.4), TimingSource.ICOUNT, "its time stamp counter counted 960000 for a loop"),
        (FakeProgram(user=0), TimingSource.CLOCK, "its clock measured 0 ns for a loop"),
        (
            FakeProgram(
                status=4, stdout="", stderr="counter: perf_event_open of instructions:u: errno 2: No such file"
            ),
            TimingSource.PMU,
            "perf_event_open of instructions:u: errno 2",
        ),
        (
            FakeProgram(status=4, stdout="", stderr="counter: it counted for 5 of 10 ns only: multiplexed"),
            TimingSource.EMULATED_PMU,
            "it counted for 5 of 10 ns only: multiplexed",
        ),
    ],
)
def test_what_does_not_count_is_refused_with_the_fact(program: FakeProgram, source: TimingSource, fact: str) -> None:
    proof = _prove(program, source)
    assert not proof.is_had
    assert proof.fact.startswith(fact)
    assert str(proof).startswith(f"{source}: ")


class _InStepAtFirst(FakeProgram):
    """A program whose first measurement has a timer tick in every batch."""

    def _count(self, words: list[str]) -> str:
        self.user = 1.002 if len(self.commands) == 1 else 1.0
        return super()._count(words)


def test_a_tick_in_step_with_the_batches_is_no_refusal_and_two_attempts_are_all() -> None:
    assert _prove(_InStepAtFirst(), TimingSource.ICOUNT).is_had
    wrong = FakeProgram(user=1.002)
    assert not _prove(wrong, TimingSource.ICOUNT).is_had
    assert len(wrong.commands) == 4


def _why_not(source: TimingSource, architecture: Architecture, host: Accelerator) -> str:
    return why_not(source, architecture, host, Boot.STOCK)


def test_a_source_is_out_of_the_question_by_machine_or_may_be_had() -> None:
    amd64, (kvm, tcg) = Architecture.AMD64, (Accelerator.KVM, Accelerator.TCG)
    assert "guests run under TCG" in _why_not(TimingSource.PMU, amd64, tcg)
    assert _why_not(TimingSource.PMU, amd64, kvm) == ""
    assert "for arm64 only" in _why_not(TimingSource.EMULATED_PMU, amd64, kvm)
    # The exact source needs TCG, which every host has, including hosts with KVM.
    assert [_why_not(TimingSource.ICOUNT, amd64, how) for how in (kvm, tcg)] == ["", ""]
    assert _why_not(TimingSource.CLOCK, amd64, tcg) == ""


def test_how_a_target_is_started_decides_what_its_figures_would_mean() -> None:
    amd64, tcg = Architecture.AMD64, Accelerator.TCG
    assert why_not(TimingSource.CLOCK, amd64, tcg, Boot.STRICT) == ""
    assert why_not(TimingSource.ICOUNT, amd64, tcg, Boot.ICOUNT) == ""
    assert "exact sources do not support +strict" in why_not(TimingSource.ICOUNT, amd64, tcg, Boot.STRICT)
    # Under -icount the clock is the count: 18,686 ns would be instructions, reported as time.
    assert "not time" in why_not(TimingSource.CLOCK, amd64, tcg, Boot.ICOUNT)


def test_the_best_comes_first_and_what_is_demanded_alone() -> None:
    pmu, emulated, icount, clock = TimingSource
    assert order(None, ()) == (pmu, emulated, icount, clock)
    assert order(None, (clock, pmu)) == (pmu, clock)
    assert order(icount, ()) == (icount,)
    assert order(icount, (clock,)) == ()


def test_exact_sources_need_the_virtual_clock_and_the_others_nothing() -> None:
    assert [boot_for(source, Boot.STRICT) for source in TimingSource] == [
        Boot.STRICT,
        Boot.ICOUNT,
        Boot.ICOUNT,
        Boot.STRICT,
    ]


def test_a_marker_names_sources_or_is_refused_with_those_there_are() -> None:
    assert parse_sources(("icount", "emulated-pmu")) == (TimingSource.ICOUNT, TimingSource.EMULATED_PMU)
    with pytest.raises(UsageError, match=r"'icont' is not a valid .*known: pmu, emulated-pmu, icount, clock"):
        parse_sources(("icont",))
