# SPDX-License-Identifier: MIT
"""Notice about the guest of a failed test that `--vmlab-keep` left running."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

_NOTICE = "{test} failed, and its guest was kept: vmlab shell {name}"
_NAMED = re.compile(r" failed, and its guest was kept: vmlab shell (kept-\d+)\Z")


def kept_notice(test: str, name: str) -> str:
    """Return the notice for a test and the name of its guest."""
    return _NOTICE.format(test=test, name=name)


def without_ended(notices: Iterable[str], *, kept: Container[str]) -> tuple[str, ...]:
    """Return the notices without those about guests that are not among the `kept` ones. Pure."""
    found = ((notice, _NAMED.search(notice)) for notice in notices)
    return tuple(notice for notice, named in found if named is None or named[1] in kept)
