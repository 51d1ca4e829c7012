# SPDX-License-Identifier: MIT
"""The device's numbers and errors, compared with Python's integers and fibdrv's contract."""

from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st

from vmlab.guest.guest import Guest

from .edges import BY_ROOT, BY_USER, END, wrong_edges
from .oracle import by_addition, differences, fibonacci, first_of, spread
from .probe import DEVICE, Probe
from .properties import require_for_all

FORMATS = ("decimal", "hex", "binary")
LAST = END - 1

# --- comparison with Python's integers


@pytest.mark.usefixtures("loaded_module")
def test_every_number_to_f1000_by_reading_on(shared_guest: Guest) -> None:
    given = dict(enumerate(shared_guest.succeed(f"head -n 1001 {DEVICE}").splitlines()))
    wrong = differences(given, "decimal", dict(enumerate(by_addition(1000))))
    assert not wrong, first_of(wrong)
    assert len(given) == 1001


def test_every_number_to_f1000_by_pread(probe: Probe) -> None:
    wrong = differences(probe.read_range(0, 1000), "decimal", dict(enumerate(by_addition(1000))))
    assert not wrong, first_of(wrong)


def test_read_is_exact_past_f92_where_64_bits_end(probe: Probe) -> None:
    # F(92) is the last number that fits in 63 bits, F(93) the last that fits in 64.
    assert probe.read([92, 93, 94, 187]) == {
        92: "7540113804746346429",
        93: "12200160415121876738",
        94: "19740274219868223167",
        187: "538522340430300790495419781092981030533",
    }


@pytest.mark.parametrize("form", FORMATS)
def test_spread_to_f100000_in(probe: Probe, form: str) -> None:
    chosen = spread(100_000, points=40)
    wrong = differences(probe.read(chosen, form), form, {n: fibonacci(n) for n in chosen})
    assert not wrong, first_of(wrong)


def test_random_indices_give_exact_numbers_in_every_format(probe: Probe) -> None:
    _require_exact(probe, last=20_000, count=8, is_random=False)


def _require_exact(probe: Probe, *, last: int, count: int, is_random: bool) -> None:
    def holds(example: tuple[list[int], str]) -> None:
        chosen, form = example
        wrong = differences(probe.read(chosen, form), form, {n: fibonacci(n) for n in chosen})
        assert not wrong, first_of(wrong)

    indices = st.lists(st.integers(0, last), min_size=1, max_size=40, unique=True)
    require_for_all(st.tuples(indices, st.sampled_from(FORMATS)), holds, count=count, is_random=is_random)


# --- identities between the device's own numbers


def test_cassinis_identity_holds_on_the_devices_own_numbers(probe: Probe) -> None:
    def holds(chosen: list[int]) -> None:
        f = probe.numbers(n + step for n in chosen for step in (-1, 0, 1))
        wrong = [n for n in chosen if f[n - 1] * f[n + 1] - f[n] ** 2 != (-1) ** n]
        assert not wrong, f"F(n-1) F(n+1) - F(n)^2 is not (-1)^n for n = {wrong[0]}"

    require_for_all(st.lists(st.integers(1, 50_000), min_size=1, max_size=10, unique=True), holds, count=6)


def test_addition_formula_holds_on_the_devices_own_numbers(probe: Probe) -> None:
    def holds(pairs: list[tuple[int, int]]) -> None:
        f = probe.numbers(index for m, n in pairs for index in (m - 1, m, n, n + 1, m + n))
        wrong = [(m, n) for m, n in pairs if f[m + n] != f[m] * f[n + 1] + f[m - 1] * f[n]]
        assert not wrong, f"F(m+n) is not F(m) F(n+1) + F(m-1) F(n) for (m, n) = {wrong[0]}"

    pairs = st.tuples(st.integers(1, 20_000), st.integers(0, 20_000))
    require_for_all(st.lists(pairs, min_size=1, max_size=10), holds, count=6)


def test_greatest_common_divisor_of_two_numbers_is_the_number_of_the_indices(probe: Probe) -> None:
    def holds(pairs: list[tuple[int, int]]) -> None:
        f = probe.numbers(index for m, n in pairs for index in (m, n, math.gcd(m, n)))
        wrong = [(m, n) for m, n in pairs if math.gcd(f[m], f[n]) != f[math.gcd(m, n)]]
        assert not wrong, f"gcd(F(m), F(n)) is not F(gcd(m, n)) for (m, n) = {wrong[0]}"

    # Multiples of one number; otherwise the divisor is almost always 1.
    pairs = st.builds(lambda g, a, b: (g * a, g * b), st.integers(1, 300), st.integers(1, 30), st.integers(0, 30))
    require_for_all(st.lists(pairs, min_size=1, max_size=10), holds, count=6)


# --- ends of the range, invalid offsets, errors


def test_reading_ends_after_max_n(shared_guest: Guest, unloaded_module: str, probe_path: str) -> None:
    shared_guest.succeed(f"sudo insmod {unloaded_module} max_n=100")
    probe = Probe(shared_guest, probe_path)
    got = probe.sequence(98, 10)
    positions = [n for n, _ in got]
    assert positions == [98, 99, 100, 101], f"reading on from 98, the positions are {positions}"
    assert dict(got) == {
        98: "135301852344706746049",
        99: "218922995834555169026",
        100: "354224848179261915075",
        101: "EOF",
    }
    assert probe.read([100, 101, 10_000]) == {100: "354224848179261915075", 101: "EOF", 10_000: "EOF"}
    assert shared_guest.succeed(f"head -n 200 {DEVICE} | wc -l").strip() == "101"


