# SPDX-License-Identifier: MIT
"""Meaning of a kernel report for its test: trouble, expected, known, or outdated."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest

from unit.fakes import FakeTransport, guest
from vmlab.errors import EmulatorFault, KernelTrouble, MachineLost, UsageError
from vmlab.guest.trouble import as_error
from vmlab.klog.call_trace import Frame, Line
from vmlab.klog.findings import Findings, Witness
from vmlab.klog.log import LogRecord
from vmlab.klog.rules import Rules, known_rules, known_splats_file, load_rules
from vmlab.klog.splat import Splat
from vmlab.klog.verdict import Judgement, judge, taint_line

_TODAY = datetime.date(2026, 11, 24)
_WARNING = "WARNING: CPU: 0 PID: 94 at mm/slub.c:42 fib_read+0x1b/0x40 [fibdrv]"
_ENTRY = """\
[[allow]]
kind = "WARNING"
text = "fib_read"
reason = "it warns, and that is all"
link = "https://example.org/1"
expires = 2027-01-01
"""


def _splat(kind: str = "WARNING", title: str = _WARNING) -> Splat:
    return Splat(kind=kind, title=title, records=(LogRecord(sequence=1, level=4, time_s=1, text=title),))


def _findings(*splats: Splat, before: int = 0, after: int = 0) -> Findings:
    return Findings(splats=splats, records=(), taint_before=before, taint_after=after, witness=Witness.LOG)


def _judge(
    *splats: Splat,
    expected: tuple[str, ...] = (),
    rules: Rules | None = None,
    release: str = "6.1.0-56",
    after: int = 0,
    taints: tuple[str, ...] = (),
) -> Judgement:
    return judge(
        _findings(*splats, after=after),
        expected=expected,
        rules=rules or known_rules(),
        release=release,
        today=_TODAY,
        expected_taints=taints,
    )


def _rules(tmp_path: Path, text: str) -> Rules:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_rules(known_splats_file(), path)


def test_a_quiet_kernel_lets_its_test_pass() -> None:
    judgement = _judge()
    assert judgement.is_quiet
    assert judgement.reason == ""


def test_a_report_is_trouble_and_its_title_the_reason() -> None:
    judgement = _judge(_splat(), _splat("oops", "Oops: 0002 [#1]"))
    assert not judgement.is_quiet
    assert judgement.reason == f"kernel: {_WARNING} (and 1 more)"


@pytest.mark.parametrize("word", ["WARNING", "slub.c:42"])
def test_what_the_test_said_it_would_provoke_is_fine(word: str) -> None:
    judgement = _judge(_splat(), expected=(word,), after=1 << 9)
    assert judgement.is_quiet
    assert len(judgement.expected) == 1


def test_what_the_test_said_it_would_provoke_must_come() -> None:
    judgement = _judge(expected=("WARNING",))
    assert judgement.reason == "expected kernel report 'WARNING' is missing"


def test_an_expected_report_covers_no_other() -> None:
    judgement = _judge(_splat(), _splat("oops", "Oops: 0002 [#1]"), expected=("WARNING",))
    assert [splat.kind for splat in judgement.trouble] == ["oops"]


@pytest.mark.parametrize(
    ("taint", "words"),
    [(1 << 12 | 1 << 13, ()), (1 << 9, ("warning",)), (1 << 7 | 1 << 12, ("oops",)), (1 << 1, ("forced module",))],
)
def test_a_taint_that_nothing_explains_fails_the_test(taint: int, words: tuple[str, ...]) -> None:
    judgement = _judge(after=taint)
    assert judgement.taints == words
    assert judgement.is_quiet is not bool(words)


def test_an_expected_warning_explains_no_oops() -> None:
    assert _judge(_splat(), expected=("WARNING",), after=1 << 9 | 1 << 7).taints == ("oops",)


def test_a_known_report_is_allowed_and_explains_its_taint(tmp_path: Path) -> None:
    judgement = _judge(_splat(), rules=_rules(tmp_path, _ENTRY), after=1 << 9)
    assert judgement.is_quiet
    ((_, entry),) = judgement.allowed
    assert "it warns, and that is all (https://example.org/1)" in entry


@pytest.mark.parametrize(
    ("limits", "release", "is_allowed"),
    [
        ('since = "6.1"', "6.1.0-56-cloud-amd64", True),
        ('since = "6.12"', "6.1.0-56-cloud-amd64", False),
        ('since = "6.2"', "6.12.117+deb13-cloud-amd64", True),
        ('until = "6.1"', "6.1.0-56-cloud-amd64", True),
        ('until = "5.10"', "6.1.0-56-cloud-amd64", False),
        ('until = "6.2"', "6.12.117", False),
    ],
)
def test_an_entry_holds_for_its_kernels_only(tmp_path: Path, limits: str, release: str, is_allowed: bool) -> None:
    assert _judge(_splat(), rules=_rules(tmp_path, _ENTRY + limits), release=release).is_quiet is is_allowed


def test_an_entry_holds_for_its_kind_and_text_only(tmp_path: Path) -> None:
    rules = _rules(tmp_path, _ENTRY)
    assert not _judge(_splat("oops"), rules=rules).is_quiet
    assert not _judge(_splat(title="WARNING: CPU: 0 PID: 1 at a.c:1 other+0x1/0x2"), rules=rules).is_quiet


def test_an_entry_that_has_expired_allows_nothing_and_is_named(tmp_path: Path) -> None:
    rules = _rules(tmp_path, _ENTRY.replace("2027-01-01", "2026-11-24"))
    judgement = _judge(_splat(), rules=rules)
    assert not judgement.is_quiet
    assert "mine.toml" in judgement.expired[0]
    assert "expired on 2026-11-24" in judgement.expired[0]
    assert rules.expired(_TODAY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_ENTRY.replace('reason = "it warns, and that is all"', 'reason = " "'), "reason is empty"),
        (_ENTRY.replace('link = "https://example.org/1"', ""), "link"),
        (_ENTRY.replace("expires = 2027-01-01", 'expires = "soon"'), "expected date"),
        (_ENTRY + 'since = "six"', "'six' is not a kernel line"),
        (_ENTRY.replace('"WARNING"', '"WARNNING"'), "did you mean 'WARNING'"),
        (_ENTRY + 'since = "6.12"\nuntil = "5.10"', "since '6.12' is after until '5.10'"),
        ('[[deny]]\nkind = "x"\n', "needs either starts or contains"),
        ('[[deny]]\nkind = "x"\nstarts = "x"\npattern = "("\n', "is not a regular expression"),
        ('[[deny]]\nkind = "x"\nstart = "x"\n', "unknown key"),
        ('[[deny]]\nkind = "x"\nstarts = "x"\nonce = true\n', "once needs a pattern"),
        ('[[deny]]\nkind = "x"\nstarts = "x"\nmessage = true\ntrouble = false\n', "would hide a report"),
        ('[[deny]]\nkind = "x"\nstarts = "x"\nfollows = ["WARNNING"]\n', "did you mean 'WARNING'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_a_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _rules(tmp_path, text)
    assert words in caught.value.one_line
    assert "mine.toml" in caught.value.one_line


def test_rules_that_deny_nothing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(_ENTRY)
    with pytest.raises(UsageError, match=r"no \[\[deny\]\] rule"):
        load_rules(path)


def test_a_users_own_rule_comes_after_vmlabs(tmp_path: Path) -> None:
    rules = _rules(tmp_path, '[[deny]]\nkind = "fibdrv says no"\nstarts = "fibdrv: refused"\n')
    assert rules.deny[-1].kind == "fibdrv says no"


def test_none_of_vmlabs_own_entries_has_expired() -> None:
    assert known_rules().expired(datetime.date.today()) == ()


def test_a_taint_that_its_test_announced_is_fine_and_remembered() -> None:
    judgement = _judge(after=1 << 1, taints=("forced module",))
    assert judgement.is_quiet
    assert judgement.meant_taints == ("forced module",)


def test_an_announced_taint_covers_no_other() -> None:
    assert _judge(after=1 << 1 | 1 << 0, taints=("forced module",)).taints == ("proprietary module",)


def test_an_announced_taint_must_come() -> None:
    judgement = _judge(taints=("forced module",))
    assert not judgement.is_quiet
    assert judgement.reason == "expected kernel report 'taint: forced module' is missing"


def test_a_kernel_that_cannot_be_asked_is_not_said_to_lack_an_announced_taint() -> None:
    findings = dataclasses.replace(_findings(), lost=MachineLost("it is gone"))
    judgement = judge(
        findings,
        expected=(),
        rules=known_rules(),
        release="6.1.0-56",
        today=_TODAY,
        expected_taints=("forced module",),
    )
    assert judgement.missing == ()


def test_the_taint_is_unknown_if_the_log_could_not_be_read() -> None:
    lost = MachineLost("the guest hangs")

    assert taint_line(dataclasses.replace(_findings(), lost=lost)) == "unknown: the guest hangs"
    assert taint_line(_findings()) == "none"


def test_the_error_of_a_report_begins_with_the_modules_line() -> None:
    frame = Frame(
        function="fib_read", offset=27, size=64, module="fibdrv", lines=(Line(file="fib.c", line=42, is_own=True),)
    )
    splat = dataclasses.replace(_splat("null pointer", "BUG: kernel NULL pointer dereference"), frames=(frame,))

    error = as_error("kernel: BUG: kernel NULL pointer dereference", [splat])

    assert str(error).splitlines()[0] == "kernel: BUG: kernel NULL pointer dereference at fib.c:42"
    assert isinstance(error, KernelTrouble)
    assert error.source == "fib.c:42"


def test_the_error_of_a_report_does_not_name_its_line_twice() -> None:
    frame = Frame(
        function="fib_read", offset=27, size=64, module="fibdrv", lines=(Line(file="fib.c", line=42, is_own=True),)
    )
    splat = dataclasses.replace(_splat(), frames=(frame,))

    assert as_error("kernel: WARNING at fib.c:42", [splat]).message == "kernel: WARNING at fib.c:42"


def test_what_failed_over_a_report_is_told_without_its_console() -> None:
    lost = MachineLost("the guest was lost", detail="registers\n--- console, last lines ---\nBUG: the report again")

    told = str(as_error("kernel: BUG", [_splat()], lost))

    assert "and then: the guest was lost\nregisters" in told
    assert "the report again" not in told


_SPURIOUS = """\
Oops: int3: 0000 [#1] SMP NOPTI
RIP: 0010:__schedule+0x1be/0x1600
Code: 48 89 c7 66 0f <1f> 44 00 00 48 8b
"""


@pytest.mark.parametrize(("is_emulated", "kind"), [(True, EmulatorFault), (False, KernelTrouble)])
def test_a_breakpoint_that_is_gone_is_held_against_an_emulator_alone(is_emulated: bool, kind: type) -> None:
    records = tuple(LogRecord(sequence=1, level=1, time_s=1, text=line) for line in _SPURIOUS.splitlines())
    splat = dataclasses.replace(_splat("oops", records[0].text), records=records)

    broken = guest(FakeTransport({}), is_emulated=is_emulated)

    error = as_error("kernel: Oops: int3", [splat], guest=broken)

    assert type(error) is kind
