# SPDX-License-Identifier: MIT
"""Verdict on the splats that occurred during a test. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from vmlab.klog.findings import Findings
from vmlab.klog.rules import Rules
from vmlab.klog.splat import Splat, whole
from vmlab.klog.taint import names_of, unexpected

_BITS_OF = {
    "WARNING": ("warning",),
    "refcount": ("warning",),
    "ODEBUG": ("warning",),
    "lockdep": ("warning",),
    "list corruption": ("warning", "oops"),
    "slab corruption": ("bad page", "warning"),
    "bad page": ("bad page",),
    "scheduling while atomic": ("warning",),
    "sleeping in atomic": ("warning",),
    "soft lockup": ("soft lockup",),
    "hung task": (),
    "leaked reference": (),
    "RCU stall": (),
    "KASAN": ("bad page",),
    "KFENCE": ("bad page",),
    "KCSAN": (),
    "UBSAN": (),
    "kmemleak": (),
    "bad init": (),
    "duplicate name": (),
}
"""Taint bits that each kind of splat sets (add_taint() in kernel/panic.c and its callers)."""
_BITS_OF_OOPS = ("oops", "warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Splats and taints of a test, sorted by their effect on its result."""

    trouble: tuple[Splat, ...]
    """Unexpected splats: the test fails."""
    expected: tuple[Splat, ...] = ()
    """Splats that the test expects."""
    allowed: tuple[tuple[Splat, str], ...] = ()
    """Splats that an entry of the allow list covers, with the entry."""
    missing: tuple[str, ...] = ()
    """Expected splats and taints that did not occur: the test fails."""
    taints: tuple[str, ...] = ()
    """Unexpected taint bits: the test fails."""
    meant_taints: tuple[str, ...] = ()
    """New taint bits that the test expects."""
    expired: tuple[str, ...] = ()
    """Expired entries of the allow list that match `trouble`."""

    @property
    def is_quiet(self) -> bool:
        """True if the kernel gives no reason to fail the test."""
        return not (self.trouble or self.missing or self.taints)

    @property
    def reason(self) -> str:
        """Reason for the test to fail, in one line; empty when there is none."""
        if self.trouble:
            more = f" (and {len(self.trouble) - 1} more)" if len(self.trouble) > 1 else ""
            return f"kernel: {self.trouble[0].title}{more}"
        if self.missing:
            return f"expected kernel report {self.missing[0]!r} is missing"
        return f"the kernel is tainted: {', '.join(self.taints)}" if self.taints else ""


def judge(
    findings: Findings,
    *,
    expected: Sequence[str],
    rules: Rules,
    release: str,
    today: datetime.date,
    expected_taints: Sequence[str] = (),
) -> Judgement:
    """Sort the findings. `expected` are a test's `expect_splat` markers, each a kind or part of a title: it must match
    at least one splat, and covers all that it matches. `expected_taints` are its `expect_taint` markers, names as in
    `names_of`: all must be set at the end, if the kernel log could be read."""
    seen = [each for splat in findings.splats for each in whole(splat)]
    trouble: list[Splat] = []
    met: list[Splat] = []
    allowed: list[tuple[Splat, str]] = []
    expired: list[str] = []
    for splat in findings.splats:
        # A consequence needs its own entry or marker: an expected WARNING does not allow a panic.
        covering = [
            [entry for entry in rules.allow if entry.covers(each.kind, _text_of(each), release)]
            for each in whole(splat)
        ]
        entries = list(dict.fromkeys(entry for some in covering for entry in some))
        valid = [entry for entry in entries if not entry.is_expired(today)]
        if all(any(is_meant(each, word) for word in expected) for each in whole(splat)):
            met.append(splat)
        elif all(any(entry in valid for entry in some) for some in covering):
            allowed.append((splat, str(valid[0])))
        else:
            trouble.append(splat)
            expired += [f"{entry}: expired on {entry.expires}" for entry in entries]
    explained = {
        bit for splat in (*met, *(splat for splat, _ in allowed)) for each in whole(splat) for bit in _bits_of(each)
    }
    taints = [bit for bit in unexpected(findings.taint_before, findings.taint_after) if bit not in explained]
    has_now = names_of(findings.taint_after) if findings.lost is None else expected_taints
    unmet = [f"taint: {word}" for word in expected_taints if word not in has_now]
    return Judgement(
        trouble=tuple(trouble),
        expected=tuple(met),
        allowed=tuple(allowed),
        missing=(*(word for word in expected if not any(is_meant(each, word) for each in seen)), *unmet),
        # With a splat the test already has a reason to fail.
        taints=() if trouble else tuple(bit for bit in taints if bit not in expected_taints),
        meant_taints=tuple(bit for bit in taints if bit in expected_taints),
        expired=tuple(expired),
    )


def is_meant(splat: Splat, word: str) -> bool:
    """True if a marker's word, a kind or a part of the title, matches a splat."""
    return word == splat.kind or word in splat.title


def source_of(splats: Sequence[Splat]) -> str:
    """Innermost line in the module's files of the first splat, `read.c:42`; empty when none is resolved. Lines in the
    kernel's headers do not count, whether inlined or in separate frames."""
    frames = splats[0].frames if splats else ()
    known = [frame for frame in frames if frame.own_source]
    certain = [frame for frame in known if not frame.is_guess]
    return (certain or known)[0].own_source if known else ""


def taint_line(findings: Findings) -> str:
    """Names of the taint bits after a test, for its report; unknown if the kernel log could not be read."""
    if findings.lost is not None:
        return f"unknown: {findings.lost.message}"
    return ", ".join(names_of(findings.taint_after)) or "none"


def _bits_of(splat: Splat) -> tuple[str, ...]:
    return _BITS_OF.get(splat.kind, _BITS_OF_OOPS)


def _text_of(splat: Splat) -> str:
    return "\n".join(record.text for record in splat.records)
