# SPDX-License-Identifier: MIT
"""Is this fork what it should be? Asked of the guest in one command, judged here.

A mark is made before the freeze. After it the guest must know the mark, run the same boot, go on in time, and have
been given the host's clock and fresh randomness.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from vmlab.errors import GuestError, MachineLost, VmlabError, hides_frames
from vmlab.guest.guest import Guest

__tracebackhide__ = hides_frames

_NONCE = "/run/vmlab.nonce"
_LATEST_S = 600.0
"""How far a fork's uptime may have gone on from the mark: freezing and thawing stop it, only the proof is in it."""
_CLOCK_S = 2.0
"""How far the guest's clock may be from the host's once it is set, besides the time that the question took."""
_SEED_BYTES = 64
_FORKED = "crng reseeded due to virtual machine fork"
# RNDADDENTROPY and RNDRESEEDCRNG of random(4): the second alone makes the kernel use what the first gave at once.
# perl is in every Debian; the numbers are the same on amd64 and arm64.
_FEED = (
    "perl -e 'open(my $pool, q(>), q(/dev/random)) or die; my $seed = pack(q(H*), $ARGV[0]);"
    " ioctl($pool, 0x40085203, pack(q(iia*), 8 * length $seed, length $seed, $seed)) or die qq(add: $!);"
    " ioctl($pool, 0x5207, 0) or die qq(reseed: $!); print qq(fed\\n)' {seed}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a guest was when it was frozen."""

    nonce: str
    boot_id: str
    machine_id: str
    mac: str
    uptime_s: float
    log_position: int


class ForkUnproved(VmlabError):
    """A fork is not what it should be: it is thrown away, and nothing follows for the module."""


def make_mark(guest: Guest) -> Mark:
    """Write a nonce into a guest that is about to be frozen, and note what it is; `MachineLost` when it cannot say."""
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
        raise MachineLost(f"a guest that is to be frozen does not answer as it should: {error}") from None


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
    """Set a fork's clock, feed its random pool, and check that it is the frozen guest gone on.

    Without real time, as under `-icount sleep=off`, a guest that waits is ahead of the host by as long as it likes.
    Raises `ForkUnproved` with the first thing that is wrong, `MachineLost` when it is gone. Three commands, or two
    where the kernel reseeds by itself: the virtual machine generation identifier tells it (kernels since 5.18
    with CONFIG_VMGENID).
    """
    text = ""
    try:
        before, started = now(), time.monotonic()
        text = guest.as_root(f"{_LOOK}; date -s @{before:.3f} >/dev/null; echo time $(date +%s.%N)")
        took_s = time.monotonic() - started
        if abs(now() - before - took_s) > _CLOCK_S:
            raise ForkUnproved("the host's clock was stepped while a fork's was set by it")
        _judge(_parse(text), mark, asked=before, latest_s=took_s if has_real_time else math.inf)
        has_reseeded = any(_FORKED in record.text for record in guest.log.after(mark.log_position))
    except (KeyError, ValueError) as error:
        raise ForkUnproved(f"a fork's answer is not to be understood: {error}", detail=text) from None
    except GuestError as error:
        # No module's fault: nothing of a test has run in it yet.
        raise ForkUnproved(f"a fork does not answer as it should: {error.message}", detail=error.detail) from None
    if not has_reseeded:
        _feed(guest)


def _feed(guest: Guest) -> None:
    try:
        fed = guest.as_root(_FEED.format(seed=secrets.token_hex(_SEED_BYTES)))
    except GuestError as error:
        raise ForkUnproved("a fork's random pool could not be reseeded", detail=str(error)) from None
    if fed.strip() != "fed":
        raise ForkUnproved(f"a fork's random pool could not be reseeded: it answered {fed.strip()!r}")


def _judge(seen: dict[str, str], mark: Mark, *, asked: float, latest_s: float) -> None:
    for name in ("nonce", "boot_id", "machine_id", "mac"):
        expected = getattr(mark, name)
        if seen[name] != expected:
            raise ForkUnproved(f"a fork's {name} is {seen[name]!r} and was {expected!r} when it was frozen")
    gone_on_s = float(seen["uptime"]) - mark.uptime_s
    if not 0 <= gone_on_s <= max(_LATEST_S, latest_s):
        raise ForkUnproved(f"a fork's monotonic clock went on by {gone_on_s:.2f} s")
    ahead_s = float(seen["time"]) - asked
    if not -_CLOCK_S <= ahead_s <= latest_s + _CLOCK_S:
        raise ForkUnproved(f"a fork's clock was set and is {ahead_s:+.1f} s from the host's")


def _parse(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
