# SPDX-License-Identifier: MIT
"""Search for the lines of a kernel log that may be a report's title. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from operator import itemgetter

from vmlab.klog.rules import Deny

CUT_HERE = "------------[ cut here ]"
"""Start of the line above many reports."""
_EVIDENCE = ("Call ", "stack backtrace:", " Comm: ", "[#", CUT_HERE)
"""Words of which a log with a call trace contains at least one."""


def find_titles(texts: Sequence[str], whole: str, rules: Sequence[Deny]) -> dict[int, Deny]:
    """Find the title lines, in order, and for each the first rule that matches it.

    One regular expression selects the candidates: a tenth of the cost of matching every rule on every line.
    """
    has_traces = any(word in whole for word in _EVIDENCE)
    able_here = [rule for rule in rules if has_traces or not rule.needs_trace]
    present = [rule for rule in able_here if rule.is_start or rule.literal in whole]
    inside = [rule for rule in present if not rule.is_start]
    literals = {rule.literal: None for rule in present if rule.is_start}
    # Drop literals that another literal is a prefix of: fewer alternatives are faster.
    starts = [text for text in literals if not any(text[:size] in literals for size in range(1, len(text)))]
    begins = re.compile("|".join(map(re.escape, starts)) or r"(?!)").match
    able = {
        start: [rule for rule in present if not rule.is_start or rule.literal.startswith(start)] for start in starts
    }
    sure = {start: rules[0] for start, rules in able.items() if rules[0].literal == start and rules[0].pattern is None}
    # Cached, because a flooded log repeats the same line.
    remembered = functools.cache(lambda start, text: _first_fitting(able[start], text))
    found = {
        number: rule
        for number, text in enumerate(texts)
        if (match := begins(text)) is not None
        and (rule := sure.get(match[0]) or remembered(match[0], text)) is not None
    }
    if not inside:
        return found
    for rule in inside:
        for number in [number for number, text in enumerate(texts) if rule.literal in text]:
            fitting = None if number in found else _first_fitting(inside, texts[number])
            if fitting is not None:
                found[number] = fitting
    return dict(sorted(found.items(), key=itemgetter(0)))


def _first_fitting(rules: Iterable[Deny], text: str) -> Deny | None:
    return next((rule for rule in rules if (rule.is_start or rule.literal in text) and rule.fits(text)), None)
