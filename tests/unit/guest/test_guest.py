# SPDX-License-Identifier: MIT
"""The guest's methods over a fake transport: a slow command is a result, a dead guest is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from unit.fakes import FakeConsole, FakeTransport, completed, guest
from vmlab.errors import CommandHung, EmulatorFault, GuestError, MachineLost
from vmlab.guest.guest import Guest
from vmlab.guest.hang import HangProbe
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost
from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import limits_for


def test_run_returns_what_came_whatever_the_status() -> None:
    done = guest(FakeTransport({"ls": completed("ls", status=2, stderr="no such file")})).run("ls /none")
    assert (done.status, done.stderr, done.ok) == (2, "no such file", False)


def test_succeed_returns_the_output_and_refuses_another_status_with_the_evidence() -> None:
    lab = guest(FakeTransport({"uname": "6.1\n", "ls": completed("ls /none", status=2, stdout="a", stderr="b")}))
    assert lab.succeed("uname -r") == "6.1\n"
    with pytest.raises(GuestError, match="'ls /none' ended with status 2") as caught:
        lab.succeed("ls /none")
    assert caught.value.detail == "a\nb"


@pytest.mark.parametrize(
    ("stdout", "stderr", "words"),
    [
        ("", "cat: /x: Permission denied\n", ": cat: /x: Permission denied"),
        ("first\nlast\n", "", ": last"),
        ("a", "sh: \x1b[31mno\x1b[0m\x07\u202e\n", ": sh: no"),
        ("", "", ""),
    ],
    ids=["standard error", "standard output", "escapes", "nothing"],
)
def test_a_commands_last_words_are_in_the_message(stdout: str, stderr: str, words: str) -> None:
    failing = guest(FakeTransport({"x": completed("x", status=1, stdout=stdout, stderr=stderr)}))
    succeeding = guest(FakeTransport({"x": completed("x", stdout=stdout, stderr=stderr)}))

    with pytest.raises(GuestError) as demanded:
        failing.succeed("x")
    with pytest.raises(GuestError) as demanded_of_root:
        failing.as_root("x")
    with pytest.raises(GuestError) as awaited:
        failing.wait_until("x", timeout_s=0.01)
    with pytest.raises(GuestError) as refused:
        succeeding.fail("x")

    assert demanded.value.message == f"'x' ended with status 1{words}"
    assert demanded_of_root.value.message == f"'x' ended with status 1{words}"
    assert awaited.value.message == f"gave up waiting for 'x' after 0 s{words}"
    assert refused.value.message == f"'x' succeeded, but was expected to fail{words}"


def test_fail_wants_a_failure() -> None:
    lab = guest(FakeTransport({"dmesg": completed("dmesg", status=1), "true": "fine"}))
    assert lab.fail("dmesg").status == 1
    with pytest.raises(GuestError, match="'true' succeeded, but was expected to fail"):
        lab.fail("true")


def test_wait_until_repeats_until_it_succeeds() -> None:
    tries = iter([1, 1, 0])

    def answer(command: str) -> Completed:
        return completed(command, status=next(tries), stdout="up")

    transport = FakeTransport({"test": answer})
    assert guest(transport).wait_until("test -e /dev/fibonacci", timeout_s=5) == "up"
    assert len(transport.commands) == 3


def test_waiting_in_vain_is_a_result_since_the_guest_answered() -> None:
    lab = guest(FakeTransport({"test": completed("test", status=1, stderr="not yet")}))
    with pytest.raises(GuestError, match="gave up waiting for 'test -e /x'") as caught:
        lab.wait_until("test -e /x", timeout_s=0.01)
    assert caught.value.detail == "not yet"


def test_every_call_has_a_time_limit() -> None:
    transport = FakeTransport()
    lab = guest(transport)
    lab.run("a")
    lab.run("b", timeout_s=7)
    lab.put(Path("/x"), "/y")
    assert transport.limits == [lab.limits.command_s, 7, lab.limits.command_s]


def test_a_slow_command_in_a_living_guest_is_a_result() -> None:
    with pytest.raises(GuestError, match="took longer than 1 s; the guest still answers"):
        guest(FakeTransport({"sleep": CommandTooSlow()})).run("sleep 1000", timeout_s=1)


@pytest.mark.parametrize("silence", [CommandTooSlow("slow"), TransportLost("EOF"), "something else"])
def test_a_slow_command_in_a_dead_guest_is_no_result(silence: Exception | str) -> None:
    transport = FakeTransport({"sleep": CommandTooSlow(), "echo": silence})
    with pytest.raises(MachineLost) as caught:
        guest(transport).run("sleep 1000")
    assert caught.value.detail.endswith("\nconsole: Kernel panic - not syncing")


def test_a_lost_connection_is_a_lost_machine_with_the_consoles_tail() -> None:
    with pytest.raises(MachineLost, match="lost during 'cat x': EOFError") as caught:
        guest(FakeTransport({"cat": TransportLost("EOFError")})).run("cat x")
    assert caught.value.detail.endswith("\nconsole: Kernel panic - not syncing")


def test_qemus_end_explains_a_lost_connection_better() -> None:
    def ended() -> None:
        raise MachineLost("QEMU ended with status -9")

    with pytest.raises(MachineLost, match="QEMU ended with status -9"):
        guest(FakeTransport({"cat": TransportLost("EOFError")}), require_alive=ended).run("cat x")


def test_a_refused_file_is_a_result_and_a_lost_one_is_not() -> None:
    transport = FakeTransport({"put": PermissionError(13, "Permission denied"), "get": TransportLost("EOF")})
    lab = guest(transport)
    with pytest.raises(GuestError, match=r"cannot copy 'x.ko' to '/srv/x.ko': Permission denied"):
        lab.put(Path("/a/x.ko"), "/srv/x.ko")
    with pytest.raises(MachineLost, match="while trying to copy '/etc/hostname' out"):
        lab.get("/etc/hostname", Path("/a/x"))


def test_a_slow_copy_into_a_living_guest_is_a_result() -> None:
    with pytest.raises(GuestError, match="cannot copy"):
        guest(FakeTransport({"put": CommandTooSlow("put took long")})).put(Path("/a"), "/b")


def test_root_has_a_connection_of_its_own_opened_once() -> None:
    user, root = FakeTransport(), FakeTransport({"cat": "secret"})
    lab = guest(user, root=root)
    assert lab.read("/proc/kallsyms") == "secret"
    assert lab.as_root("id") == ""
    assert user.commands == []
    assert root.commands == ["cat /proc/kallsyms", "id"]
    lab.close()
    assert user.is_closed
    assert root.is_closed


def test_a_command_of_root_that_fails_is_a_result() -> None:
    with pytest.raises(GuestError, match="ended with status 1"):
        guest(FakeTransport({"cat": completed("cat /x", status=1)})).read("/x")


def test_after_a_command_of_root_that_was_too_slow_the_next_gets_another_connection() -> None:
    slow, fresh = FakeTransport({"sleep": CommandTooSlow()}), FakeTransport({"id": "0\n"})
    lab = _opening(FakeTransport(), slow, fresh)
    with pytest.raises(GuestError, match="took longer than 1 s"):
        lab.root("sleep 1000", timeout_s=1)
    assert slow.is_closed
    assert lab.as_root("id") == "0\n"
    assert not fresh.is_closed
    assert slow.commands == ["sleep 1000"], "whether the guest lives is asked on the other connection"


def test_a_command_of_root_that_fails_keeps_its_connection() -> None:
    root = FakeTransport({"cat": completed("cat /x", status=1)})
    lab = _opening(FakeTransport(), root)
    assert lab.root("cat /x").status == 1
    with pytest.raises(GuestError):
        lab.as_root("cat /x")
    assert not root.is_closed


def test_a_connection_of_root_that_cannot_be_had_is_a_lost_machine() -> None:
    def refuse() -> FakeTransport:
        raise TransportLost("no such port")

    lab = _guest(FakeTransport(), refuse)
    with pytest.raises(MachineLost, match="while connecting as root: no such port") as caught:
        lab.root("id")
    assert caught.value.detail.splitlines()[1:] == ["console: login"]


def test_logging_out_closes_the_tests_connection_and_not_roots() -> None:
    user, root = FakeTransport(), FakeTransport()
    lab = guest(user, root=root)
    lab.as_root("id")
    lab.log_out()
    assert (user.is_closed, root.is_closed) == (True, False)
    lab.as_root("id")
    assert root.commands == ["id", "id"]


def test_closing_opens_no_connection_as_root_to_close_it() -> None:
    lab = _opening(FakeTransport())
    lab.close()
    lab.close()


def _opening(user: FakeTransport, *roots: FakeTransport) -> Guest:
    """A guest with these root connections to open in order, and no others."""
    left = iter(roots)
    return _guest(user, lambda: next(left))


def _guest(user: FakeTransport, open_root: Callable[[], FakeTransport]) -> Guest:
    return Guest(
        user,
        root_transport=open_root,
        limits=limits_for(Accelerator.KVM),
        console=FakeConsole("console: login\n"),
    )


def test_a_long_command_is_shortened_in_the_message() -> None:
    with pytest.raises(GuestError) as caught:
        guest(FakeTransport({"false": completed("false " + "x" * 500, status=1)})).succeed("false " + "x" * 500)
    assert len(caught.value.message) < 150


class _Blocked(FakeTransport):
    """A command that ends only when it is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.was_cut = threading.Event()

    def run(self, command: str, *, timeout_s: float) -> Completed:
        assert self.was_cut.wait(timeout_s), "nobody cut it"
        raise TransportLost("EOFError")

    def cut(self) -> None:
        self.was_cut.set()


