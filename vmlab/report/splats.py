# SPDX-License-Identifier: MIT
"""Conversion of kernel reports to records of the result file. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vmlab.klog.splat import Splat, whole
from vmlab.klog.verdict import source_of
from vmlab.report.model import SplatFrame, SplatResult, Standing


def splat_results(
    splats: Iterable[Splat], standing: Standing, *, place: Callable[[str], str]
) -> tuple[SplatResult, ...]:
    """Convert kernel reports with the same standing to records.

    `place` converts a path in the build to one in the module's directory. A report that follows from another, such as
    the panic after an oops, is a separate record.
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
