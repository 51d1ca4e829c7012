# SPDX-License-Identifier: MIT
"""Entries that have a field for each fact are read, in one line or in many."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmlab.klog.formats.entries import EntryParser, has_entries
from vmlab.klog.formats.headers import Parsed

_KERNEL = {"_TRANSPORT": "kernel", "PRIORITY": "4", "__MONOTONIC_TIMESTAMP": "12345678", "MESSAGE": "gauge: hot"}
_READ = Parsed("gauge: hot", 12.345678, 4, is_stamped=True)
_FORMS = {
    "json": json.dumps(_KERNEL),
    "json-pretty": json.dumps(_KERNEL, indent=1, separators=(",", " : ")),
    "export": "".join(f"{key}={value}\n" for key, value in {"__CURSOR": "s=1", **_KERNEL}.items()),
    "verbose": "Tue 2026-12-01 10:23:02.345678 UTC [s=1;i=2]\n"
    + "\n".join(f"    {key}={value}" for key, value in _KERNEL.items()),
    "dmesg -J": '{\n   "dmesg": [\n      {\n         "pri": 4,\n         "time":    12.345678,\n'
    '         "msg": "gauge: hot"\n      }\n   ]\n}',
    "bytes": json.dumps({**_KERNEL, "MESSAGE": list(b"gauge: hot")}),
    "lines": json.dumps({**_KERNEL, "MESSAGE": "gauge: hot\nBUG: KASAN: x in a+0x1/0x2 [b]"}),
}


def _read(text: str) -> list[tuple[int, Parsed]]:
    entries = EntryParser()
    found = [each for number, line in enumerate(text.split("\n"), 1) for each in entries.parse(number, line)]
    return [*found, *entries.end()]


@pytest.mark.parametrize("text", _FORMS.values(), ids=list(_FORMS))
def test_an_entry_is_read_in_every_form(text: str) -> None:
    assert has_entries(text.split("\n"))
    assert [parsed for _, parsed in _read(text)] == [_READ]


@pytest.mark.parametrize("name", ["json", "json-pretty", "export", "verbose", "dmesg -J"])
def test_the_line_of_the_message_is_known(name: str) -> None:
    ((number, _),) = _read(_FORMS[name])

    assert "gauge: hot" in _FORMS[name].split("\n")[number - 1]


def test_an_entry_of_a_program_is_not_the_kernels() -> None:
    ((_, parsed),) = _read(json.dumps({**_KERNEL, "_TRANSPORT": "syslog"}))

    assert not parsed.is_kernel


@pytest.mark.parametrize(
    "line",
    [
        "{" + '"a":[' * 30_000,
        '{"MESSAGE": 5}',
        '{"MESSAGE": [300, -1, "x"]}',
        '{"MESSAGE": "x", "PRIORITY": "many", "__MONOTONIC_TIMESTAMP": "1e999"}',
        '{"MESSAGE": null}',
        "[1]",
        '{"MESSAGE": "cut',
    ],
)
def test_odd_entries_are_no_error(line: str) -> None:
    assert all(parsed.time_s <= 1e10 for _, parsed in _read(line))


@pytest.mark.parametrize("text", ["[    1.000000] gauge: hot", "MESSAGE", '{"a": 1}', '"msg"', ""])
def test_other_texts_have_no_entries(text: str) -> None:
    assert not has_entries([text])


@given(text=st.text(max_size=200))
def test_any_text_is_no_error(text: str) -> None:
    _read(text)
    _read(f"MESSAGE={text}\n\n")
    _read(f'{{\n "MESSAGE" : {text}\n}}')
