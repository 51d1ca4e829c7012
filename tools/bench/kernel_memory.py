# SPDX-License-Identifier: MIT
"""Limit of the memory that fibdrv takes in the kernel for one read, from the kernel's own allocation tracepoints.

Pages count as pages, so the figure includes what an allocator rounds up. The driver's allocations are known by their
flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from forks import new_lab
from rows import Limit, Measured
from timing import timed_fork

from vmlab.guest.guest import Guest
from vmlab.timing.series import TimingSource

TARGET = "debian12-6.1"
_INDICES = (100_000, 200_000, 500_000, 1_000_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000)
_FORMS = {"binary": 0.6942419 / 8, "decimal": 0.2089876}
"""The bytes of a record, divided by its index."""
_PAGE_BYTES = 4096
_SLAB_BYTES = 2 * _PAGE_BYTES
"""A larger kmalloc() is pages, and traced as such, too."""
_FLAGS = ("GFP_KERNEL_ACCOUNT", "__GFP_NOWARN")
_EVENT = re.compile(
    r"(?:(?P<take>mm_page_alloc|kmalloc)|(?P<free>mm_page_free|kfree)): .*?"
    r"(?:ptr=(?P<pointer>\S+)|pfn=(?P<page>\S+))(?:.*bytes_alloc=(?P<bytes>\d+))?(?:.*order=(?P<order>\d+))?"
)
_SCRIPT = """
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
sh <<'end'
cd /sys/kernel/tracing
echo 16384 > buffer_size_kb
for event in kmalloc kfree mm_page_alloc mm_page_free; do
    echo "common_pid == $$" > events/kmem/$event/filter
    echo 1 > events/kmem/$event/enable
done
exec {fibctl} --format {form} {n} > /dev/null
end
"""
_READ_TRACE = (
    "cat /sys/kernel/tracing/trace; echo 0 > /sys/kernel/tracing/events/enable; echo > /sys/kernel/tracing/trace"
)


def memory() -> Measured:
    """Peak memory of a read of F(n), as a multiple of the bytes that it returns: the worst of some n and formats."""
    ratios: dict[str, float] = {}
    with new_lab() as lab, timed_fork(lab, TimingSource.ICOUNT, TARGET) as found:
        guest = found.running.guest
        compiled = lab.testbed(found.running.target).program("tools/fibctl.c")
        guest.put(compiled, "/tmp/fibctl")
        for n in _INDICES:
            for form, bytes_an_index in _FORMS.items():
                ratios[f"F({n}) {form}"] = _peak_bytes(guest, n, form) / (n * bytes_an_index)
    return Measured(value=max(ratios.values()), conditions={what: f"{ratio:.2f}" for what, ratio in ratios.items()})


def _peak_bytes(guest: Guest, n: int, form: str) -> int:
    guest.as_root(_SCRIPT.format(fibctl="/tmp/fibctl", form=form, n=n))
    return peak_of(guest.as_root(_READ_TRACE).splitlines())


def peak_of(trace: Iterable[str]) -> int:
    """The most bytes that were held at once; `ValueError` if nothing was taken, or something was not freed."""
    held: dict[str, int] = {}
    peak = 0
    for place, size in _events(trace):
        if size:
            held[place] = size
            peak = max(peak, sum(held.values()))
        else:
            held.pop(place, None)
    if not peak or held:
        raise ValueError(f"the trace has a peak of {peak} bytes, and {len(held)} allocations that were not freed")
    return peak


def _events(trace: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each allocation as its place and bytes, each freeing as its place and 0."""
    for line in trace:
        found = _EVENT.search(line)
        if found is None or (found["take"] and not all(flag in line for flag in _FLAGS)):
            continue
        fields: Mapping[str, str | None] = found.groupdict()
        place = fields["pointer"] or f"page {fields['page']}"
        if not fields["take"]:
            yield place, 0
        elif fields["order"] is not None:
            yield place, _PAGE_BYTES << int(fields["order"])
        elif fields["bytes"] is not None and int(fields["bytes"]) <= _SLAB_BYTES:
            yield place, int(fields["bytes"])


LIMITS = (Limit(name="fibdrv memory", limit=6, unit="x the record, in the kernel", measure=memory),)
