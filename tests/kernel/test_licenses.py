# SPDX-License-Identifier: MIT
"""Effect of a module's license on the symbols it may use: at modpost, at load, and through another module."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from vmlab.catalogue.target import Target
from vmlab.lab.testbed import Testbed

from .bench import Bench, Step, transcript
from .elf import Object
from .finding import Note
from .kit import USERS, Kit, user_name
from .license import LICENSES, License
from .release import line_of

_MARK = "vmlab-step "
_LOG = {"log": "dmesg -t"}
_PROPRIETARY = 1
"""Bit of TAINT_PROPRIETARY_MODULE (Documentation/admin-guide/tainted-kernels.rst)."""


@pytest.fixture(scope="module")
def tainted(vmlab_testbed: Testbed, kit: Kit) -> Iterator[Bench]:
    """A separate fork for this file's tests, because taint is permanent. Cost: a fork, once per target."""
    with vmlab_testbed.fork() as running:
        yield Bench(running.guest, kit)


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "tainted" in request.fixturenames:
        bench: Bench = request.getfixturevalue("tainted")
        bench.clear()


def test_modpost_lets_compatible_licenses_use_gpl_symbols(kit: Kit, target: Target, finding: Note) -> None:
    """Key `symbol.modpost`: modpost's messages; facts: `gpl_SLUG` and `plain_SLUG`, `ok` or `refused`."""
    said = {user_name(kind, each): kit.modpost[user_name(kind, each)] for kind in USERS for each in LICENSES}
    refused = {name for name, line in said.items() if line}
    assert refused == {user_name("gpl", each) for each in LICENSES if not each.is_compatible}
    assert all("GPL-only symbol 'vmlab_gpl'" in said[name] for name in refused)
    finding(
        "symbol.modpost",
        command=f"make -C /lib/modules/{kit.release}/build M=$PWD modules",
        output="\n".join(line for line in said.values() if line),
        **{name: "refused" if line else "ok" for name, line in said.items()},
    )


def _load(name: str, module: str) -> dict[str, str]:
    """Steps that load and inspect a module. `_LOG` reads the log once for all of them, separated by marks: each process
    costs time under emulation."""
    return {
        f"{name} load": f"echo '<6>{_MARK}{name}' >/dev/kmsg; insmod {name}.ko",
        f"{name} taint": f"read taint </sys/module/{module}/taint && echo $taint",
    }


def _unload(*modules: str) -> str:
    """A command that unloads those of the modules that are loaded."""
    names = " ".join(modules)
    return f'set --; for m in {names}; do [ ! -d /sys/module/$m ] || set -- "$@" $m; done; [ $# = 0 ] || rmmod "$@"'


def _logs(steps: dict[str, Step]) -> dict[str, str]:
    """Log lines of each module, by the name it was loaded by."""
    _, *parts = steps["log"].output.split(_MARK)
    return {name: log.strip("\n") for name, _, log in (part.partition("\n") for part in parts)}


def _result(steps: dict[str, Step], name: str) -> str:
    """`ok` with the module's taint, or the error that insmod printed."""
    load = steps[f"{name} load"]
    return f"ok {steps[f'{name} taint'].output}" if load.status == 0 else load.output.rpartition(": ")[2]


def _shown(steps: dict[str, Step], name: str, module: str) -> str:
    """The steps as a reader sees them."""
    load, taint = (steps[f"{name} {what}"] for what in ("load", "taint"))
    lines = [f"# insmod {name}.ko", load.output, "# dmesg -tc", _logs(steps)[name]]
    if load.status == 0:
        lines += [f"# cat /sys/module/{module}/taint", taint.output]
    return "\n".join(line for line in lines if line)


def _expected(kind: str, license: License) -> str:
    if license.is_compatible:
        return "ok OE"
    return "ok POE" if kind == "plain" else "Unknown symbol in module"


