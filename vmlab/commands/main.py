# SPDX-License-Identifier: MIT
"""The `vmlab` command. No logic of its own."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vmlab import __version__
from vmlab.commands.command_line import CommandParser, add_settings, parse
from vmlab.commands.report import add_report_commands
from vmlab.context import Say
from vmlab.errors import UsageError, VmlabError
from vmlab.settings import SETTINGS, Settings, load_settings

if TYPE_CHECKING:
    from vmlab.lab.lab import Lab

_INTERRUPTED = 130
_OPERATIONS = (
    "such as 'pread /dev/fibonacci {n} 300': pread, read or pwrite PATH OFFSET SIZE; ioctl PATH REQUEST SIZE; "
    "command PROGRAM WORD...; loop ROUNDS; syscall"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 fine, 1 a fault, 2 wrong usage, 130 interrupted."""
    try:
        chosen = parse(command_parser(), arguments)
        settings = load_settings(
            {setting.name: getattr(chosen, f"vmlab_{setting.name}", None) for setting in SETTINGS}, directory=Path.cwd()
        )
        act: Callable[[argparse.Namespace, Settings], int] = chosen.act
        return act(chosen, settings)
    except VmlabError as error:
        print(f"vmlab: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("vmlab: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # `vmlab targets | head`: nobody reads on, and that is fine.
        sys.stderr.close()
        return 0


def command_parser() -> CommandParser:
    """The parser of every command and option there is."""
    parser = CommandParser(prog="vmlab", description="A test lab for out-of-tree Linux kernel modules.")
    parser.add_argument("--version", action="version", version=f"vmlab {__version__}")
    add_settings(parser, is_shown=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, act: Callable[[argparse.Namespace, Settings], int], text: str, *, is_mixed: bool = True
    ) -> CommandParser:
        made: CommandParser = commands.add_parser(name, help=text, description=text, is_mixed=is_mixed)
        made.set_defaults(act=act, parser=made)
        add_settings(made, is_shown=True)
        return made

    targets = command("targets", _targets, "list the kernels there are to test on, or make a matrix of jobs of them")
    targets.add_argument("--format", choices=("github", "gitlab"), help="those that would run now, as a job matrix")
    targets.add_argument(
        "--untried", action="store_true", help="with --format: only rows that nobody saw work from their publisher"
    )
    targets.add_argument("--shards", type=int, default=1, metavar="N", help="with --format: so many jobs for each")
    doctor = command("doctor", _doctor, "say what this host can do, and what to type to improve it")
    doctor.add_argument("--json", action="store_true", help="for a bug report")
    command("setup", _setup, "install what the chosen targets need on this host, as root or with passwordless sudo")
    shell = command(
        "shell", _shell, "open a shell in a fork of a target's guest, or in a guest that was kept", is_mixed=False
    )
    shell.usage = "vmlab shell TARGET [--loaded DIR] [--booted] [SETTING ...] [--] [COMMAND ...]"
    shell.add_argument("name", metavar="TARGET", help="a target, or the name of a kept guest: kept-4711")
    shell.add_argument("--loaded", metavar="DIR", help="with the module in this directory built and loaded")
    shell.add_argument("--booted", action="store_true", help="boot it instead of forking it")
    words = shell.add_argument(
        "words",
        # Unlike REMAINDER it begins with a word, so options may stand before that.
        nargs=argparse.PARSER,
        default=[],
        metavar="COMMAND",
        help="run this instead, and end with its status; what follows its first word, or --, belongs to it",
    )
    words.required = False
    symbols = command("symbols", _symbols, "fetch a target's kernel symbols, for drgn, and print where they are")
    symbols.add_argument("name", metavar="TARGET")
    command("reap", _reap, "end kept guests, and remove what killed runs and power cuts left")
    images = command(
        "images",
        _images,
        "what is in the store: ls, verify, prune, rm, refresh; make images: build; what a cache of them goes by: key; "
        "which cloud images are fetched, and whether they work: lock, check, try",
    )
    images.add_argument(
        "action",
        metavar="ACTION",
        choices=("ls", "verify", "prune", "rm", "refresh", "build", "key", "lock", "check", "try"),
        help="one of %(choices)s",
    )
    images.add_argument(
        "names", nargs="*", default=[], metavar="TARGET", help="only these targets' images; lock, check: or images"
    )
    images.add_argument("--all", action="store_true", help="prune: everything, also what is in use by the matrix")
    images.add_argument("--damaged", action="store_true", help="prune: only what is damaged")
    images.add_argument("--json", action="store_true", help="try: for a program")
    _add_series_commands(command)
    add_report_commands(command)
    return parser


def _add_series_commands(command: Callable[..., CommandParser]) -> None:
    timing = command(
        "time", _time, "time a device's operation or a program on the chosen kernels, or two modules by it"
    )
    timing.add_argument("operation", metavar="OPERATION", help=_OPERATIONS)
    timing.add_argument("--n", metavar="SIZES", help="what {n} is to be: 10,100,1000")
    timing.add_argument("--against", type=Path, metavar="DIR", help="the module before the change; measured in turns")
    timing.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the figures for `vmlab compare` and `vmlab plot`"
    )
    timing.add_argument("--json", action="store_true", help="with --against: the comparison for a program")
    compare = command("compare", _compare, "say what became slower, what faster, and what nobody can tell")
    compare.add_argument("before", type=Path, metavar="BEFORE", help="a results.json, its directory, or a series file")
    compare.add_argument("after", type=Path, metavar="AFTER", help="the same, measured later")
    compare.add_argument(
        "--margin", type=float, default=None, metavar="SHARE", help="what differs by less is the same; 0.05 is 5 %%"
    )
    compare.add_argument("--any-source", action="store_true", help="show series of different sources or units anyway")
    compare.add_argument("--json", action="store_true", help="for a program")
    series = command("series", _series, "list what was measured, or hand it to pyperf")
    series.add_argument("file", type=Path, metavar="FILE", help="a results.json, its directory, or a series file")
    series.add_argument("--pyperf", type=Path, metavar="OUT", help="write all samples as a file that pyperf reads")
    plot = command("plot", _plot, "draw cost against n, a line per kernel")
    plot.add_argument("file", type=Path, metavar="FILE", help="a results.json, its directory, or a series file")
    plot.add_argument("--svg", type=Path, metavar="OUT", help="write a picture instead of text")
    plot.add_argument("--name", metavar="SERIES", help="only this series")


