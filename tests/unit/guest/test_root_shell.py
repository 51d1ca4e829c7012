# SPDX-License-Identifier: MIT
"""The lab's root shell connection, with a real shell at the other end."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.fakes import completed
from vmlab.guest import root_shell as line
from vmlab.guest.root_shell import LineTransport, start_line
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost


@pytest.fixture
def far_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    monkeypatch.setattr(line, "ERRORS", str(tmp_path / "errors"))
    ours, theirs = socket.socketpair()
    with ours:
        shell = subprocess.Popen(["sh"], stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL)
        theirs.close()
        yield ours, shell
        shell.kill()
        shell.wait()


@pytest.fixture
def transport(far_end: tuple[socket.socket, subprocess.Popen[bytes]]) -> LineTransport:
    return LineTransport(far_end[0])


@pytest.mark.parametrize(
    ("command", "status", "stdout", "stderr"),
    [
        ("echo one; echo two", 0, "one\ntwo\n", ""),
        ("true", 0, "", ""),
        ("exit 3", 3, "", ""),
        ("printf 'no newline'", 0, "no newline", ""),
        ("echo out; echo err >&2; false", 1, "out\n", "err\n"),
        ("printf %s \"it's\" ' $HOME \\\\'", 0, "it's $HOME \\\\", ""),
        ("echo 'a\nb'\necho c", 0, "a\nb\nc\n", ""),
        ("cat", 0, "", ""),
        ("printf '\\377\\n'", 0, "\\xff\n", ""),
        ("sh -c 'kill -9 $$'", 137, "", None),
    ],
)
def test_a_command_gives_its_output_errors_and_status(
    transport: LineTransport, command: str, status: int, stdout: str, stderr: str | None
) -> None:
    done = transport.run(command, timeout_s=10)
    assert (done.status, done.stdout) == (status, stdout)
    assert stderr is None or done.stderr == stderr


def test_a_wrong_word_does_not_end_the_line(transport: LineTransport) -> None:
    assert not transport.run("if then (", timeout_s=10).ok
    assert transport.run("echo still here", timeout_s=10).stdout == "still here\n"


def test_output_that_looks_like_the_frame_is_output(transport: LineTransport) -> None:
    text = "0123456789abcdef <\n\n0123456789abcdef 0\n\n0123456789abcdef >\n"
    assert transport.run(f"printf '{text}'", timeout_s=10).stdout == text


def test_a_megabyte_comes_whole(transport: LineTransport) -> None:
    done = transport.run("head -c 1000000 /dev/zero | tr '\\0' x", timeout_s=30)
    assert done.stdout == "x" * 1_000_000


def test_nothing_of_one_command_is_left_for_the_next(transport: LineTransport) -> None:
    transport.run("cd /tmp; word=1; echo err >&2", timeout_s=10)
    done = transport.run("echo ${word-unset}", timeout_s=10)
    assert (done.stdout, done.stderr) == ("unset\n", "")


def test_after_a_command_that_is_too_slow_the_line_is_gone(transport: LineTransport) -> None:
    with pytest.raises(CommandTooSlow, match="took longer than 0 s"):
        transport.run("sleep 5", timeout_s=0.2)
    with pytest.raises(TransportLost, match="is gone"):
        transport.run("true", timeout_s=10)


def test_a_line_whose_shell_ends_is_lost(
    transport: LineTransport, far_end: tuple[socket.socket, subprocess.Popen[bytes]]
) -> None:
    with pytest.raises(TransportLost):
        transport.run(f"kill -9 {far_end[1].pid}", timeout_s=10)


def test_a_closed_line_takes_no_command(transport: LineTransport) -> None:
    transport.close()
    with pytest.raises(TransportLost, match="is gone"):
        transport.run("true", timeout_s=10)


class _Root:
    """A root connection whose commands all end with `status`."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.command = ""

    def run(self, command: str, *, timeout_s: float) -> Completed:
        self.command = command
        return completed(command, status=self.status)

    def close(self) -> None:
        pass

    def cut(self) -> None:
        pass


def test_the_line_is_started_on_the_port_by_its_name() -> None:
    root = _Root(status=0)
    start_line(root, "org.vmlab.line", timeout_s=10)
    assert "/dev/virtio-ports/org.vmlab.line" in root.command
    assert f"{line.KERNEL_LOG_FD}</dev/kmsg" in root.command