@pytest.mark.parametrize(
    ("form", "look", "base"),
    [
        pytest.param("hex", "head -n 14", 16, id="hex"),
        pytest.param("binary", "od -An -v -tu1 -N 14 -w1", 10, id="binary"),
    ],
)
def test_format_can_be_chosen_at_load(
    shared_guest: Guest, unloaded_module: str, form: str, look: str, base: int
) -> None:
    # F(0) to F(13) are one byte each in binary.
    text = shared_guest.succeed(f"sudo insmod {unloaded_module} format={form} && {look} {DEVICE}")
    got = [int(word, base) for word in text.split()]
    assert got == by_addition(13), f"with format={form} at load, reading on from 0 gives {got}"


def test_default_range_ends_at_ten_million(probe: Probe) -> None:
    assert probe.read([LAST + 1, LAST + 2]) == {LAST + 1: "EOF", LAST + 2: "EOF"}
    assert probe.sequence(LAST + 1, 1) == [(LAST + 1, "EOF")]


def test_offsets_that_are_no_index_are_refused_or_past_the_end(probe: Probe) -> None:
    assert probe.read([-1, -(2**63), 2**61 - 2, 2**61 - 1, 2**62, 2**63 - 2, 2**63 - 1]) == {
        -1: "EINVAL",
        -(2**63): "EINVAL",
        2**61 - 2: "EOF",
        2**61 - 1: "EOF",
        2**62: "EOF",
        2**63 - 2: "EOF",
        # Even where offset and count together exceed 2^63.
        2**63 - 1: "EOF",
    }


def test_every_edge_case_ends_as_the_contract_says(probe: Probe) -> None:
    wrong = wrong_edges(probe.edges(), BY_USER)
    assert not wrong, "; ".join(wrong)


def test_every_edge_case_ends_as_the_contract_says_for_root(probe: Probe) -> None:
    wrong = wrong_edges(probe.edges(as_root=True), BY_ROOT)
    assert not wrong, "; ".join(wrong)


@pytest.mark.usefixtures("loaded_module")
def test_writing_has_no_effect(shared_guest: Guest) -> None:
    read = "dd bs=64 count=4 status=none <&3"
    shell = f"exec 3<>{DEVICE}; {read}; echo 1000 >&3 && {read}"
    assert shared_guest.succeed(f"sudo bash -c '{shell}'").split() == ["0", "1", "1", "2", "3", "5", "8", "13"]


def test_readv_and_preadv_fill_each_buffer_with_a_record(probe: Probe) -> None:
    # F(7) to F(11) are "13", "21", "34", "55" and "89"; the buffers are 3 bytes each, the last one 8.
    assert probe.vectors(7) == {"readv": ["13", "21", "34"], "preadv": ["13", "21", "34"], "position": ["10"]}


def test_threads_that_share_an_open_file_get_consecutive_whole_numbers(probe: Probe) -> None:
    # From F(2) on all numbers differ.
    threads, reads, start = 4, 250, 2
    got = {thread: [int(text) for text in texts] for thread, texts in probe.threads(threads, reads, start).items()}
    assert sorted(number for numbers in got.values() for number in numbers) == by_addition(1001)[start:]
    assert all(numbers == sorted(numbers) for numbers in got.values()), "a thread was given an earlier number later"


# --- for `nox -s soak`


@pytest.mark.slow
def test_every_number_to_f5000(probe: Probe) -> None:
    expected = dict(enumerate(by_addition(5000)))
    for form in FORMATS:
        wrong = differences(probe.read_range(0, 5000, form), form, expected)
        assert not wrong, first_of(wrong)


@pytest.mark.slow
def test_many_random_indices_give_exact_numbers(probe: Probe) -> None:
    _require_exact(probe, last=100_000, count=100, is_random=True)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_spread_to_f1000000_in(probe: Probe, form: str) -> None:
    # Converting decimal text takes Python quadratic time, so compare modulo a prime.
    chosen = spread(1_000_000, points=20)[-20:]
    if form == "decimal":
        _require_residues(probe, chosen)
    else:
        wrong = differences(probe.read(chosen, form), form, {n: fibonacci(n) for n in chosen})
        assert not wrong, first_of(wrong)


@pytest.mark.slow
def test_last_number_of_the_default_range_leaves_the_right_residues(probe: Probe) -> None:
    _require_residues(probe, [LAST])


def _require_residues(probe: Probe, chosen: list[int]) -> None:
    primes = (2**61 - 1, 10**18 + 9, 998244353)
    for n, text in probe.read(chosen, patience=2).items():
        assert text.isdigit(), f"reading F({n}) gives {text[:40]}"
        for prime in primes:
            left = 0
            for start in range(0, len(text), 1000):
                part = text[start : start + 1000]
                left = (left * pow(10, len(part), prime) + int(part)) % prime
            assert left == fibonacci(n, prime), f"F({n}) modulo {prime} is {left}, not {fibonacci(n, prime)}"
