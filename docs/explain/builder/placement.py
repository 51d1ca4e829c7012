# SPDX-License-Identifier: MIT
"""Diagram of a module's sections: the file on the left, in its own order, and memory on the right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from builder import svg
from builder.kernels import Finding, Kernel

_FINDING = "ko.memory"
_ABSENT = "-"
_ROW, _TOP = 20, 30
_LEFT, _MIDDLE, _RIGHT, _WIDTH = 4, 196, 268, 420

Evidence = Mapping[str, Sequence[tuple[Kernel, Finding]]]


class Region(StrEnum):
    """Destination of a section, in drawing order; the value is its label's name in labels.toml."""

    TEXT = "region_text"
    READ_ONLY = "region_read_only"
    DATA = "region_data"
    INIT = "region_init"
    APPLIED = "region_applied"
    DROPPED = "region_dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A row of the table that the experiment printed."""

    name: str
    size: int
    region: Region


def placement_figure(evidence: Evidence, names: Mapping[str, str], label: Mapping[str, str]) -> str:
    """The diagram for the newest kernel with the data, or an empty string without one."""
    if not evidence.get(_FINDING):
        return ""
    kernel, finding = evidence[_FINDING][-1]
    sections = sections_of(finding.output)
    height = _TOP + _ROW * len(sections) + 8
    return svg.figure(
        _drawn(sections, height, label),
        width=_WIDTH,
        height=height,
        title=label["placement_title"].format(kernel=names[kernel.target]),
        caption=label["placement_caption"].format(kernel=names[kernel.target]),
    )


def sections_of(output: str) -> list[Section]:
    """Sections of the table `NAME OFFSET SIZE FLAGS ADDRESS`; a section without flags has `-` in that column too."""
    found = []
    for line in output.splitlines():
        words = line.split()
        if len(words) == 5 and words[0].startswith((".", "__")):
            name, _, size, flags, address = words
            region = region_of(name, flags=flags, is_in_memory=address != _ABSENT)
            found.append(Section(name=name, size=int(size, 0), region=region))
    return found


def region_of(name: str, *, flags: str, is_in_memory: bool) -> Region:
    """Destination of a section; `enum mod_mem_type` in include/linux/module.h has the same kinds since v6.4."""
    if not is_in_memory:
        return Region.APPLIED if name.startswith(".rel") else Region.DROPPED
    if name.startswith(".init"):
        return Region.INIT
    if "X" in flags:
        return Region.TEXT
    return Region.DATA if "W" in flags else Region.READ_ONLY


def _drawn(sections: Sequence[Section], height: int, label: Mapping[str, str]) -> Iterator[str]:
    yield svg.text(_LEFT, 16, label["placement_file"], kind="head")
    yield svg.text(_RIGHT, 16, label["placement_memory"], kind="head")
    used = [region for region in Region if any(section.region is region for section in sections)]
    pitch = (height - _TOP - 8) / max(len(used), 1)
    middles = {region: _TOP + pitch * (place + 0.5) for place, region in enumerate(used)}
    for number, region in enumerate(used):
        y = middles[region]
        tall = min(pitch - 10, 58)
        yield svg.box(_RIGHT, y - tall / 2, _WIDTH - _RIGHT - 2, tall, kind=f"region c{number}")
        words = label[region].split("\n")
        for line, each in enumerate(words):
            yield svg.text(_RIGHT + 8, y + 4.5 + (line - (len(words) - 1) / 2) * 16, each, kind="small")
    for place, section in enumerate(sections):
        y = _TOP + _ROW * (place + 0.5)
        color = f"c{used.index(section.region)}"
        end = middles[section.region]
        yield svg.path(
            f"M{_MIDDLE} {y:g}C{_MIDDLE + 36} {y:g} {_RIGHT - 36} {end:g} {_RIGHT} {end:g}", kind=f"wire {color}"
        )
        yield svg.text(_LEFT, y + 4, section.name, kind="small name")
        yield svg.dot(_MIDDLE, y, 3, kind=f"full {color}")
