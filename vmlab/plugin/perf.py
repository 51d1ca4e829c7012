# SPDX-License-Identifier: MIT
"""The fixture `perf_access`, which sets the permissions of perf in the guest that the test uses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from vmlab.errors import hides_frames
from vmlab.plugin.fixtures import used_guest

if TYPE_CHECKING:
    from vmlab.perf.access import PerfAccess

__tracebackhide__ = hides_frames


@pytest.fixture
def perf_access(request: pytest.FixtureRequest) -> Iterator[Callable[..., PerfAccess]]:
    """A function: `perf_access(level=2, kptr_restrict=0)` sets kernel.perf_event_paranoid and kernel.kptr_restrict in
    the guest that the test uses. An omitted setting stays. The old values are restored after the test, also after a
    failure. A test is skipped if the kernel has no perf. Scope: test. Cost: a few commands as root."""
    from vmlab.perf.access import PerfMissing
    from vmlab.perf.access import perf_access as access

    guest = used_guest(request)
    with contextlib.ExitStack() as stack:

        def change(*, level: int | None = None, kptr_restrict: int | None = None) -> PerfAccess:
            try:
                return stack.enter_context(access(guest, level=level, kptr_restrict=kptr_restrict))
            except PerfMissing as missing:
                pytest.skip(missing.one_line)

        yield change
