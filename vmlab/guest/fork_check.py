# SPDX-License-Identifier: MIT
"""Check of a fork: one request in the guest, compared with a mark that was made before the freeze.

The fork must have the mark, the same boot id and a clock that continues. The check also gives it the host's clock and
a fresh random seed.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from vmlab.errors import GuestError, MachineLost, VmlabError, hides_frames
from vmlab.guest.guest import Guest
from vmlab.guest.helper import request

__tracebackhide__ = hides_frames

_NONCE = "/run/vmlab.nonce"
_LATEST_S = 600.0
"""Maximum uptime of a fork since the mark: a frozen guest's uptime stands still, so only the check adds to it."""
_CLOCK_S = 2.0
"""Maximum difference of the guest's clock from the host's once it is set, plus the duration of the command."""
_SEED_BYTES = 64
_FORKED = "crng reseeded due to virtual machine fork"
# RNDADDENTROPY and RNDRESEEDCRNG of random(4): only the second makes the kernel use the new entropy at once.
# perl is in every Debian; the ioctl numbers are the same on amd64 and arm64.
_FEED = (
    "perl -e 'open(my $pool, q(>), q(/dev/random)) or die; my $seed = pack(q(H*), $ARGV[0]);"
    " ioctl($pool, 0x40085203, pack(q(iia*), 8 * length $seed, length $seed, $seed)) or die qq(add: $!);"
    " ioctl($pool, 0x5207, 0) or die qq(reseed: $!); print qq(fed\\n)' {seed}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Identity of a guest when it was frozen."""

    nonce: str
    boot_id: str
    machine_id: str
    mac: str
    uptime_s: float
    log_position: int


class ForkUnproved(VmlabError):
    """A fork failed its check: it is discarded, and the module is not to blame."""


def make_mark(guest: Guest) -> Mark:
    """Write a nonce into a guest before its freeze, and read its identity; raises `MachineLost` when that fails."""
    nonce = secrets.token_hex(16)
    try:
        guest.as_root(f"echo {nonce} >{_NONCE}")
        log_position = guest.log.position()
        seen = _parse(guest.as_root(_LOOK))
        return Mark(
            nonce=nonce,
            boot_id=seen["boot_id"],
            machine_id=seen["machine_id"],
            mac=seen["mac"],
            uptime_s=float(seen["uptime"]),
            log_position=log_position,
        )
    except (GuestError, KeyError, ValueError) as error:
        raise MachineLost(f"unexpected answer of a guest before its freeze: {error}") from None


_LOOK = "; ".join(
    [
        f"word=; read -r word <{_NONCE}; echo nonce $word",
        "word=; read -r word </proc/sys/kernel/random/boot_id; echo boot_id $word",
        "word=; read -r word </etc/machine-id; echo machine_id $word",
        "word=; for link in /sys/class/net/e*; do read -r word <$link/address; done; echo mac $word",
        "word=; read -r word rest </proc/uptime; echo uptime $word",
    ]
)


def prove_fork(guest: Guest, mark: Mark, *, has_real_time: bool = True, now: Callable[[], float] = time.time) -> None:
    """Set a fork's clock, seed its random pool, and check that it continues the frozen guest.

    Without real time, as under `-icount sleep=off`, an idle guest's clock may be ahead of the host's by any amount.
    Raises `ForkUnproved` with the first failed check, `MachineLost` when the guest is gone. Costs a request of the
    helper. Without it, three commands, or two if the kernel reseeds itself because of the virtual machine generation
    identifier (since 5.18, with CONFIG_VMGENID).
    """
    text = ""
    try:
        before, started = now(), time.monotonic()
        text = guest.as_root(
            request(
                "prove",
                f"{before:.6f} {secrets.token_hex(_SEED_BYTES)}",
                otherwise=f"{_LOOK}; date -s @{before:.3f} >/dev/null; echo time $(date +%s.%N)",
            )
        )
        took_s = time.monotonic() - started
        if abs(now() - before - took_s) > _CLOCK_S:
            raise ForkUnproved("the host's clock was stepped while it was copied to a fork")
        seen = _parse(text)
        _judge(seen, mark, asked=before, latest_s=took_s if has_real_time else math.inf)
        has_reseeded = seen.get("seed") == "fed" or any(
            _FORKED in record.text for record in guest.log.after(mark.log_position)
        )
    except (KeyError, ValueError) as error:
        raise ForkUnproved(f"cannot parse a fork's answer: {error}", detail=text) from None
    except GuestError as error:
        # Not the module's fault: no test has run in this fork yet.
        raise ForkUnproved(f"the check of a fork failed: {error.message}", detail=error.detail) from None
    if not has_reseeded:
        _feed(guest)


def _feed(guest: Guest) -> None:
    try:
        fed = guest.as_root(_FEED.format(seed=secrets.token_hex(_SEED_BYTES)))
    except GuestError as error:
        raise ForkUnproved("cannot reseed a fork's random pool", detail=str(error)) from None
    if fed.strip() != "fed":
        raise ForkUnproved(f"cannot reseed a fork's random pool: the answer is {fed.strip()!r}, expected 'fed'")


def _judge(seen: dict[str, str], mark: Mark, *, asked: float, latest_s: float) -> None:
    for name in ("nonce", "boot_id", "machine_id", "mac"):
        expected = getattr(mark, name)
        if seen[name] != expected:
            raise ForkUnproved(f"a fork's {name} is {seen[name]!r}, expected {expected!r} as before the freeze")
    gone_on_s = float(seen["uptime"]) - mark.uptime_s
    if not 0 <= gone_on_s <= max(_LATEST_S, latest_s):
        raise ForkUnproved(f"a fork's uptime is {gone_on_s:+.2f} s from the one before the freeze")
    ahead_s = float(seen["time"]) - asked
    if not -_CLOCK_S <= ahead_s <= latest_s + _CLOCK_S:
        raise ForkUnproved(f"a fork's clock is {ahead_s:+.1f} s from the host's after it was set")


def _parse(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
