# SPDX-License-Identifier: MIT
"""A fork passes only when its state equals the frozen one, and its clock and random pool are correct."""

from __future__ import annotations

import re

import pytest

from unit import fakes
from vmlab.errors import MachineLost
from vmlab.guest.fork_check import ForkUnproved, Mark, make_mark, prove_fork
from vmlab.guest.transport import CommandTooSlow, Completed

NOW = 1_795_519_150.0
MARK = Mark(
    nonce="abc", boot_id="boot-1", machine_id="machine-1", mac="52:54:00:76:6d:6c", uptime_s=20.0, log_position=300
)
GOOD = {
    "nonce": "abc",
    "boot_id": "boot-1",
    "machine_id": "machine-1",
    "mac": "52:54:00:76:6d:6c",
    "uptime": "20.4",
    "time": f"{NOW + 0.1:.9f}",
}
RESEEDED = "5,301,20100000,-;random: crng reseeded due to virtual machine fork\n"


class _Fork(fakes.FakeTransport):
    """A fork's root shell."""

    def __init__(self, seen: dict[str, str], *, log: str = "", fed: str = "fed\n", status: int = 0) -> None:
        super().__init__()
        self.seen = seen
        self.log = log
        self.fed = fed
        self.status = status

    def run(self, command: str, *, timeout_s: float) -> Completed:
        self.commands.append(command)
        if self.is_dead:
            return super().run(command, timeout_s=timeout_s)
        if command.startswith("perl"):
            return fakes.completed(command, status=self.status, stdout=self.fed)
        if "/dev/kmsg" in command:
            return fakes.completed(command, stdout=f"0\n{self.log}")
        return fakes.completed(command, stdout="".join(f"{name} {value}\n" for name, value in self.seen.items()))

    @property
    def seeds(self) -> list[str]:
        return [match[1] for command in self.commands if (match := re.search(r"^perl.* ([0-9a-f]{128})$", command))]


def _prove(fork: _Fork, *, clock: tuple[float, float] = (NOW, NOW + 0.2)) -> None:
    guest = fakes.guest(fork, log_position=MARK.log_position)
    times = iter(clock)
    prove_fork(guest, MARK, now=lambda: next(times))


def test_a_fork_that_is_right_passes_and_is_fed() -> None:
    fork = _Fork(GOOD)
    _prove(fork)
    assert len(fork.seeds) == 1
    assert any(f"date -s @{NOW:.3f}" in command for command in fork.commands)


def test_a_fork_that_its_helper_fed_is_asked_nothing_more() -> None:
    fork = _Fork(GOOD | {"seed": "fed"})

    _prove(fork)

    assert len(fork.commands) == 1
    assert re.search(rf"prove {NOW:.6f} [0-9a-f]{{128}}'", fork.commands[0])


def test_every_fork_is_fed_something_else() -> None:
    forks = [_Fork(GOOD), _Fork(GOOD)]
    for fork in forks:
        _prove(fork)
    assert forks[0].seeds != forks[1].seeds


def test_a_kernel_that_reseeded_by_itself_is_not_fed() -> None:
    fork = _Fork(GOOD, log=RESEEDED)
    _prove(fork)
    assert fork.seeds == []


def test_what_a_kernel_said_before_the_freeze_does_not_count() -> None:
    fork = _Fork(GOOD, log=RESEEDED.replace("301", "299"))
    _prove(fork)
    assert len(fork.seeds) == 1


@pytest.mark.parametrize("name", ["nonce", "boot_id", "machine_id", "mac"])
def test_a_fork_of_another_guest_is_refused(name: str) -> None:
    with pytest.raises(ForkUnproved, match=f"a fork's {name} is 'other', expected"):
        _prove(_Fork(GOOD | {name: "other"}))


@pytest.mark.parametrize("uptime", ["19.9", "0.4", "10000"])
def test_a_monotonic_clock_that_jumped_is_refused(uptime: str) -> None:
    with pytest.raises(ForkUnproved, match="from the one before the freeze"):
        _prove(_Fork(GOOD | {"uptime": uptime}))


@pytest.mark.parametrize("off_s", [-3600, -3, 3, 3600])
def test_a_clock_that_could_not_be_set_is_refused(off_s: float) -> None:
    with pytest.raises(ForkUnproved, match="from the host's"):
        _prove(_Fork(GOOD | {"time": str(NOW + off_s)}))


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_hosts_clock_that_was_stepped_meanwhile_is_no_pass(step_s: float) -> None:
    with pytest.raises(ForkUnproved, match="the host's clock was stepped"):
        _prove(_Fork(GOOD), clock=(NOW, NOW + 0.2 + step_s))


@pytest.mark.parametrize("missing", list(GOOD))
def test_an_answer_that_lacks_something_is_refused(missing: str) -> None:
    seen = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(ForkUnproved, match="cannot parse"):
        _prove(_Fork(seen))