def test_each_license_string_at_load(tainted: Bench, finding: Note) -> None:
    """Key `symbol.license.SLUG`. O is out-of-tree, E unsigned, P proprietary. A module that may not use a symbol gets
    the error for a missing one: find_symbol() skips it."""
    names = [user_name(kind, each) for kind in USERS for each in LICENSES]
    commands = {"lender": "insmod lender.ko", "clear": "dmesg -C", "before": "cat /proc/sys/kernel/tainted"}
    for each in LICENSES:
        for kind in USERS:
            commands |= _load(user_name(kind, each), f"{kind}_user")
        commands[f"{each.slug} away"] = _unload(*(f"{kind}_user" for kind in USERS))
    commands |= {**_LOG, "after": "cat /proc/sys/kernel/tainted", "away": "rmmod lender"}
    steps = tainted.steps(commands)
    logs = _logs(steps)
    expected = {user_name(kind, each): _expected(kind, each) for kind in USERS for each in LICENSES}
    assert {name: _result(steps, name) for name in names} == expected
    for each in LICENSES:
        refused = logs[f"gpl_{each.slug}"]
        assert ("gpl_user: Unknown symbol vmlab_gpl (err -2)" in refused) is not each.is_compatible
    assert not int(steps["before"].output) & _PROPRIETARY
    assert int(steps["after"].output) & _PROPRIETARY
    # Logged once, for the first: later ones add no taint.
    first = next(name for name in names if expected[name] == "ok POE")
    said = [name for name in names if "module license " in logs[name]]
    assert said == [first]
    for each in LICENSES:
        plain, gpl = user_name("plain", each), user_name("gpl", each)
        finding(
            f"symbol.license.{each.slug}",
            command=f"insmod lender.ko; insmod {plain}.ko; insmod {gpl}.ko",
            output=f"{_shown(steps, plain, 'plain_user')}\n{_shown(steps, gpl, 'gpl_user')}",
            license=each.text,
            is_compatible=each.is_compatible,
            modpost_plain="refused" if tainted.kit.modpost[plain] else "ok",
            modpost_gpl="refused" if tainted.kit.modpost[gpl] else "ok",
            load_plain=expected[plain].split()[0],
            load_gpl="ok" if expected[gpl].startswith("ok") else expected[gpl],
            taint_plain=expected[plain].split()[1],
        )


def test_who_uses_a_proprietary_module_inherits_its_taint(tainted: Bench, finding: Note) -> None:
    """Keys `symbol.inherits` and `symbol.inherits.next`. Since 5.9, commit 262e6ae7081d, a GPL module cannot connect a
    proprietary module to GPL-only symbols."""
    commands = {"closed": "insmod closed.ko", "clear": "dmesg -C"}
    for name in ("heir", "heir_user"):
        commands |= _load(name, name)
    steps = tainted.steps({**commands, **_LOG, "away": "rmmod heir_user heir closed"})
    assert steps["away"].status == 0, transcript(*steps.values())
    typed = "insmod closed.ko"
    for name, owner, key in (("heir", "closed", "symbol.inherits"), ("heir_user", "heir", "symbol.inherits.next")):
        assert steps[f"{name} taint"].output == "POE"
        symbols = _symbols(tainted.kit, f"vmlab_{owner}")
        expected = f"{name}: module uses {symbols} from proprietary module {owner}, inheriting taint."
        assert expected in _logs(steps)[name]
        typed += f"; insmod {name}.ko"
        finding(key, command=typed, output=_shown(steps, name, name), license="GPL", result="ok", taint="POE")


def _symbols(kit: Kit, name: str) -> str:
    """The message in 5.10 does not name the symbol; 6.1's does (inherit_taint())."""
    return f"symbols {name}" if line_of(kit.release) >= (6, 1) else "symbols"


def test_the_order_of_the_symbol_table_decides_how_a_mixture_is_refused(tainted: Bench, finding: Note) -> None:
    """Keys `symbol.closed-first` and `symbol.gpl-first`. Proprietary symbol first: the module is tainted before the
    GPL-only symbol is looked up, which then counts as missing. GPL-only symbol first: the mixture is refused."""
    commands = {"lender": "insmod lender.ko", "closed": "insmod closed.ko", "clear": "dmesg -C"}
    mixtures = {"closed_first": "vmlab_gpl", "gpl_first": "vmlab_only_gpl"}
    symbols = _symbols(tainted.kit, "vmlab_closed")
    for name in mixtures:
        commands |= _load(name, name)
    steps = tainted.steps({**commands, **_LOG, "away": "rmmod closed lender"})
    assert steps["away"].status == 0, transcript(*steps.values())
    for name, gpl in mixtures.items():
        undefined = Object(tainted.kit.ko(name)).undefined
        is_closed_first = undefined.index("vmlab_closed") < undefined.index(gpl)
        assert is_closed_first == (name == "closed_first"), json.dumps(undefined)
        log = _logs(steps)[name]
        assert steps[f"{name} load"].status == 1
        assert _result(steps, name) == "Unknown symbol in module"
        if is_closed_first:
            assert f"{name}: module uses {symbols} from proprietary module closed, inheriting taint." in log
            assert f"{name}: Unknown symbol {gpl} (err -2)" in log
        else:
            mixture = f"module using GPL-only symbols uses {symbols} from proprietary module closed."
            assert f"{name}: {mixture}" in log
            assert f"{name}: Unknown symbol vmlab_closed (err -2)" in log
        finding(
            f"symbol.{name.replace('_', '-')}",
            command=f"insmod lender.ko; insmod closed.ko; insmod {name}.ko",
            output=_shown(steps, name, name),
            license="GPL",
            result="refused",
            order=" ".join(word for word in undefined if word.startswith("vmlab")),
        )
