# SPDX-License-Identifier: MIT
"""Reading a command line of `vmlab`: options and words in any order, and one line for what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from vmlab.errors import UsageError, nearest
from vmlab.settings import SETTINGS, Settings

Act = Callable[[argparse.Namespace, Settings], int]
"""Does what a command line asks for; returns the exit status."""

# The settings that a command's help lists: those that it depends on.
CATALOGUE = ("target", "catalogue")
STORE = ("store", "store_gib", "shared_store")
IMAGES = (*STORE, "mirror", "stale_index", "lock", "index_days", "patience")
GUESTS = (*IMAGES, "accel", "memory_mib", "cpus", "known_splats", "report")
BUILDS = ("module", "build", "compiler")


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are `UsageError`. Options have one spelling: an abbreviation could be a guest's option.

    With `is_mixed` options may stand between the words too, which argparse refuses to a parser of subcommands or of
    somebody else's command line.
    """

    def __init__(self, *, is_mixed: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments, allow_abbrev=False)
        self._is_mixed = is_mixed
        self._is_mixing = False

    @property
    def options(self) -> list[str]:
        """All spellings of its options."""
        return list(self._option_string_actions)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # parse_known_intermixed_args() calls this method in turn.
        if not self._is_mixed or self._is_mixing:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False

    def error(self, message: str) -> NoReturn:
        name = _name(self)
        raise UsageError(f"{name}: {message}" if name else message, hint=f"see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse would list all choices, and the commands are more than a handful.
        if action.choices is not None and value not in action.choices:
            what = (action.option_strings or [str(action.metavar or action.dest).lower()])[0]
            known = [str(choice) for choice in action.choices]
            listing = f"{self.prog} --help"
            raise UsageError(f"unknown {what} {value!r}", hint=nearest(str(value), known, listing=listing))


class Commands:
    """The commands of a parser, which are added one by one."""

    def __init__(self, parser: CommandParser, *, metavar: str) -> None:
        self._added = parser.add_subparsers(metavar=metavar, required=True)

    def add(
        self, name: str, act: Act, text: str, *, settings: Iterable[str] = (), is_mixed: bool = True
    ) -> CommandParser:
        """A command that `act` does; its help lists these settings, and it takes all."""
        made: CommandParser = self._added.add_parser(name, help=text, description=text, is_mixed=is_mixed)
        made.set_defaults(act=act, parser=made)
        add_settings(made, shown=frozenset(settings))
        return made

    def group(self, name: str, text: str) -> Commands:
        """A command that has actions."""
        made: CommandParser = self._added.add_parser(name, help=text, description=text)
        made.set_defaults(parser=made)
        add_settings(made)
        return Commands(made, metavar="ACTION")


def add_settings(parser: CommandParser, *, shown: frozenset[str] = frozenset()) -> None:
    """Give a parser an option for each setting, of which its help lists the `shown` ones.

    One that is not given is missing from what is parsed.
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
    """The choices of a command line, with the chosen command's `parser`; `UsageError` for what no command takes."""
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0], chosen.parser)
    namespace: argparse.Namespace = chosen
    return namespace


def _unknown(word: str, command: CommandParser) -> UsageError:
    option, see = word.partition("=")[0], f"see `{command.prog} --help`"
    if not option.startswith("-"):
        return UsageError(f"{_name(command)} does not take {word!r}", hint=see)
    if option in command.options:
        return UsageError(f"{option} must follow the command: {command.prog} {option}", hint=see)
    return UsageError(f"{_name(command)} has no option {option}", hint=f"{_near_option(option, command.options)}{see}")


def _near_option(option: str, options: Iterable[str]) -> str:
    hint = nearest(option, options)
    return f"{hint} " if hint.startswith("did you mean") else ""


def _name(command: CommandParser) -> str:
    return command.prog.partition(" ")[2]
