# SPDX-License-Identifier: MIT
"""First boot of a cloud image's guest: cloud-init configures it and may reboot it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from vmlab.cloud import cloud_init
from vmlab.cloud.cloud_init import Look, Verdict
from vmlab.context import Say, silent
from vmlab.errors import AssetError, MachineLost
from vmlab.guest.transport import CommandTooSlow, Completed, Transport, TransportLost, output_of
from vmlab.machine.console import Console
from vmlab.reason.command import with_words
from vmlab.system.wait import wait_until

_MOST_REBOOTS = 3
"""Number of reboots without a request after which the first boot has failed."""
LOOK_S = 1.0
_LOGS = (
    "sudo -n sh -c '"
    "tail -n 20 /var/log/cloud-init-output.log; echo ...; "
    'grep -E "WARNING|ERROR|CRITICAL" /var/log/cloud-init.log | tail -n 10; echo ...; '
    "tail -n 4 /var/log/cloud-init.log'"
)
"""Command that prints the modules' output, warnings and errors, and the end of the log."""


class FirstBoot:
    """A connection to such a guest, opened again after a reboot.

    `open_transport` waits for SSH. `require_alive` raises `MachineLost` when QEMU has ended or the kernel panicked.
    `has_powered_off` is true if QEMU ended because the guest powered off. `return_s` limits the query of the boot id
    once SSH is back. A fault of the image is an `AssetError`; a guest lost for an unknown reason is a `MachineLost`.
    """

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        *,
        name: str,
        console: Console,
        require_alive: Callable[[], None],
        has_powered_off: Callable[[], bool],
        return_s: float,
        notice: Say = silent,
        log: Path | None = None,
    ) -> None:
        self.name = name
        self._open = open_transport
        self._transport: Transport | None = None
        self._console = console
        self._require_alive = require_alive
        self._has_powered_off = has_powered_off
        self._return_s = return_s
        self._notice = notice
        self._log = log
        self._boot = ""
        """Id of the boot that must last; empty while the guest may reboot."""

    # --- commands

    def run(self, command: str, *, timeout_s: float, what: str) -> Completed:
        """Run a shell command as the image's user; `what` names it in errors.

        Raises `AssetError` when it takes longer than `timeout_s`, `MachineLost` when the guest is lost.
        """
        try:
            done = self._connected().run(command, timeout_s=timeout_s)
        except CommandTooSlow:
            self._let_go()
            raise AssetError(
                f"{self.name}: {what} took longer than {timeout_s:.0f} s",
                hint="see the console below; on a slow host raise --vmlab-patience",
                detail=self._console.tail(),
            ) from None
        except TransportLost as lost:
            raise self._gone(f"during {what}: {lost}") from None
        self._write(command, done)
        return done

    def succeed(self, command: str, *, timeout_s: float, what: str) -> str:
        """Run a command and return its output; raises `AssetError` with the output if its status is not 0."""
        done = self.run(command, timeout_s=timeout_s, what=what)
        if not done.ok:
            message = with_words(f"{self.name}: {what} ended with status {done.status}", done.stderr, done.stdout)
            raise AssetError(message, detail=output_of(done))
        return done.stdout

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        """Copy a file into the guest."""
        try:
            self._connected().put(local, remote, timeout_s=timeout_s)
        except (CommandTooSlow, TransportLost, OSError) as error:
            raise self._gone(f"while {local.name} was copied in: {error}") from None

    def close(self) -> None:
        """Close the connection; safe to call again."""
        self._let_go()

    # --- cloud-init

    def await_cloud_init(self, *, timeout_s: float, command_s: float) -> None:
        """Wait until cloud-init reports success, across the reboots that it causes.

        `timeout_s` limits the whole wait, `command_s` one query. Raises `AssetError` when cloud-init reports errors,
        does not end, keeps rebooting or powers the guest off. Recoverable errors become notices.
        """
        seen: list[Look] = []
        try:
            verdict = wait_until(
                lambda: self._look(seen, command_s), timeout_s=timeout_s, describe="cloud-init", interval_s=LOOK_S
            )
        except MachineLost:
            self._require_alive_by_itself("while cloud-init ran")
            if not seen or self._transport is None:
                raise
            stage = seen[-1].stage
            where = f"its stage {stage!r} is still running" if stage else "no stage is running"
            raise AssetError(
                f"{self.name}: cloud-init has not ended after {timeout_s:.0f} s: {where}",
                hint="see its log below; on a slow host raise --vmlab-patience",
                detail=self._cloud_init_log(command_s),
            ) from None
        if not verdict.is_well:
            raise AssetError(
                f"{self.name}: cloud-init failed: {_line(verdict.errors[0])}",
                hint="see its log below",
                detail=self._cloud_init_log(command_s),
            )
        for warning in verdict.warnings[:3]:
            self._notice(f"{self.name}: cloud-init warns: {_line(warning)}")

    def _look(self, seen: list[Look], command_s: float) -> Verdict | None:
        """Return cloud-init's outcome, or None while it runs; a rebooted guest is queried again when it is back."""
        try:
            look = cloud_init.read_look(self._connected().run(cloud_init.LOOK, timeout_s=command_s).stdout)
            self._count_boots(seen, look)
            if not look.is_finished:
                return None
            done = self._connected().run(cloud_init.VERDICT, timeout_s=command_s)
        except (CommandTooSlow, TransportLost):
            # The guest is rebooting or lost: the next connection shows which.
            self._let_go()
            self._require_alive_by_itself("while cloud-init ran")
            return None
        self._write(cloud_init.VERDICT, done)
        self._boot = look.boot_id
        return cloud_init.read_verdict(done.status, done.stdout, look)

    def _count_boots(self, seen: list[Look], look: Look) -> None:
        if seen and look.boot_id != seen[-1].boot_id:
            reboots = len({earlier.boot_id for earlier in seen})
            self._notice(f"{self.name}: the guest rebooted on its own while cloud-init ran")
            if reboots >= _MOST_REBOOTS:
                raise AssetError(
                    f"{self.name}: the guest rebooted on its own {reboots} times while cloud-init ran",
                    hint="see the console below",
                    detail=self._console.tail(),
                )
        seen.append(look)

    def _cloud_init_log(self, command_s: float) -> str:
        """Return the end of cloud-init's logs; the console's tail if they cannot be read."""
        with contextlib.suppress(CommandTooSlow, TransportLost, MachineLost):
            done = self._connected().run(_LOGS, timeout_s=command_s)
            if done.stdout.strip():
                self._write("cloud-init's logs", done)
                return done.stdout
        return self._console.tail()

    # --- reboots

    def reboot(self, *, timeout_s: float, command_s: float) -> None:
        """Reboot the guest, and wait until another boot answers; raises `MachineLost` when none does."""
        before, self._boot = self._boot_id(command_s), ""
        with contextlib.suppress(CommandTooSlow, TransportLost):
            self._connected().run("sudo -n systemctl reboot", timeout_s=command_s)

        def is_back() -> bool:
            try:
                self._boot = self._boot_id(command_s)
                return self._boot != before
            except (CommandTooSlow, TransportLost):
                self._let_go()
                self._require_alive_by_itself("instead of rebooting")
                return False

        wait_until(
            is_back, timeout_s=timeout_s, describe=f"{self.name} to reboot", interval_s=LOOK_S,
            evidence=self._console.tail,
        )  # fmt: skip

    def power_off(self, *, timeout_s: float, command_s: float) -> None:
        """Power the guest off, and wait until it is off; raises `MachineLost` when it stays on."""
        with contextlib.suppress(CommandTooSlow, TransportLost):
            self._connected().run("sudo -n systemctl poweroff", timeout_s=command_s)
        self._let_go()
        wait_until(
            self._has_powered_off,
            timeout_s=timeout_s,
            describe=f"{self.name} to power off",
            evidence=self._console.tail,
        )

    def _boot_id(self, command_s: float) -> str:
        return self._connected().run("cat /proc/sys/kernel/random/boot_id", timeout_s=command_s).stdout.strip()

    # --- the connection

    def _connected(self) -> Transport:
        if self._transport is None:
            self._transport = self._open()
        return self._transport

    def _let_go(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _gone(self, how: str) -> MachineLost | AssetError:
        self._let_go()
        try:
            self._require_alive_by_itself(how)
            if self._boot and self._boot_id(self._return_s) != self._boot:
                return AssetError(
                    f"{self.name}: the guest rebooted on its own {how}",
                    hint="see the console below",
                    detail=self._console.tail(),
                )
        except (MachineLost, AssetError) as error:
            return error
        except (CommandTooSlow, TransportLost):
            pass
        return MachineLost(f"{self.name}: the guest was lost {how}", detail=self._console.tail())

    def _require_alive_by_itself(self, when: str) -> None:
        """Call `require_alive`; raises `AssetError` for a guest that powered off by itself: the image did that."""
        if self._has_powered_off():
            raise AssetError(
                f"{self.name}: the guest powered off {when}",
                hint="see the console below",
                detail=self._console.tail(),
            )
        self._require_alive()

    def _write(self, command: str, done: Completed) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"$ {command}\n{done.stdout}{done.stderr}\n")


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
