# SPDX-License-Identifier: MIT
"""A kernel's reports as the result file has them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vmlab.klog.splat import Splat, whole
from vmlab.klog.verdict import source_of
from vmlab.report.model import SplatFrame, SplatResult, Standing


def splat_results(
    splats: Iterable[Splat], standing: Standing, *, place: Callable[[str], str]
) -> tuple[SplatResult, ...]:
    """Records of reports that all meant the same for a test.

    `place` makes a path in the module's directory of one in its build. A report that follows from another, such as the
    panic over an oops, has a record of its own.
    """
    return tuple(_result(each, standing, place) for splat in splats for each in whole(splat))


def _result(splat: Splat, standing: Standing, place: Callable[[str], str]) -> SplatResult:
    source = source_of([splat])
    return SplatResult(
        kind=splat.kind,
        title=splat.title,
        standing=standing,
        location=splat.location,
        process=splat.process,
        module=splat.module,
        frames=tuple(
            SplatFrame(
                function=frame.name,
                module=frame.module,
                source=place(frame.own_source) if frame.own_source else frame.source,
                is_guess=frame.is_guess,
            )
            for frame in splat.frames
        ),
        source=place(source) if source else "",
        fingerprint=splat.fingerprint,
    )