def test_a_panic_ends_a_command_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.guest.guest.LOOK_S", 0.01)

    def require_alive() -> None:
        raise MachineLost("the kernel panicked: out of order")

    with pytest.raises(MachineLost, match="the kernel panicked: out of order"):
        guest(_Blocked(), require_alive=require_alive).run("cat /dev/fibonacci", timeout_s=30)


def test_a_kernel_that_still_prints_is_listened_to_before_its_guest_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.guest.guest.LOOK_S", 0.02)
    console = FakeConsole("[    1.000000] Oops: 0002 [#1]\n")
    looks = 0

    def keep_printing() -> None:
        nonlocal looks
        looks += 1
        if looks < 4:
            console.said += f"[    1.{looks:06d}] RIP: 0010:fib_read+0x1b/0x40 [fibdrv]\n"
        elif looks == 4:
            console.said += "[    2.000000] Kernel panic - not syncing: Fatal exception\n"

    with pytest.raises(MachineLost) as caught:
        guest(FakeTransport({"cat": TransportLost("EOFError")}), require_alive=keep_printing, console=console).run(
            "cat /dev/fibonacci"
        )
    assert "Fatal exception" in caught.value.detail


def _probe(console: FakeConsole, *, answers: bool, stale_trap: str = "") -> HangProbe:
    class Machine:
        def sysrq(self, key: str) -> None:
            if answers:
                console.said += "[    5.000000]  spin+0x1/0x2 [mydrv]\n"

        def stale_trap(self) -> str:
            return stale_trap

        def inject_nmi(self) -> None:
            pass

        def registers(self) -> str:
            return ""

        def dump(self, path: Path) -> None:
            pass

    return HangProbe(machine=Machine, console=console, step_s=0.01, nmi_panics=True, is_emulated=bool(stale_trap))


