# SPDX-License-Identifier: MIT
"""The helper beside the root shell, in a real shell: what it answers, and what happens without it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmlab.guest import helper, root_shell
from vmlab.guest.helper import request, start_helper
from vmlab.guest.root_shell import LineTransport


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file in place of /dev/kmsg: what is added to it is read once."""
    return tmp_path / "kmsg"


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path) -> Iterator[LineTransport]:
    """A root shell without a helper, whose log is `log`."""
    monkeypatch.setattr(root_shell, "ERRORS", str(tmp_path / "errors"))
    log.touch()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        descriptor = theirs.fileno()
        shell = subprocess.Popen(
            ["bash", "-c", f'exec 9<"$1" 0<&{descriptor} 1>&0; exec sh', "bash", str(log)],
            pass_fds=(descriptor,),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        yield LineTransport(ours)
        os.killpg(shell.pid, 9)
        shell.wait()


@pytest.fixture
def helped(line: LineTransport, tmp_path: Path) -> LineTransport:
    """The root shell with its helper, whose pipes are in a directory of the test."""
    start = start_helper().replace("/run/vmlab.", f"{tmp_path}/vmlab.").replace("/dev/kmsg", f"{tmp_path}/written")
    assert line.run(start, timeout_s=10).ok
    return line


def _ask(line: LineTransport, verb: str, argument: str = "") -> str:
    done = line.run(request(verb, argument, otherwise="echo by programs"), timeout_s=10)
    assert done.ok, done
    return done.stdout


def test_the_log_is_read_from_where_the_last_read_ended(helped: LineTransport, log: Path) -> None:
    taint = Path("/proc/sys/kernel/tainted").read_text()
    log.write_text("6,1,1,-;one\n")

    first = _ask(helped, "read")
    log.write_text("6,1,1,-;one\n6,2,2,-;two\n")

    assert first == f"{taint}6,1,1,-;one\n"
    assert _ask(helped, "read") == f"{taint}6,2,2,-;two\n"


@pytest.mark.parametrize("mark", ["vmlab: test[a b] begins", "it's \\n %s $HOME `id`", "  two  spaces", "ü"])
def test_a_mark_is_written_as_it_is(helped: LineTransport, tmp_path: Path, mark: str) -> None:
    _ask(helped, "write", mark)

    assert (tmp_path / "written").read_text() == f"<6>{mark}\n"


def test_a_proof_tells_what_the_guest_is(helped: LineTransport) -> None:
    # The time is not a number that settimeofday accepts, so that this host keeps its clock.
    answer = _ask(helped, "prove", "0.9999999 00")

    words = dict(row.split(" ", 1) for row in answer.splitlines())
    assert words["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert float(words["time"]) > 1.7e9
    assert float(words["uptime"]) > 0


def test_a_long_log_arrives_whole(helped: LineTransport, log: Path) -> None:
    log.write_text("6,1,1,-;" + "x" * 1_000_000 + "\n")

    assert _ask(helped, "read").endswith("x" * 1_000_000 + "\n")


def test_without_a_helper_the_programs_run(line: LineTransport) -> None:
    assert _ask(line, "read") == "by programs\n"


def test_after_the_end_of_the_helper_the_programs_run(helped: LineTransport) -> None:
    assert helped.run("kill $(pgrep -g 0 -f vmlab-helper)", timeout_s=10).ok

    assert _ask(helped, "read") == "by programs\n"
    assert helped.run("yes | head -n 1", timeout_s=10).stderr == ""


def test_a_guest_without_perl_has_no_helper(line: LineTransport, tmp_path: Path) -> None:
    start = start_helper().replace("command -v perl", "command -v no-such-perl")

    assert line.run(start, timeout_s=10).ok

    assert _ask(line, "read") == "by programs\n"


def test_a_mark_of_two_lines_is_left_to_the_programs() -> None:
    assert request("write", "one\ntwo", otherwise="programs") == "programs"


def test_a_request_names_the_function_that_the_shell_knows() -> None:
    assert request("read", otherwise="x").split()[0] == helper.CALL