@pytest.mark.parametrize(("timeout_s", "tries"), [(30, 30), (240, 240), (0.2, 1)])
def test_a_slow_guest_has_half_of_the_limit_for_its_port_to_come(timeout_s: float, tries: int) -> None:
    root = _Root(status=0)

    start_line(root, "org.vmlab.line", timeout_s=timeout_s)

    assert f"[ $i -lt {tries} ]; do sleep 0.5;" in root.command


@pytest.mark.parametrize(("appears_after", "status"), [(0, 0), (2, 0), (9, 1)])
def test_the_port_is_waited_for_by_what_a_shell_can_run(tmp_path: Path, appears_after: int, status: int) -> None:
    root, port, count = _Root(status=0), tmp_path / "port", tmp_path / "count"
    start_line(root, "org.vmlab.line", timeout_s=4)
    wait = root.command.partition(" && setsid")[0].replace("/dev/virtio-ports/org.vmlab.line", str(port))
    sleep = f"sleep() {{ echo x >>{count}; [ $(wc -l <{count}) -lt {appears_after} ] || touch {port}; }}"
    if not appears_after:
        port.touch()

    ended = subprocess.run(["sh", "-c", f"{sleep}\n{wait}"], check=False)

    assert ended.returncode == status


def test_a_guest_without_the_port_has_no_line() -> None:
    with pytest.raises(TransportLost, match="the guest has no /dev/virtio-ports/"):
        start_line(_Root(status=1), "org.vmlab.line", timeout_s=10)


def test_the_line_outlives_who_started_it_and_is_started_by_what_a_shell_can_read() -> None:
    root = _Root(status=0)
    start_line(root, "org.vmlab.line", timeout_s=10)
    assert "setsid -f" in root.command
    subprocess.run(["sh", "-n"], input=root.command, text=True, check=True)


@pytest.mark.parametrize("text", ["", "a", "\n", "\n\na\n\n\n", "'\"$HOME`\\", "a\tb\r\nc\r", "€", "a\0b"])
def test_both_streams_come_back_to_the_byte(transport: LineTransport, tmp_path: Path, text: str) -> None:
    (tmp_path / "text").write_bytes(text.encode())
    done = transport.run(f"cat {tmp_path}/text; cat {tmp_path}/text >&2", timeout_s=10)
    assert (done.stdout, done.stderr) == (text, text)


def test_what_was_left_in_the_line_before_is_not_the_answer(transport: LineTransport, tmp_path: Path) -> None:
    late = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo late; : >{tmp_path}/said"
    transport.run(f"({late}) & :", timeout_s=10)
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 10
    while not (tmp_path / "said").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert transport.run("echo mine", timeout_s=10).stdout == "mine\n"


def test_output_that_comes_in_time_does_not_prolong_the_limit(transport: LineTransport) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTooSlow):
        transport.run("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done", timeout_s=0.5)
    assert time.monotonic() - started < 2


def test_a_command_that_never_stops_writing_is_too_slow(
    transport: LineTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "CHUNK_BYTES", 1)  # more data is always waiting, and memory stays small
    started = time.monotonic()
    with pytest.raises(CommandTooSlow):
        transport.run("timeout 1.5 yes", timeout_s=0.2)
    assert time.monotonic() - started < 1


def test_a_garbled_answer_is_a_lost_line(transport: LineTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "framed", lambda _, nonce: f"printf '\\n{nonce} >\\n'\n")
    with pytest.raises(TransportLost, match="garbled"):
        transport.run("true", timeout_s=10)
    with pytest.raises(TransportLost, match="is gone"):
        transport.run("true", timeout_s=10)


def test_closing_leaves_the_socket_to_the_machine(
    transport: LineTransport, far_end: tuple[socket.socket, subprocess.Popen[bytes]]
) -> None:
    transport.close()
    transport.close()
    assert LineTransport(far_end[0]).run("echo free", timeout_s=10).stdout == "free\n"


def test_an_answer_is_whole_though_more_came_with_it() -> None:
    near, far = socket.socketpair()

    def answer() -> None:
        nonce = re.findall(rb"echo '(\w+) <'", far.recv(65536))[0]
        far.sendall(b"%b <\nout\n\n%b 0\n\n%b >\nof a child left behind\n" % (nonce, nonce, nonce))

    shell = threading.Thread(target=answer)
    with near, far:
        shell.start()
        assert LineTransport(near).run("true", timeout_s=1).stdout == "out\n"
    shell.join()
