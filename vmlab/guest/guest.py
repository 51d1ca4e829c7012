# SPDX-License-Identifier: MIT
"""A guest and its operations, independent of the transport."""

from __future__ import annotations

import contextlib
import re
import shlex
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vmlab.errors import CommandHung, GuestError, MachineLost, hides_frames
from vmlab.guest.hang import HangProbe, HangReport
from vmlab.guest.kernel_log import KernelLog
from vmlab.guest.transport import (
    MOST_FILE_BYTES,
    MOST_OUTPUT_BYTES,
    Commands,
    CommandTooSlow,
    Completed,
    FileTooLarge,
    Transport,
    TransportLost,
    output_of,
)
from vmlab.host.limits import Limits
from vmlab.klog.emulator_fault import emulator_fault, spurious_breakpoint
from vmlab.klog.rules import Rules, known_rules
from vmlab.machine.console import Console
from vmlab.reason.command import with_words
from vmlab.reason.network import HINT, lacks_network
from vmlab.system.wait import wait_until

__tracebackhide__ = hides_frames

_UNLOADS = re.compile(r"\brmmod\b|\bmodprobe\s+(?:-\w+\s+)*(?:-\w*r|--remove)")
LOOK_S = 0.5
_LAST_WORDS = 30
"""Timeout for a console that keeps printing, as a multiple of the timeout for its first output."""


