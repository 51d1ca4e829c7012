# SPDX-License-Identifier: MIT
"""What a kernel's reports mean for the test they were made in. Pure."""

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
"""The taint that a kind of report brings by itself (add_taint() in kernel/panic.c and its callers)."""
_BITS_OF_OOPS = ("oops", "warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A test's reports, sorted by what they mean for it."""

    trouble: tuple[Splat, ...]
    """What nobody expected: the test has failed."""
    expected: tuple[Splat, ...] = ()
    """What the test said it would provoke."""
    allowed: tuple[tuple[Splat, str], ...] = ()
    """What an entry of the allow list covers, and the entry."""
    missing: tuple[str, ...] = ()
    """What the test said it would provoke and did not: the test has failed."""
    taints: tuple[str, ...] = ()
    """Taint bits that came up and that nothing explains: the test has failed."""
    meant_taints: tuple[str, ...] = ()
    """Taint bits that came up and that the test said it would bring."""
    expired: tuple[str, ...] = ()
    """Entries of the allow list that would have covered trouble, were they not out of date."""

    @property
    def is_quiet(self) -> bool:
        """Whether the test may pass."""
        return not (self.trouble or self.missing or self.taints)

    @property
    def reason(self) -> str:
        """One line: why it may not; empty when it may."""
        if self.trouble:
            more = f" (and {len(self.trouble) - 1} more)" if len(self.trouble) > 1 else ""
            return f"kernel: {self.trouble[0].title}{more}"
        if self.missing:
            return f"the kernel was to report {self.missing[0]!r} and did not"
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
    """Sort what was found. `expected` are a test's `expect_splat` markers: a kind, or part of a title; each must be
    met by one report at least, and covers all that it fits. `expected_taints` are its `expect_taint` markers, words as
    `names_of` gives them; the kernel must have each in the end, unless it could not be asked any more."""
    seen = [each for splat in findings.splats for each in whole(splat)]
    trouble: list[Splat] = []
    met: list[Splat] = []
    allowed: list[tuple[Splat, str]] = []
    expired: list[str] = []
    for splat in findings.splats:
        # What follows from a report is not covered by what covers the report: an expected WARNING allows no panic.
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
        # What is trouble already needs no second reason.
        taints=() if trouble else tuple(bit for bit in taints if bit not in expected_taints),
        meant_taints=tuple(bit for bit in taints if bit in expected_taints),
        expired=tuple(expired),
    )


def is_meant(splat: Splat, word: str) -> bool:
    """Whether a marker's word, a kind or a part of the title, speaks of a report."""
    return word == splat.kind or word in splat.title


def source_of(splats: Sequence[Splat]) -> str:
    """`read.c:42`, the innermost line in the module's own files that the first report leads to; empty when none is
    resolved. A line in the kernel's headers that is inlined there, or is a frame of its own, is not the module's."""
    frames = splats[0].frames if splats else ()
    known = [frame for frame in frames if frame.own_source]
    certain = [frame for frame in known if not frame.is_guess]
    return (certain or known)[0].own_source if known else ""


def taint_line(findings: Findings) -> str:
    """The taint after a test in words, for its report."""
    return ", ".join(names_of(findings.taint_after)) or "none"


def _bits_of(splat: Splat) -> tuple[str, ...]:
    return _BITS_OF.get(splat.kind, _BITS_OF_OOPS)


def _text_of(splat: Splat) -> str:
    return "\n".join(record.text for record in splat.records)
