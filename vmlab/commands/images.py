# SPDX-License-Identifier: MIT
"""`vmlab images`: maintains the store, builds images and queries publishers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from vmlab.commands.command_line import BUILDS, CATALOGUE, GUESTS, IMAGES, STORE, CommandParser, Commands
from vmlab.commands.open_lab import open_lab
from vmlab.settings import Settings
from vmlab.system.output import say

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target
    from vmlab.lab.lab import Lab

_TARGETS = "only these targets' images"


def add_commands(commands: Commands) -> None:
    """Add the command and its actions."""
    images = commands.group("images", "maintain the store, build images, query the publishers of cloud images")
    held = ("catalogue", *STORE)
    _named(images.add("ls", _ls, "list what the store holds", settings=held), _TARGETS)
    _named(images.add("verify", _verify, "verify all hashes; exits with 1 if an object is damaged", settings=held))
    prune = images.add("prune", _prune, "remove the objects that no run uses any more", settings=held)
    _named(prune, "remove all objects of these targets instead, as rm does")
    only = prune.add_mutually_exclusive_group()
    only.add_argument("--all", action="store_true", help="remove everything, including what the matrix uses")
    only.add_argument("--damaged", action="store_true", help="remove only damaged objects")
    _named(
        images.add("rm", _rm, "remove all objects of targets, or objects by digest", settings=held),
        "a target, a digest from `vmlab images ls`, or the id of a publisher's image",
    )
    _named(
        images.add(
            "refresh",
            _refresh,
            "query the package index again; the next run builds the images that changed",
            settings=(*CATALOGUE, *IMAGES),
        )
    )
    build = images.add("build", _build, "build the images that are missing", settings=(*CATALOGUE, *GUESTS))
    _named(build, "these targets; default: the selected ones")
    key = images.add("key", _key, "print a cache key for the images", settings=(*CATALOGUE, "lock"))
    _named(key, "these targets; default: the selected ones")
    which = "targets on cloud images, or publishers' images; default: all"
    lock = images.add("lock", _lock, "lock the files that publishers offer now", settings=("catalogue", "lock"))
    _named(lock, which)
    lock.add_argument(
        "--unchecked", action="store_true", help="also lock files whose list's signature this host cannot check"
    )
    check = images.add("check", _check, "list the locked files that changed since", settings=("catalogue", "lock"))
    _named(check, which)
    attempt = images.add(
        "try",
        _try,
        "rebuild the images of targets on cloud images, fork a guest from each and report the result",
        settings=(*CATALOGUE, *GUESTS, *BUILDS),
    )
    _named(attempt, "these targets; default: all on cloud images")
    attempt.add_argument("--json", action="store_true", help="print JSON")


def _named(parser: CommandParser, text: str = _TARGETS) -> None:
    parser.add_argument("names", nargs="*", default=[], metavar="TARGET", help=text)


def _stock(lab: Lab, chosen: argparse.Namespace) -> tuple[Target, ...]:
    """Return the named targets without their boot variant: all variants share one image."""
    return tuple({target.stock: None for target in lab.matrix.select(",".join(chosen.names))}) if chosen.names else ()


def _ls(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands.upkeep import chosen_objects
    from vmlab.report.listing import print_objects

    lab = open_lab(settings)
    print_objects(lab.store, chosen_objects(lab.store, _stock(lab, chosen)))
    return 0


def _verify(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep

    lab = open_lab(settings)
    return 0 if upkeep.verify(lab.store, _stock(lab, chosen), say=say) else 1


def _prune(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep

    lab = open_lab(settings)
    upkeep.prune(lab, _stock(lab, chosen), is_all=chosen.all, is_damaged_only=chosen.damaged, say=say)
    return 0


def _rm(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep

    return 0 if upkeep.remove(open_lab(settings), chosen.names, say=say) else 1


def _refresh(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep

    lab = open_lab(settings)
    upkeep.refresh(lab, _stock(lab, chosen) or lab.targets, say=say)
    return 0


def _key(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep

    lab = open_lab(settings)
    say(upkeep.cache_key(lab, _stock(lab, chosen) or lab.targets))
    return 0


def _build(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import trial

    lab = open_lab(settings)
    targets = lab.matrix.select(",".join(chosen.names)) if chosen.names else lab.targets
    return 0 if trial.build_images(lab, targets, say=say) else 1


def _try(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import trial

    lab = open_lab(settings)
    rows = trial.cloud_targets(lab.matrix.select(",".join(chosen.names) or "cloud"))
    return 0 if trial.try_rows(lab, rows, say=say, as_json=chosen.json) else 1


def _lock(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.cloud.lock import lock_of
    from vmlab.commands import publishers

    images = publishers.chosen_images(open_lab(settings).matrix, chosen.names)
    is_whole = publishers.lock_images(images, settings, say=say, is_unchecked_accepted=chosen.unchecked)
    path = lock_of(settings).path
    if path.exists():
        say(f"lock: {path}")
    return 0 if is_whole else 1


def _check(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import publishers

    images = publishers.chosen_images(open_lab(settings).matrix, chosen.names)
    return 0 if publishers.check_images(images, settings, say=say) else 1