class Guest:
    """A running system that executes commands.

    Commands run as the ordinary user; `sudo` needs no password. Every call has a timeout, by default the one for
    this guest's accelerator. Calls raise `MachineLost` with the console's tail when the guest is gone.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        root_transport: Callable[[], Commands],
        limits: Limits,
        console: Console,
        require_alive: Callable[[], None] = lambda: None,
        log_position: int | None = None,
        probe: HangProbe | None = None,
        rules: Rules | None = None,
        release: str = "",
        is_emulated: bool = False,
        has_network: bool = False,
    ) -> None:
        """Use `probe` to examine a guest after a timeout, and `rules` to find splats of its kernel `release`. An
        emulated guest may crash because of QEMU. Without `has_network` only the lab's SSH reaches it."""
        self._transport = transport
        self._open_root = root_transport
        self._root: Commands | None = None
        self.log = KernelLog(self._required, position=log_position)
        self.limits = limits
        self.console = console
        self.evidence_end: int | None = None
        """Console offset at which the lab made the kernel panic: later output is not evidence; None if it did not."""
        self._probe = probe
        self.rules = rules or known_rules()
        self.release = release
        self.is_emulated = is_emulated
        self.has_network = has_network
        self.missed_network = ""
        """The last command that failed for want of a network; empty if there was none."""
        self.commands = 0
        """Number of commands so far: if it has not changed, the kernel log need not be read again."""
        self.has_unloaded = False
        """True after a command that unloads a module, perhaps in the background."""
        self._silence: MachineLost | None = None
        self.is_lost = False
        """True if the guest was lost during a command, and that was reported."""
        self._require_alive = require_alive

    def run(self, command: str, *, timeout_s: float | None = None) -> Completed:
        """Run a shell command and return its result, whatever its exit status.

        Raises `CommandHung`, with the probe's report, when it takes longer than `timeout_s` and the guest or its kernel
        answers. Raises `MachineLost` when neither answers, and at once when the kernel panicked. Of long output the
        middle is left out: at most `MOST_OUTPUT_BYTES` of each stream are kept (`Completed.left_out`).
        """
        return self._run(self._transport, command, timeout_s)

    def as_root(self, command: str, *, timeout_s: float | None = None) -> str:
        """Run a command that must succeed as root and return its output, without sudo and the test's connection.

        For the lab's own commands: under TCG each `sudo` takes half a second, this a twentieth of that.
        """
        return self._required(command, timeout_s=timeout_s).stdout

    def _required(self, command: str, *, timeout_s: float | None = None) -> Completed:
        done = self.root(command, timeout_s=timeout_s)
        self._demand(done)
        return done

    def root(self, command: str, *, timeout_s: float | None = None) -> Completed:
        """Run a command as `as_root` does, and return its result, whatever its exit status."""
        self._require_voice()
        if self._root is None:
            try:
                self._root = self._open_root()
            except TransportLost as lost:
                raise self._lost(f"while connecting as root: {lost}") from None
        try:
            return self._run(self._root, command, timeout_s)
        except GuestError:
            # The command timed out and may block the connection; the next command gets a new one.
            self._root.close()
            self._root = None
            raise

    def _run(self, transport: Commands, command: str, timeout_s: float | None) -> Completed:
        self._require_voice()
        self.commands += 1
        self.has_unloaded = self.has_unloaded or _UNLOADS.search(command) is not None
        limit_s = self.limits.command_s if timeout_s is None else timeout_s
        try:
            with self._cut_when_dead(transport):
                done = transport.run(command, timeout_s=limit_s)
            if not done.ok and self._lacks_network(done):
                self.missed_network = _short(command)
            return done
        except CommandTooSlow:
            pass
        except TransportLost as lost:
            raise self._lost(f"during {_short(command)!r}: {lost}") from None
        raise self.hung(f"{_short(command)!r} took longer than {limit_s:.0f} s")

    def _require_voice(self) -> None:
        if self._silence is not None:
            raise self._silence

    @contextlib.contextmanager
    def _cut_when_dead(self, transport: Commands) -> Iterator[None]:
        """End a command at once when the kernel panics or QEMU ends, not only at the timeout."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(LOOK_S):
                try:
                    self._require_alive()
                except MachineLost:
                    transport.cut()
                    return

        watcher = threading.Thread(target=look, name="vmlab-alive", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def succeed(self, command: str, *, timeout_s: float | None = None) -> str:
        """Run a command and return its standard output; raises `GuestError` unless it exits with status 0."""
        return self._demand(self.run(command, timeout_s=timeout_s))

    def _demand(self, done: Completed) -> str:
        if not done.ok:
            message = _told(f"{_short(done.command)!r} ended with status {done.status}", done)
            raise GuestError(message, hint=HINT if self._lacks_network(done) else "", detail=output_of(done))
        return done.stdout

    def fail(self, command: str, *, timeout_s: float | None = None) -> Completed:
        """Run a command that must fail; raises `GuestError` if it exits with status 0."""
        done = self.run(command, timeout_s=timeout_s)
        if done.ok:
            message = _told(f"{_short(command)!r} succeeded, but was expected to fail", done)
            raise GuestError(message, detail=output_of(done))
        return done

    def wait_until(self, command: str, *, timeout_s: float | None = None) -> str:
        """Repeat a command until it exits with status 0 and return its output; raises `GuestError` at the timeout."""
        limit_s = self.limits.command_s if timeout_s is None else timeout_s
        last: list[Completed] = []

        def attempt() -> Completed | None:
            last[:] = [self.run(command, timeout_s=limit_s)]
            return last[0] if last[0].ok else None

        try:
            done = wait_until(attempt, timeout_s=limit_s, describe=repr(_short(command)), interval_s=0.2)
        except MachineLost as error:
            # The guest answered each time, so this is a failure of the test.
            message = _told(error.message, last[0]) if last else error.message
            hint = HINT if last and self._lacks_network(last[0]) else ""
            raise GuestError(message, hint=hint, detail=output_of(last[0]) if last else "") from None
        return done.stdout

    def _lacks_network(self, done: Completed) -> bool:
        return not self.has_network and lacks_network(done.command, done.stderr, done.stdout)

    def put(self, local: Path, remote: str, *, timeout_s: float | None = None) -> None:
        """Copy a file into the guest, with its permission bits; raises `GuestError` when the path is refused."""
        limit_s = self.limits.command_s if timeout_s is None else timeout_s
        self._copy(lambda: self._transport.put(local, remote, timeout_s=limit_s), f"copy {local.name!r} to {remote!r}")

    def get(
        self, remote: str, local: Path, *, timeout_s: float | None = None, max_bytes: int = MOST_FILE_BYTES
    ) -> None:
        """Copy a file out of the guest; raises `GuestError` when it is missing, not readable, or larger than
        `max_bytes`: the guest decides how much it sends."""
        limit_s = self.limits.command_s if timeout_s is None else timeout_s
        self._copy(
            lambda: self._transport.get(remote, local, timeout_s=limit_s, max_bytes=max_bytes), f"copy {remote!r} out"
        )

    def read(self, path: str) -> str:
        """Return the text of a file, read as root; raises `GuestError` for one of more than `MOST_OUTPUT_BYTES`."""
        done = self.root(f"cat {shlex.quote(path)}")
        text = self._demand(done)
        if done.left_out:
            raise GuestError(
                f"cannot read {path!r}: it has more than {MOST_OUTPUT_BYTES} bytes",
                hint="copy it with guest.get(…, max_bytes=…)",
            )
        return text

    def log_out(self) -> None:
        """Close the connection that tests use; the lab's root connection stays open."""
        self._transport.close()

    def close(self) -> None:
        """Close all connections; can be called more than once."""
        self.log_out()
        if self._root is not None:
            self._root.close()

    def _copy(self, act: Callable[[], None], what: str) -> None:
        try:
            act()
            return
        except CommandTooSlow as slow:
            why = str(slow)
        except TransportLost as lost:
            raise self._lost(f"while trying to {what}: {lost}") from None
        except FileTooLarge as large:
            raise GuestError(f"cannot {what}: {large}", hint="pass a larger max_bytes=") from None
        except OSError as error:
            raise GuestError(f"cannot {what}: {error.strerror or error}") from None
        raise self.hung(f"cannot {what}: {why}")

    def broken_by_emulator(self, lines: Sequence[str], *, is_stalled: bool) -> str:
        """Find a breakpoint trap that is the emulator's fault in the kernel's report, or in the registers if the guest
        `is_stalled`. Returns its address; empty when there is none. Takes a second for a stall."""
        if not self.is_emulated:
            return ""
        place = spurious_breakpoint(lines)
        return place or (self._probe.stale_trap() if self._probe and is_stalled else "")

    def hung(self, what: str) -> CommandHung | MachineLost:
        """Error for an operation that timed out; probes the guest and, if possible, its kernel for the reason."""
        self._require_alive()
        silence = self._echo()
        report = self._probe.ask(ssh_answers=not silence, ssh_evidence=silence) if self._probe else None
        if report is not None and silence:
            self.evidence_end = report.nmi_from
        place = report.stale_trap or spurious_breakpoint(report.trace) if report and self.is_emulated else ""
        if place:
            fault = emulator_fault(place, detail=str(report))
            self._silence = fault if silence else None
            return fault
        hung = self._as_error(what, silence, report)
        if isinstance(hung, CommandHung) and report is not None:
            hung.trace = report.trace
        return hung

    def _as_error(self, what: str, silence: str, report: HangReport | None) -> CommandHung | MachineLost:
        detail = str(report) if report else ""
        frame = report.frame if report else None
        module = f"; the hang is in {frame.module}: {frame.function}+{frame.offset:#x}" if frame else ""
        if not silence:
            hint = "pass a larger timeout_s, or find what the command waits for"
            return CommandHung(f"{what}; the guest still answers{module}", hint=hint, detail=detail)
        if report is None or not report.kernel_answers:
            self._silence = self._lost(f"because it does not answer: {silence}", more=detail)
            return self._silence
        self._silence = MachineLost(f"the guest hangs: {silence}", detail=detail)
        return CommandHung(f"{what}; the guest hangs, its kernel answers{module}", hint=report.line, detail=detail)

    def _echo(self) -> str:
        """Send an echo with a nonce to the guest; returns the reason if it does not answer, else empty."""
        nonce = uuid.uuid4().hex
        try:
            answer = self._transport.run(f"echo {nonce}", timeout_s=self.limits.connect_s)
        except (CommandTooSlow, TransportLost) as silence:
            return str(silence)
        return "" if answer.stdout.strip() == nonce else f"it answered {answer.stdout.strip()!r} to an echo"

    def _lost(self, how: str, *, more: str = "") -> MachineLost:
        ended: list[MachineLost] = []

        def has_ended() -> bool:
            try:
                self._require_alive()
            except MachineLost as end:
                ended.append(end)
            return bool(ended)

        # A dying QEMU closes its connections a moment before its parent is notified. A kernel that oopses stops
        # answering before its report is complete.
        said, limit_s = self.console.size(), self.limits.dying_s
        longest_s = _LAST_WORDS * limit_s
        with contextlib.suppress(MachineLost):
            wait_until(has_ended, timeout_s=limit_s, describe="QEMU to end", interval_s=0.05)
        while not ended and self.console.size() > said and limit_s < longest_s:
            said, limit_s = self.console.size(), limit_s + LOOK_S
            with contextlib.suppress(MachineLost):
                wait_until(has_ended, timeout_s=LOOK_S, describe="the console to be quiet", interval_s=0.05)
        self.is_lost = True
        evidence = f"{more}\n{self.console.tail()}".strip()
        return ended[0] if ended else MachineLost(f"the guest was lost {how}", detail=evidence)


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 100 else f"{line[:97]}…"


def _told(message: str, done: Completed) -> str:
    return with_words(message, done.stderr, done.stdout)
