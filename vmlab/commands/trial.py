# SPDX-License-Identifier: MIT
"""`vmlab images build` and `vmlab images try`: build images, and try the publishers' images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from vmlab.catalogue.target import Target
from vmlab.context import Say
from vmlab.decode import unstructure
from vmlab.errors import UsageError, VmlabError
from vmlab.lab.lab import Lab
from vmlab.system.naming import told_of
from vmlab.text import ascii_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Result of trying one target."""

    target: str
    image: str
    is_well: bool
    release: str = ""
    compiler: str = ""
    fault: str = ""
    """Name of the error's class."""
    message: str = ""
    duration_s: float = 0.0


def build_images(lab: Lab, targets: Sequence[Target], *, say: Say) -> bool:
    """Build the images of targets that are not in the store; False if one fails. Costs minutes per image."""
    is_whole = True
    for target in dict.fromkeys(target.stock for target in targets):
        started = time.monotonic()
        try:
            image = lab.testbed(target).image
        except VmlabError as error:
            is_whole = False
            say(f"failed  {told_of(target.id, type(error).__name__, str(error))}")
            continue
        state = f"built in {time.monotonic() - started:.0f} s" if image.is_new else "cached"
        say(f"ok      {target.id}: {image.release}, image {image.digest}, {state}")
    return is_whole


def cloud_targets(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return the targets that run on cloud images, without duplicates; raises `UsageError` if there are none."""
    found = tuple(dict.fromkeys(target.stock for target in targets if target.cloud is not None))
    if not found:
        raise UsageError("none of these targets runs on a cloud image", hint="`vmlab targets` lists all")
    return found


def try_rows(lab: Lab, targets: Sequence[Target], *, say: Say, as_json: bool) -> bool:
    """Rebuild each target's image from its publisher's, fork a guest from it and report; False if one fails.

    Removes the image of an earlier provisioning; reuses a downloaded file that matches the lock."""
    trials = []
    for target in targets:
        trial = _try(lab, target)
        trials.append(trial)
        if not as_json:
            say(_line(trial))
    if as_json:
        say(ascii_json([unstructure(trial) for trial in trials]))
    return all(trial.is_well for trial in trials)


def _try(lab: Lab, target: Target) -> Trial:
    started = time.monotonic()
    image_id = target.cloud.image.id if target.cloud else ""
    for item in lab.store.objects():
        if item.kind in ("image", "snapshot") and item.facts.get("target") == target.id:
            lab.store.remove(item)
    try:
        image = lab.testbed(target).image
        with lab.testbed(target).fork() as running:
            release = running.guest.succeed("uname -r").strip()
    except VmlabError as error:
        return Trial(
            target=target.id,
            image=image_id,
            is_well=False,
            fault=type(error).__name__,
            message=error.one_line,
            duration_s=round(time.monotonic() - started, 1),
        )
    return Trial(
        target=target.id,
        image=image_id,
        is_well=release == image.release,
        release=release,
        compiler=image.compiler,
        message="" if release == image.release else f"expected kernel {image.release}, the fork runs {release}",
        duration_s=round(time.monotonic() - started, 1),
    )


def _line(trial: Trial) -> str:
    took = f"{trial.duration_s:.0f} s"
    if trial.is_well:
        return f"ok      {trial.target}: {trial.release}, {trial.compiler}, {took}"
    return f"failed  {told_of(trial.target, trial.fault, trial.message)} ({took})"
