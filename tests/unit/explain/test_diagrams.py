# SPDX-License-Identifier: MIT
"""The diagrams show exactly the findings."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from builder.diagrams import draw
from builder.kernels import Finding, Kernel, Value
from builder.labels import read_labels
from builder.placement import Region, region_of, sections_of
from builder.question import DIAGRAMS, Language
from builder.tracks import merged, stops

from .samples import kernel

_OLD, _NEW = kernel("debian11-5.10"), kernel("debian13-7.3")
_NAMES = {"debian11-5.10": "5.10", "debian13-7.3": "7.3"}
_TABLE = """\
NAME OFFSET SIZE FLAGS ADDRESS
.text 0x40 0x1b AX ⟨a1⟩
.rela.text 0x900 48 I -
.init.text 0x60 30 AX ⟨a2⟩
.rodata 0x80 16 A ⟨a3⟩
.data 0x90 8 WA ⟨a4⟩
.modinfo 0xa0 100 A -
.symtab 0xb00 960 - -
"""


def _found(of: Kernel, key: str, output: str = "", **facts: Value) -> tuple[Kernel, Finding]:
    return of, Finding(key=key, command="", output=output, facts=facts)


_EVIDENCE = {
    "load.chain.file": [
        _found(_OLD, "load.chain.file", "hello_init() [hello];", chain="sys > load_module"),
        _found(_NEW, "load.chain.file", "  hello_init();", chain="sys > from_file > load_module"),
    ],
    "load.steps": [
        _found(_OLD, "load.steps", layout="inlined", early="not in this release", move="called", load_module="called"),
        _found(_NEW, "load.steps", layout="called", early="not to be seen", move="called", load_module="called"),
    ],
    "ko.memory": [_found(_OLD, "ko.memory", _TABLE), _found(_NEW, "ko.memory", _TABLE)],
}


@pytest.mark.parametrize(
    ("ways", "order"),
    [
        ([["a", "b"], ["a", "b"]], ["a", "b"]),
        ([["a", "c"], ["a", "b", "c"]], ["a", "b", "c"]),
        ([["a", "b", "c"], ["a", "c"]], ["a", "b", "c"]),
        ([["a", "x", "c"], ["a", "y", "c"]], ["a", "x", "y", "c"]),
        ([[], ["a"]], ["a"]),
    ],
)
def test_every_way_is_found_again_in_the_order_of_all(ways: list[list[str]], order: list[str]) -> None:
    assert merged(ways) == order


def test_a_stop_stands_once_with_what_each_kernel_showed() -> None:
    rows = {stop.name: dict(stop.states) for stop in stops(_EVIDENCE)}
    old, new = _NAMES
    assert [*rows] == ["sys", "from_file", "load_module", "layout", "early", "move", "hello_init"]
    assert rows["from_file"] == {new: "called"}
    assert rows["layout"] == {old: "inlined", new: "called"}
    assert rows["early"] == {new: "not to be seen"}
    assert rows["hello_init"] == {old: "called", new: "called"}


@pytest.mark.parametrize(
    ("name", "flags", "is_in_memory", "region"),
    [
        (".text", "AX", True, Region.TEXT),
        (".exit.text", "AX", True, Region.TEXT),
        (".init.text", "AX", True, Region.INIT),
        (".rodata.str1.1", "AMS", True, Region.READ_ONLY),
        (".gnu.linkonce.this_module", "WA", True, Region.DATA),
        (".rela.text", "I", False, Region.APPLIED),
        (".modinfo", "A", False, Region.DROPPED),
    ],
)
def test_a_section_goes_where_its_flags_and_the_kernel_put_it(
    name: str, flags: str, is_in_memory: bool, region: Region
) -> None:
    assert region_of(name, flags=flags, is_in_memory=is_in_memory) is region


def test_the_table_is_read_without_its_heading() -> None:
    found = sections_of(_TABLE)
    assert [section.name for section in found][:2] == [".text", ".rela.text"]
    assert [section.size for section in found][:2] == [27, 48]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_picture_is_well_formed_in_both_languages_and_names_what_it_shows(name: str, language: Language) -> None:
    label = read_labels(language)
    picture = ElementTree.fromstring(draw(name, _EVIDENCE, _NAMES, label).replace("&nbsp;", " "))
    words = [text.text or "" for text in picture.iter("text")]
    shown = {"call-chain": ["5.10", "7.3", "from_file"], "file-into-memory": [".text", ".modinfo"]}[name]
    assert [word for word in shown if word not in words] == []
    (drawing,) = picture.iter("svg")
    width, height = (float(drawing.get(side, "0")) for side in ("width", "height"))
    for shape in drawing.iter("text"):
        assert 0 <= float(shape.get("x", "-1")) <= width
        assert 0 <= float(shape.get("y", "-1")) <= height


@pytest.mark.parametrize("name", ["", *DIAGRAMS])
def test_a_picture_without_data_is_left_out(name: str) -> None:
    assert draw(name, {}, _NAMES, read_labels(Language.EN)) == ""


def test_what_is_put_into_its_caller_is_told_from_what_was_traced() -> None:
    picture = ElementTree.fromstring(draw("call-chain", _EVIDENCE, _NAMES, read_labels(Language.EN)))
    kinds = [circle.get("class", "").split()[0] for circle in picture.iter("circle")]
    assert {kind: kinds.count(kind) for kind in kinds} == {"full": 2 + 1 + 2 + 1 + 2 + 2, "open": 1, "tick": 1}
