# SPDX-License-Identifier: MIT
"""A command's options may stand anywhere after it; a guest's command keeps its own options."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from vmlab.commands import main as cli
from vmlab.commands import shell
from vmlab.commands.command_line import parse

_ORDERS = {
    "doctor": (["doctor"], [["--json"], ["--vmlab-accel", "tcg"]]),
    "targets": (["targets"], [["--format", "github"], ["--shards", "2"], ["--untried"]]),
    "setup": (["setup"], [["--vmlab-target", "debian12-6.1"]]),
    "symbols": (["symbols", "debian12-6.1"], [["--vmlab-store", "s"], ["--vmlab-patience", "2"]]),
    "compare": (["compare", "a", "b"], [["--margin", "0.1"], ["--json"], ["--any-source"]]),
    "series": (["series", "a"], [["--pyperf", "o"]]),
    "plot": (["plot", "a"], [["--svg", "o"], ["--name", "x"]]),
    "time": (["time", "pread x {n} 1"], [["--n", "1,2"], ["--against", "d"], ["--out", "f"], ["--json"]]),
    "merge": (["report", "merge", "a", "b", "c"], [["--out", "o"], ["--vmlab-target", "debian12-6.1"]]),
    "summary": (["report", "summary"], [["--vmlab-report", "r"]]),
    "durations": (["report", "durations", "a", "--out=o"], [["--vmlab-report", "r"]]),
    "ls": (["images", "ls"], [["--vmlab-store", "s"]]),
    "prune": (["images", "prune", "debian12-6.1", "debian13-7.3"], [["--damaged"], ["--vmlab-store", "s"]]),
    "lock": (["images", "lock", "ubuntu22.04-6.8", "ubuntu24.04-6.8"], [["--vmlab-lock", "l"]]),
    "try": (["images", "try", "ubuntu22.04-6.8"], [["--json"], ["--vmlab-keep"]]),
}
_SHELL = {
    "options first": ["--loaded", "m", "--vmlab-cpus", "1", "debian12-6.1"],
    "options last": ["debian12-6.1", "--loaded", "m", "--vmlab-cpus", "1"],
    "one on each side": ["--loaded", "m", "debian12-6.1", "--vmlab-cpus", "1"],
    "with =": ["debian12-6.1", "--loaded=m", "--vmlab-cpus=1"],
}
_COMMANDS = {
    "one word": (["true"], "true"),
    "its own options": (["uname", "-r"], "uname -r"),
    "after --": (["--", "ls", "-l"], "ls -l"),
    "options that are vmlab's too": (["prog", "--loaded", "x", "--version", "-h"], "prog --loaded x --version -h"),
    "the beginnings of vmlab's options": (["prog", "--vmlab", "--load"], "prog --vmlab --load"),
    "a -- of its own": (["git", "log", "--", "file"], "git log -- file"),
    "numbers": (["tail", "-1", "f"], "tail -1 f"),
}


def _parsed(words: list[str]) -> argparse.Namespace:
    chosen = parse(cli.command_parser(), words)
    del chosen.parser
    return chosen


@pytest.mark.parametrize(("words", "options"), _ORDERS.values(), ids=list(_ORDERS))
def test_options_stand_anywhere_behind_the_command(words: list[str], options: list[list[str]]) -> None:
    flat = [word for option in options for word in option]
    expected = _parsed([*words, *flat])

    # An action's options follow it.
    first = 2 if words[0] in ("images", "report") else 1
    for place in range(first, len(words) + 1):
        assert _parsed([*words[:place], *flat, *words[place:]]) == expected
        backwards = [word for option in reversed(options) for word in option]
        assert _parsed([*words[:place], *backwards, *words[place:]]) == expected


@pytest.mark.parametrize("words", [words for words, _ in _ORDERS.values()], ids=list(_ORDERS))
def test_a_setting_may_stand_before_the_command(words: list[str]) -> None:
    assert _parsed(["--vmlab-cpus", "4", *words]) == _parsed([*words, "--vmlab-cpus", "4"])


@pytest.mark.parametrize(("tail", "command"), _COMMANDS.values(), ids=list(_COMMANDS))
@pytest.mark.parametrize("head", _SHELL.values(), ids=list(_SHELL))
def test_a_guests_command_keeps_its_options(
    head: list[str], tail: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    monkeypatch.setattr(
        shell,
        "into_target",
        lambda lab, name, words, **how: asked.append((lab.settings.cpus, lab.settings.module.name, name, words, how)),
    )

    cli.main(["shell", *head, *tail])

    assert asked == [(1, "m", "debian12-6.1", command, {"is_loaded": True, "is_booted": False})]


@pytest.mark.parametrize("option", ["--network", "--vmlab-network"])
def test_a_shell_has_a_network_if_asked(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shell, "into_target", lambda lab, *_, **__: asked.append(lab.settings.network))

    for words in (["debian12-6.1"], ["debian12-6.1", option], [option, "debian12-6.1", "true"]):
        cli.main(["shell", *words])
    cli.main(["shell", "debian12-6.1", "true", option])  # an option of the guest's command

    assert asked == [False, True, True, False]


@pytest.mark.parametrize("option", ["--network", "--vmlab-network"])
def test_a_kept_guest_is_given_no_network(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli.main(["shell", "kept-4711", option]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vmlab: kept-4711 keeps the network that its test had, or none (vmlab shell kept-4711")


@pytest.mark.parametrize("head", _SHELL.values(), ids=list(_SHELL))
def test_a_shell_takes_no_command(head: list[str]) -> None:
    chosen = _parsed(["shell", *head])

    assert (chosen.name, chosen.loaded, chosen.words) == ("debian12-6.1", "m", [])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["shell"], "shell: the following arguments are required: TARGET (see `vmlab shell --help`)"),
        (["shell", "--loaded", "m"], "shell: the following arguments are required: TARGET (see `vmlab shell --help`)"),
        (["shell", "x", "--loaded"], "--loaded needs DIR[:NAME] (see `vmlab shell --help`)"),
        (["shell", "x", "--vmlab-cpus"], "--vmlab-cpus needs N (see `vmlab shell --help`)"),
        (["shell", "x", "--loadd", "m"], "shell has no option --loadd (did you mean '--loaded'? see `vmlab "),
        (["shell", "x", "--load", "m"], "shell has no option --load (did you mean '--loaded'? see `vmlab "),
        (["doctor", "all"], "doctor does not take 'all' (to select targets use --vmlab-target; see `vmlab doctor"),
        (["series", "a", "b"], "series does not take 'b' (see `vmlab series --help`)"),
        (["images", "ls", "--al"], "images ls has no option --al (see `vmlab images ls --help`)"),
        (["images", "prune", "--al"], "images prune has no option --al (did you mean '--all'? see `vmlab images prune"),
        (["--json", "doctor"], "--json must follow the command: vmlab doctor --json (see `vmlab doctor --help`)"),
        (["targets", "--shards", "x"], "targets: argument --shards: invalid int value: 'x' (see `vmlab targets"),
        (["targets", "--format", "x"], "unknown --format 'x' (known: github, gitlab)"),
        ([], "the following arguments are required: COMMAND (see `vmlab --help`)"),
        (["doctr"], "unknown command 'doctr' (did you mean 'doctor'?)"),
        (["images"], "images: the following arguments are required: ACTION (see `vmlab images --help`)"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2

    shown = capsys.readouterr()
    (told,) = shown.err.splitlines()
    assert told.startswith(f"vmlab: {line}")
    assert shown.out == ""
