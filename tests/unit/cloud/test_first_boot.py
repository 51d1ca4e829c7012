# SPDX-License-Identifier: MIT
"""Faults of a first boot and their error classes: cloud-init that fails, hangs or reboots; a guest that powers off; a
lost guest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unit.fakes import FakeConsole, FakeTransport, completed
from vmlab.cloud import first_boot
from vmlab.cloud.cloud_init import LOOK, VERDICT
from vmlab.cloud.first_boot import FirstBoot
from vmlab.errors import AssetError, MachineLost
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost

_DONE = json.dumps({"status": "done", "errors": []})
_LOG = "Cloud-init v. 22.4.2 running 'modules:final'\n"


def _looks(boot: str, *, stage: str | None = None, errors: tuple[str, ...] = (), is_finished: bool = True) -> str:
    result = json.dumps({"v1": {"datasource": "x", "errors": list(errors)}}) if is_finished else ""
    return f"{boot}\n--- vmlab ---\n{result}\n--- vmlab ---\n{json.dumps({'v1': {'stage': stage}})}"


class GuestWithCloudInit(FakeTransport):
    """Answers successive looks in order, and repeats the last answer."""

    def __init__(self, *looks: str | Exception, verdict: Completed | None = None) -> None:
        super().__init__({"sudo": _LOG})
        self._looks = list(looks)
        self._verdict = verdict or completed(VERDICT, stdout=_DONE)

    def run(self, command: str, *, timeout_s: float) -> Completed:
        if command == LOOK:
            look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
            if isinstance(look, Exception):
                raise look
            return completed(command, stdout=look)
        if command == VERDICT:
            return self._verdict
        return super().run(command, timeout_s=timeout_s)


class Bench:
    """A first boot with a guest that a test describes."""

    def __init__(self, transport: FakeTransport | Callable[[], FakeTransport]) -> None:
        self.notices: list[str] = []
        self.opened = 0
        self.is_off = False
        self.death: MachineLost | None = None
        self._transport = transport
        self.boot = FirstBoot(
            self._open,
            name="ubuntu22.04-5.15",
            console=FakeConsole("[    1.0] Linux version 5.15\n"),
            require_alive=self._require_alive,
            has_powered_off=lambda: self.is_off,
            return_s=45.0,
            notice=self.notices.append,
        )

    def _open(self) -> FakeTransport:
        self._require_alive()
        self.opened += 1
        return self._transport if isinstance(self._transport, FakeTransport) else self._transport()

    def _require_alive(self) -> None:
        if self.death is not None:
            raise self.death

    def wait(self, timeout_s: float = 5.0) -> None:
        self.boot.await_cloud_init(timeout_s=timeout_s, command_s=1.0)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_boot, "LOOK_S", 0.001)


def test_it_waits_for_the_last_stage_and_asks_once_how_it_ended() -> None:
    guest = GuestWithCloudInit(
        _looks("a", stage="init", is_finished=False), _looks("a", is_finished=False), _looks("a")
    )
    bench = Bench(guest)
    bench.wait()
    assert bench.opened == 1
    assert bench.notices == []


def test_a_version_that_knows_no_json_is_believed_by_its_result_file() -> None:
    refusal = completed(VERDICT, status=2, stderr="error: unrecognized arguments: --format json")
    Bench(GuestWithCloudInit(_looks("a"), verdict=refusal)).wait()
    with pytest.raises(AssetError, match="cloud-init failed: no such user"):
        Bench(GuestWithCloudInit(_looks("a", errors=("no such user",)), verdict=refusal)).wait()


def test_cloud_init_that_fails_is_the_images_fault_with_its_own_words_and_log() -> None:
    failed = completed(VERDICT, status=1, stdout=json.dumps({"status": "error", "errors": ["('ssh', OSError())"]}))
    with pytest.raises(AssetError, match=r"ubuntu22.04-5.15: cloud-init failed: \('ssh', OSError\(\)\)") as caught:
        Bench(GuestWithCloudInit(_looks("a"), verdict=failed)).wait()
    assert _LOG in caught.value.detail


def test_recoverable_errors_are_a_notice() -> None:
    told = {"status": "done", "errors": [], "recoverable_errors": {"WARNING": ["a key is old"]}}
    bench = Bench(GuestWithCloudInit(_looks("a"), verdict=completed(VERDICT, status=2, stdout=json.dumps(told))))
    bench.wait()
    assert bench.notices == ["ubuntu22.04-5.15: cloud-init warns: WARNING: a key is old"]


def test_cloud_init_that_hangs_is_the_images_fault_and_the_stage_is_named() -> None:
    guest = GuestWithCloudInit(_looks("a", stage="modules-final", is_finished=False))
    with pytest.raises(
        AssetError, match="has not ended after 0 s: its stage 'modules-final' is still running"
    ) as caught:
        Bench(guest).wait(timeout_s=0.05)
    assert _LOG in caught.value.detail


def test_a_reboot_of_its_own_is_waited_through_and_said() -> None:
    guest = GuestWithCloudInit(
        _looks("a", stage="modules-final", is_finished=False), TransportLost("EOFError"), _looks("b")
    )
    bench = Bench(guest)
    bench.wait()
    assert bench.opened == 2
    assert bench.notices == ["ubuntu22.04-5.15: the guest rebooted on its own while cloud-init ran"]


def test_a_reboot_between_its_end_and_the_question_how_it_ended_is_waited_through() -> None:
    """Some images reboot when cloud-init has ended (its module power_state)."""
    verdicts: list[Completed | Exception] = [TransportLost("EOFError"), completed(VERDICT, stdout=_DONE)]

    class RebootsAtTheEnd(GuestWithCloudInit):
        def run(self, command: str, *, timeout_s: float) -> Completed:
            if command != VERDICT:
                return super().run(command, timeout_s=timeout_s)
            verdict = verdicts.pop(0)
            if isinstance(verdict, Exception):
                raise verdict
            return verdict

    bench = Bench(RebootsAtTheEnd(_looks("a"), _looks("b")))
    bench.wait()
    assert bench.notices == ["ubuntu22.04-5.15: the guest rebooted on its own while cloud-init ran"]


def test_a_reboot_of_its_own_after_that_is_the_images_fault() -> None:
    guest = GuestWithCloudInit(_looks("a"))
    bench = Bench(guest)
    bench.wait()
    guest.answers = {"sudo": TransportLost("EOFError"), "cat": "b\n"}
    with pytest.raises(AssetError, match="rebooted on its own during installing"):
        bench.boot.run("sudo apt-get", timeout_s=3, what="installing")
    guest.answers = {"sudo": TransportLost("EOFError"), "cat": "a\n"}
    with pytest.raises(MachineLost, match="lost during installing"):
        bench.boot.run("sudo apt-get", timeout_s=3, what="installing")
    assert guest.limits[-1] == 45, "the question which boot it is has the limit that it was given"


def test_reboots_without_end_are_the_images_fault() -> None:
    guest = GuestWithCloudInit(*(_looks(str(number), is_finished=False) for number in range(9)))
    with pytest.raises(AssetError, match="rebooted on its own 3 times") as caught:
        Bench(guest).wait()
    assert "Linux version 5.15" in caught.value.detail


def test_a_guest_that_switches_itself_off_is_the_images_fault() -> None:
    bench = Bench(GuestWithCloudInit(_looks("a", is_finished=False), TransportLost("EOFError")))
    bench.is_off = True
    with pytest.raises(AssetError, match="powered off while cloud-init ran"):
        bench.wait()


def test_a_qemu_that_dies_is_a_lost_machine() -> None:
    guest = GuestWithCloudInit(_looks("a", is_finished=False), TransportLost("EOFError"))
    bench = Bench(guest)
    bench.boot.run("true", timeout_s=1, what="a look")
    bench.death = MachineLost("QEMU ended with status -9")
    with pytest.raises(MachineLost, match="QEMU ended with status -9"):
        bench.wait()


def test_a_guest_that_never_answers_is_a_lost_machine() -> None:
    bench = Bench(GuestWithCloudInit(_looks("a")))
    bench.death = MachineLost("gave up waiting for the guest's SSH to answer after 9 s")
    with pytest.raises(MachineLost, match="SSH"):
        bench.wait()


def test_a_command_over_its_limit_is_the_images_fault_and_the_connection_is_not_used_again() -> None:
    bench = Bench(FakeTransport({"sudo": CommandTooSlow("slow")}))
    with pytest.raises(AssetError, match="installing linux-image took longer than 3 s") as caught:
        bench.boot.run("sudo apt-get", timeout_s=3, what="installing linux-image")
    assert "patience" in caught.value.hint
    bench.boot.run("true", timeout_s=1, what="a look")
    assert bench.opened == 2


def test_a_connection_that_ends_under_a_command_is_a_lost_machine() -> None:
    bench = Bench(FakeTransport({"sudo": TransportLost("EOFError")}))
    with pytest.raises(MachineLost, match="lost during installing: EOFError"):
        bench.boot.run("sudo apt-get", timeout_s=3, what="installing")


def test_a_command_that_fails_shows_its_output(tmp_path: Path) -> None:
    bench = Bench(FakeTransport({"sudo": completed("sudo x", status=3, stdout="one\n", stderr="two\n")}))
    with pytest.raises(AssetError, match="becoming root ended with status 3: two") as caught:
        bench.boot.succeed("sudo x", timeout_s=3, what="becoming root")
    assert caught.value.detail == "one\ntwo"


def test_a_reboot_is_over_when_another_boot_answers() -> None:
    boots = iter(["a\n", "b\n"])

    def answer(command: str) -> str:
        return next(boots)

    guest = FakeTransport({"cat": answer, "sudo": TransportLost("the connection ended")})
    bench = Bench(guest)
    bench.boot.reboot(timeout_s=1, command_s=1)
    assert "sudo -n systemctl reboot" in guest.commands


def test_a_guest_that_does_not_reboot_is_a_lost_machine() -> None:
    bench = Bench(FakeTransport({"cat": "a\n"}))
    with pytest.raises(MachineLost, match="to reboot"):
        bench.boot.reboot(timeout_s=0.02, command_s=1)


def test_it_is_off_when_its_machine_says_so() -> None:
    bench = Bench(FakeTransport())
    bench.is_off = True
    bench.boot.power_off(timeout_s=1, command_s=1)
    bench.is_off = False
    with pytest.raises(MachineLost, match="to power off"):
        bench.boot.power_off(timeout_s=0.02, command_s=1)