def test_a_command_over_its_limit_is_asked_about_and_the_module_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.guest.hang.QUIET_S", 0.01)
    console = FakeConsole()
    transport = FakeTransport({"cat": CommandTooSlow("timed out")})
    watched = guest(transport, console=console, probe=_probe(console, answers=True))
    with pytest.raises(CommandHung, match="the guest still answers; the hang is in mydrv") as caught:
        watched.run("cat /dev/mydrv", timeout_s=5)
    assert "sysrq w: answered" in caught.value.detail
    assert watched.run("true").ok


def test_a_silent_guest_whose_kernel_answers_has_failed_and_takes_no_more_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vmlab.guest.hang.QUIET_S", 0.01)
    console = FakeConsole()
    slow = CommandTooSlow("timed out")
    watched = guest(FakeTransport({"cat": slow, "echo": slow}), console=console, probe=_probe(console, answers=True))
    with pytest.raises(CommandHung, match="the guest hangs, its kernel answers; the hang is in mydrv"):
        watched.run("cat /dev/mydrv")
    with pytest.raises(MachineLost, match="the guest hangs"):
        watched.run("true")


def test_a_guest_that_traps_at_a_breakpoint_that_is_gone_is_lost_to_the_emulator() -> None:
    console = FakeConsole()
    probe = _probe(console, answers=True, stale_trap="0xffffffff95b982d0: e9 f7 02 00 00")
    slow = CommandTooSlow("timed out")
    watched = guest(FakeTransport({"cat": slow, "echo": slow}), console=console, probe=probe, is_emulated=True)

    with pytest.raises(EmulatorFault, match="already removed, at 0xffffffff95b982d0: e9 f7 02 00 00"):
        watched.run("cat /dev/mydrv")
    with pytest.raises(EmulatorFault):
        watched.run("true")
    assert console.said == ""


def test_a_guest_that_gives_no_sign_at_all_is_lost() -> None:
    console = FakeConsole()
    slow = CommandTooSlow("timed out")
    watched = guest(FakeTransport({"cat": slow, "echo": slow}), console=console, probe=_probe(console, answers=False))
    with pytest.raises(MachineLost, match="it does not answer") as caught:
        watched.run("cat /dev/mydrv")
    assert "NMI: no answer" in caught.value.detail