def _lab(settings: Settings) -> Lab:
    from vmlab.lab.lab import Lab

    return Lab(settings, progress=_progress(), notice=lambda text: print(f"note: {text}", file=sys.stderr))


def _progress() -> Say:
    shown = ""
    is_terminal = sys.stderr.isatty()

    def progress(text: str) -> None:
        nonlocal shown
        if is_terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            step = ":".join(text.split(":")[:2])
            if step != shown:
                print(step, file=sys.stderr, flush=True)
            shown = step

    return progress


def _targets(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.cloud.lock import lock_of
    from vmlab.report.job_matrix import JobFormat, is_untried, job_matrix
    from vmlab.report.listing import print_targets

    lab = _lab(settings)
    if chosen.format is not None:
        rows = [target for target in lab.targets if not chosen.untried or is_untried(target)]
        print(job_matrix(rows, JobFormat(chosen.format), shards=chosen.shards))
        return 0
    print_targets(lab.matrix, lab.store, lock_of(settings), chosen=lab.targets)
    return 0


def _doctor(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.doctor.doctor import examine
    from vmlab.report.listing import print_facts

    facts, is_usable = examine(_lab(settings))
    print_facts(facts, as_json=chosen.json)
    return 0 if is_usable else 1


def _setup(_: argparse.Namespace, settings: Settings) -> int:
    from vmlab.catalogue.matrix import load_matrix
    from vmlab.catalogue.target import architectures_of, uefi_architectures_of
    from vmlab.host.install import set_up

    chosen = load_matrix(own=settings.catalogue).select(settings.target)
    set_up(
        lambda text: print(f"vmlab: {text}", flush=True),
        architectures_of(chosen),
        uefi=uefi_architectures_of(chosen),
    )
    return 0


def _shell(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import shell

    # Python 3.11 leaves the -- in front of the words, later ones do not.
    command = " ".join(chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words)
    if chosen.name.startswith("kept-"):
        return shell.into_kept(_lab(settings), chosen.name, command)
    if chosen.loaded is not None:
        settings = dataclasses.replace(settings, module=Path(chosen.loaded).absolute())
    return shell.into_target(
        _lab(settings), chosen.name, command, is_loaded=chosen.loaded is not None, is_booted=chosen.booted
    )


def _symbols(chosen: argparse.Namespace, settings: Settings) -> int:
    lab = _lab(settings)
    for target in lab.matrix.select(chosen.name):
        print(lab.testbed(target).vmlinux())
    return 0


def _reap(_: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep

    upkeep.reap(_lab(settings), say=print)
    return 0


def _images(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import upkeep
    from vmlab.report.listing import print_objects

    lab = _lab(settings)
    if chosen.action in ("lock", "check"):
        return _ask_publishers(lab, chosen)
    if chosen.action in ("build", "try"):
        return _make_images(lab, chosen)
    if chosen.action == "rm":
        return 0 if upkeep.remove(lab, chosen.names, say=print) else 1
    # An image does not know how it will be started.
    targets = (
        tuple({target.stock: None for target in lab.matrix.select(",".join(chosen.names))}) if chosen.names else ()
    )
    if chosen.action == "ls":
        print_objects(lab.store, upkeep.chosen_objects(lab.store, targets))
    elif chosen.action == "verify":
        return 0 if upkeep.verify(lab.store, targets, say=print) else 1
    elif chosen.action == "refresh":
        upkeep.refresh(lab, targets or lab.targets, say=print)
    elif chosen.action == "key":
        print(upkeep.cache_key(lab, targets or lab.targets))
    else:
        upkeep.prune(lab, targets, is_all=chosen.all, is_damaged_only=chosen.damaged, say=print)
    return 0


def _ask_publishers(lab: Lab, chosen: argparse.Namespace) -> int:
    from vmlab.cloud.lock import lock_of
    from vmlab.commands import publishers

    images = publishers.chosen_images(lab.matrix, chosen.names)
    if chosen.action == "check":
        return 0 if publishers.check_images(images, lab.settings, say=print) else 1
    is_whole = publishers.lock_images(images, lab.settings, say=print)
    path = lock_of(lab.settings).path
    if path.exists():
        print(f"lock: {path}")
    return 0 if is_whole else 1


def _make_images(lab: Lab, chosen: argparse.Namespace) -> int:
    from vmlab.commands import trial

    globs = ",".join(chosen.names)
    if chosen.action == "build":
        return 0 if trial.build_images(lab, lab.matrix.select(globs) if globs else lab.targets, say=print) else 1
    rows = trial.cloud_targets(lab.matrix.select(globs or "cloud"))
    return 0 if trial.try_rows(lab, rows, say=print, as_json=chosen.json) else 1


def _time(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import ad_hoc
    from vmlab.timing.compare import Rules

    sizes = ad_hoc.sizes_of(chosen.operation, chosen.n)
    question = ad_hoc.Question(operation=chosen.operation, sizes=tuple(sizes))
    lab = _lab(settings)
    if chosen.against is None:
        return ad_hoc.time_alone(lab, question, out=chosen.out)
    before = chosen.against.absolute()
    return ad_hoc.time_against(lab, before, question, Rules(), out=chosen.out, as_json=chosen.json)


def _compare(chosen: argparse.Namespace, _: Settings) -> int:
    from vmlab.report.comparison import compare_files
    from vmlab.timing.compare import MARGIN, Rules

    margin = MARGIN if chosen.margin is None else chosen.margin
    rules = Rules(margin=margin, is_any_source=chosen.any_source)
    return compare_files(chosen.before, chosen.after, rules, as_json=chosen.json)


def _series(chosen: argparse.Namespace, _: Settings) -> int:
    from vmlab.report.measurements import export_pyperf, print_series
    from vmlab.report.series_files import read_series

    document = read_series(chosen.file)
    if chosen.pyperf is not None:
        export_pyperf(document, chosen.pyperf)
    else:
        print_series(document)
    return 0


def _plot(chosen: argparse.Namespace, _: Settings) -> int:
    from vmlab.report.measurements import draw
    from vmlab.report.series_files import read_series

    draw(read_series(chosen.file), svg_file=chosen.svg, name=chosen.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
