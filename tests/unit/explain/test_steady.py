# SPDX-License-Identifier: MIT
"""Values that differ at every boot are replaced by a sign; informative values stay."""

from __future__ import annotations

import pytest

from builder.steady import steady


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("0xffffffffc0a1b000\n", "⟨a1⟩\n"),
        ("ffffffffc0a1b000 t f\nffffffffc0a1b080 t g\nffffffffc0a1b000 t h", "⟨a1⟩ t f\n⟨a2⟩ t g\n⟨a1⟩ t h"),
        ("0000000000000000 t f", "0000000000000000 t f"),
        ("0x0000000000000000", "0x0000000000000000"),
        ("[   12.345678] hello: loaded", "[⟨t⟩] hello: loaded"),
        ("<6>[12345.345678] x", "<6>[⟨t⟩] x"),
        (
            " 1)               |  load_module() {\n 1)   0.421 us    |    f();\n",
            " 1)  |  load_module() {\n 1)  |    f();\n",
        ),
        (" 0) $ 1234567 us  |  }", " 0)  |  }"),
        ("       0.001234567 seconds time elapsed", "       ⟨t⟩ seconds time elapsed"),
        ("   1,234.56 msec task-clock", "   ⟨t⟩ msec task-clock"),
        ("crw------- 1 root root 511, 0 Nov 25 09:44 /dev/x", "crw------- 1 root root 511, 0 ⟨t⟩ /dev/x"),
        ("drwxr-xr-x 2 root root 60 Dec  3  2026 lib", "drwxr-xr-x 2 root root 60 ⟨t⟩ lib"),
        ("Nov 25 09:44:01 lab kernel: hello", "⟨t⟩ lab kernel: hello"),
        ("SMP Debian 6.1.140-1 (2025-05-22)", "SMP Debian 6.1.140-1 (2025-05-22)"),
        ("read(3, 0x7ffd5b1c2a30, 832)", "read(3, ⟨a1⟩, 832)"),
        ("[<0>] load_module+0x8d4/0x21a0\n", "[<0>] load_module\n"),
        ("dmesg (356): Attempt", "dmesg (⟨p1⟩): Attempt"),
        ("/var/log/journal/49c3ba8a177743a7b1c353381066e149/x", "/var/log/journal/⟨id⟩/x"),
        ("a\nvmlab: test_x[debian12-6.1] ends 877c4258\nvmlab-experiment\nb\n", "a\nb\n"),
        ("hrtimer: interrupt took 15348020 ns\nb\n", "b\n"),
        ("# insmod a.ko\n\n# ls\n\nx", "# insmod a.ko\n# ls\n\nx"),
        ("  55      page-faults     #  48.123 K/sec", "  ⟨n⟩      page-faults     #  ⟨n⟩ K/sec"),
        (
            "[ perf record: Captured and wrote 0.016 MB x (27 samples) ]",
            "[ perf record: Captured and wrote ⟨n⟩ MB x (⟨n⟩ samples) ]",
        ),
        ("    52.18%  busy-aa215720392f4dbb0951  [.] spin", "    ⟨n⟩%  busy  [.] spin"),
        ("    345              seq", "    ⟨n⟩              seq"),
        ("while [ -e /proc/616/task/619 ]", "while [ -e /proc/⟨p1⟩/task/⟨p2⟩ ]"),
        ("a  \nb", "a\nb"),
        ("\x1b[0;1;39mHint: \x1b[0mx", "Hint: x"),
        ("major 511, 0x1f and 4096 bytes", "major 511, 0x1f and 4096 bytes"),
        ("commit 1aaba11da9aa17e8", "commit 1aaba11da9aa17e8"),
    ],
)
def test_only_noise_is_replaced(printed: str, kept: str) -> None:
    assert steady(printed) == (kept,)


def test_doing_it_again_changes_nothing() -> None:
    once = steady("[ 1.234567] at ffffffffc0a1b000\nkill -USR1 1234\n")
    assert steady(*once) == once


def test_a_process_goes_by_one_sign_in_what_was_typed_and_what_was_printed() -> None:
    typed, printed = steady("kill -USR1 1234; perf top -p 1234", "1234\nfailure for pid 1235, of 1234\n12345 1.1234\n")
    assert typed == "kill -USR1 ⟨p1⟩; perf top -p ⟨p1⟩"
    assert printed == "⟨p1⟩\nfailure for pid ⟨p2⟩, of ⟨p1⟩\n12345 1.1234\n"


def test_a_number_that_nothing_calls_a_process_stays() -> None:
    assert steady("majors 511, 510\n1234 samples of 16384 bytes\n") == (
        "majors 511, 510\n1234 samples of 16384 bytes\n",
    )


def test_an_id_that_is_known_to_be_a_process_needs_no_words_around_it() -> None:
    assert steady("613\nmajor 613\n", processes=[613]) == ("⟨p1⟩\nmajor ⟨p1⟩\n",)
