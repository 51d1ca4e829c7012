# SPDX-License-Identifier: MIT
"""Parser of the `vmlab` command line: options and words in any order, one line per error."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from vmlab.errors import UsageError, closest, nearest
from vmlab.settings import SETTINGS, Settings

_NO_VALUE = re.compile(r"argument (--\S+): expected one argument")

Act = Callable[[argparse.Namespace, Settings], int]
"""Function that runs a command; returns the exit status."""

# Groups of settings. A command's help lists the groups that it depends on.
CATALOGUE = ("target", "catalogue")
STORE = ("store", "store_gib", "shared_store")
IMAGES = (*STORE, "mirror", "stale_index", "lock", "index_days", "patience")
GUESTS = (*IMAGES, "accel", "memory_mib", "cpus", "network", "known_splats", "report")
BUILDS = ("module", "build", "compiler")


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`. It accepts no abbreviations: one could be an option for the guest.

    With `is_mixed`, options may also follow positional words. argparse cannot do this for a parser that has
    subcommands or passes a command line on.
    """

    def __init__(self, *, is_mixed: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments, allow_abbrev=False)
        self._is_mixed = is_mixed
        self._is_mixing = False

    @property
    def options(self) -> list[str]:
        """All option strings."""
        return list(self._option_string_actions)

    @property
    def selects_targets(self) -> bool:
        """True if the command depends on the selected targets."""
        option = self._option_string_actions.get("--vmlab-target")
        return option is not None and option.help != argparse.SUPPRESS

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # parse_known_intermixed_args() calls this method.
        if not self._is_mixed or self._is_mixing:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False

    def error(self, message: str) -> NoReturn:
        name = _name(self)
        missing = _NO_VALUE.match(message)
        if missing:
            option = missing[1].split("/")[0]
            raise UsageError(
                f"{option} needs {self._option_string_actions[option].metavar}", hint=f"see `{self.prog} --help`"
            )
        raise UsageError(f"{name}: {message}" if name else message, hint=f"see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse would list all choices, which is too long for the commands.
        if action.choices is not None and value not in action.choices:
            what = (action.option_strings or [str(action.metavar or action.dest).lower()])[0]
            known = [str(choice) for choice in action.choices]
            listing = f"{self.prog} --help"
            raise UsageError(f"unknown {what} {value!r}", hint=nearest(str(value), known, listing=listing))


class Commands:
    """The subcommands of a parser."""

    def __init__(self, parser: CommandParser, *, metavar: str) -> None:
        self._added = parser.add_subparsers(metavar=metavar, required=True)

    def add(
        self, name: str, act: Act, text: str, *, settings: Iterable[str] = (), is_mixed: bool = True
    ) -> CommandParser:
        """Add a command that runs `act`. It accepts every setting; its help lists only `settings`."""
        made: CommandParser = self._added.add_parser(name, help=text, description=text, is_mixed=is_mixed)
        made.set_defaults(act=act, parser=made)
        add_settings(made, shown=frozenset(settings))
        return made

    def group(self, name: str, text: str) -> Commands:
        """Add a command that has actions, such as `images`."""
        made: CommandParser = self._added.add_parser(name, help=text, description=text)
        made.set_defaults(parser=made)
        add_settings(made)
        return Commands(made, metavar="ACTION")


def add_settings(parser: CommandParser, *, shown: frozenset[str] = frozenset()) -> None:
    """Add an option for each setting to a parser; the help lists only those in `shown`.

    The namespace has no attribute for an option that is not given.
    """
    group = parser.add_argument_group("settings") if shown else parser
    for setting in SETTINGS:
        is_shown = setting.name in shown
        text = f"{setting.help} [{setting.variable}]".replace("%", "%%") if is_shown else argparse.SUPPRESS
        value: dict[str, Any] = (
            {"action": "store_const", "const": "yes"} if setting.is_flag else {"metavar": setting.metavar}
        )
        group.add_argument(setting.option, dest=f"vmlab_{setting.name}", default=argparse.SUPPRESS, help=text, **value)


def parse(parser: CommandParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; the namespace includes the command's `parser`. Raises `UsageError` for an unknown word."""
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0], chosen.parser)
    namespace: argparse.Namespace = chosen
    return namespace


def _unknown(word: str, command: CommandParser) -> UsageError:
    option, see = word.partition("=")[0], f"see `{command.prog} --help`"
    if not option.startswith("-"):
        select = "to select targets use --vmlab-target; " if command.selects_targets else ""
        return UsageError(f"{_name(command)} does not take {word!r}", hint=f"{select}{see}")
    if option in command.options:
        return UsageError(f"{option} must follow the command: {command.prog} {option}", hint=see)
    return UsageError(f"{_name(command)} has no option {option}", hint=f"{_near_option(option, command.options)}{see}")


def _near_option(option: str, options: Iterable[str]) -> str:
    # Without the dashes, which make any two short options alike.
    name = closest(option.lstrip("-"), [known.removeprefix("--") for known in options if known.startswith("--")])
    return f"did you mean '--{name}'? " if name else ""


def _name(command: CommandParser) -> str:
    return command.prog.partition(" ")[2]