@pytest.mark.parametrize("name", ["uptime", "time"])
def test_a_figure_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ForkUnproved, match="cannot parse"):
        _prove(_Fork(GOOD | {name: "soon"}))


@pytest.mark.parametrize(("fed", "status"), [("", 0), ("fed\n", 2), ("fed?\n", 0)])
def test_a_pool_that_could_not_be_reseeded_is_refused(fed: str, status: int) -> None:
    with pytest.raises(ForkUnproved, match="cannot reseed a fork's random pool"):
        _prove(_Fork(GOOD, fed=fed, status=status))


def test_a_fork_that_does_not_answer_is_lost() -> None:
    fork = _Fork(GOOD)
    fork.is_dead = True
    with pytest.raises(MachineLost):
        _prove(fork)


def test_a_mark_is_what_the_guest_says_of_itself() -> None:
    fork = _Fork(GOOD, log=RESEEDED)
    mark = make_mark(fakes.guest(fork))
    assert (mark.boot_id, mark.uptime_s, mark.log_position) == ("boot-1", 20.4, 301)
    assert any(f"echo {mark.nonce} >" in command for command in fork.commands)


def test_a_mark_is_proved_by_the_guest_it_was_made_in_and_by_no_earlier_one() -> None:
    fork = _Fork(dict(GOOD), log=RESEEDED)
    marks = []
    for _ in range(2):
        marks.append(make_mark(fakes.guest(fork)))
        written = re.search(r"echo (\w+) >", next(c for c in reversed(fork.commands) if c.startswith("echo ")))
        assert written is not None
        fork.seen["nonce"] = written[1]
    clock = iter([NOW, NOW + 0.2, NOW, NOW + 0.2])
    prove_fork(fakes.guest(fork), marks[1], now=lambda: next(clock))
    with pytest.raises(ForkUnproved, match="a fork's nonce is"):
        prove_fork(fakes.guest(fork), marks[0], now=lambda: next(clock))


@pytest.mark.parametrize("name", ["nonce", "boot_id", "machine_id", "mac"])
def test_a_fork_that_says_nothing_of_itself_is_refused_before_it_is_fed(name: str) -> None:
    fork = _Fork(GOOD | {name: ""})
    with pytest.raises(ForkUnproved, match=f"a fork's {name} is '', expected"):
        _prove(fork)
    assert fork.seeds == []


@pytest.mark.parametrize("uptime", ["20.0", "619.0"])
def test_a_monotonic_clock_may_go_on_for_minutes(uptime: str) -> None:
    _prove(_Fork(GOOD | {"uptime": uptime}))


@pytest.mark.parametrize("name", ["uptime", "time"])
@pytest.mark.parametrize("figure", ["nan", "inf"])
def test_a_figure_that_compares_with_nothing_is_no_pass(name: str, figure: str) -> None:
    with pytest.raises(ForkUnproved):
        _prove(_Fork(GOOD | {name: figure}))


def test_the_evidence_is_what_the_guest_said() -> None:
    with pytest.raises(ForkUnproved) as answered:
        _prove(_Fork({"boot_id": "boot-1"}))
    assert answered.value.detail == "boot_id boot-1\n"
    with pytest.raises(ForkUnproved) as fed:
        _prove(_Fork(GOOD, fed="reseed: not permitted", status=2))
    assert "reseed: not permitted" in fed.value.detail


class _SlowFork(_Fork):
    """A fork that answers an echo, and is too slow for commands that contain `word`."""

    def __init__(self, word: str) -> None:
        super().__init__(GOOD)
        self.word = word

    def run(self, command: str, *, timeout_s: float) -> Completed:
        if self.word in command:
            raise CommandTooSlow
        if command.startswith("echo "):
            return fakes.completed(command, stdout=command.removeprefix("echo ") + "\n")
        return super().run(command, timeout_s=timeout_s)


def test_a_pool_that_takes_too_long_to_reseed_is_refused() -> None:
    with pytest.raises(ForkUnproved, match="cannot reseed a fork's random pool"):
        _prove(_SlowFork("perl"))


@pytest.mark.parametrize("word", ["date -s", "/dev/kmsg"], ids=["look", "log"])
def test_a_look_that_takes_too_long_is_no_result(word: str) -> None:
    with pytest.raises(ForkUnproved):
        _prove(_SlowFork(word))


def test_a_log_that_is_not_to_be_understood_is_refused() -> None:
    fork = _Fork(GOOD)
    answer = fork.run

    def run(command: str, *, timeout_s: float) -> Completed:
        done = answer(command, timeout_s=timeout_s)
        return fakes.completed(command) if "/dev/kmsg" in command else done

    fork.run = run  # type: ignore[method-assign]
    with pytest.raises(ForkUnproved):
        _prove(fork)
