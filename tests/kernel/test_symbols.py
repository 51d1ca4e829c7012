# SPDX-License-Identifier: MIT
"""Symbol lookup in the kernel: the tables it searches, and modules that are not yet live."""

from __future__ import annotations

import re

import pytest

from .bench import Bench, transcript
from .finding import Note

_COMING = "await '[ \"$(cat /sys/module/gate/initstate)\" = coming ]'"
_SLEEPS = r'grep -Eq "resolve_symbol|load_module" /proc/$user/stack && grep -q "^State:.S" /proc/$user/status'
_SINCE_MARK = "dmesg -t | tac | sed '/^vmlab-experiment$/,$d' | tac"
_MARK = "echo '<6>vmlab-experiment' >/dev/kmsg"


def test_a_load_waits_for_the_module_that_it_depends_on(bench: Bench, finding: Note) -> None:
    """Key `symbol.waits`. The lender is COMING while its init runs. Its symbols are found, and the borrower waits up to
    30 s for it to be LIVE (resolve_symbol_wait(), strong_try_module_get())."""
    printed = bench.as_root(
        f"""
{_MARK}
insmod gate.ko & lender=$!
{_COMING}
insmod gate_user.ko & user=$!
await '{_SLEEPS}'
echo "# cat /sys/module/gate/initstate"; cat /sys/module/gate/initstate
echo "# grep gate /proc/modules"; grep gate /proc/modules
echo "# ls -d /sys/module/gate*"; ls -d /sys/module/gate*
echo "# cat /proc/$user/stack  # insmod gate_user.ko"; cat /proc/$user/stack
echo 1 >/sys/module/gate/parameters/open
wait $lender && wait $user || exit
echo "# dmesg"; {_SINCE_MARK} | grep '^gate'
echo "# grep gate /proc/modules"; grep gate /proc/modules
rmmod gate_user gate
"""
    )
    while_waiting, _, afterwards = printed.partition("# dmesg\n")
    assert "Loading" in _module_line(while_waiting, "gate")
    # UNFORMED: neither in /proc/modules nor in sysfs.
    assert "gate_user" not in while_waiting.replace("insmod gate_user.ko", "")
    assert re.search(r"\] (simplify_symbols|resolve_symbol\w*|load_module)\b", while_waiting), printed
    said = [line for line in afterwards.splitlines() if line.startswith("gate")]
    order = [line for line in said if "init" in line]
    assert order == ["gate: init waits", "gate: init ends", "gate_user: init: vmlab_gate() = 1"], afterwards
    assert _module_line(afterwards, "gate").split()[2:4] == ["1", "gate_user,"]
    finding(
        "symbol.waits",
        command="insmod gate.ko & insmod gate_user.ko & cat /proc/$!/stack",
        output=printed.strip(),
        state="coming",
        order=" > ".join(order),
    )


def _module_line(printed: str, name: str) -> str:
    return next((line for line in printed.splitlines() if line.startswith(f"{name} ")), "")


def test_a_module_that_itself_waits_is_passed_over(bench: Bench, finding: Note) -> None:
    """Key `symbol.unformed`. gate_user waits for gate and is UNFORMED meanwhile: find_symbol() skips it, so a user of
    gate_user's symbols is refused at once instead of waiting. State UNFORMED exists since commit 0d21b0e34773
    (2013)."""
    printed = bench.as_root(
        f"""
insmod gate.ko & lender=$!
{_COMING}
insmod gate_user.ko & user=$!
await '{_SLEEPS}'
{_MARK}
echo "# insmod gate_user_user.ko"; insmod gate_user_user.ko 2>&1; echo "status $?"
echo "# dmesg"; {_SINCE_MARK}
echo 1 >/sys/module/gate/parameters/open
wait $lender && wait $user || exit
echo "# insmod gate_user_user.ko  # once gate_user is live"; insmod gate_user_user.ko 2>&1; echo "status $?"
rmmod gate_user_user gate_user gate
"""
    )
    refused, _, accepted = printed.partition("# insmod gate_user_user.ko  # once gate_user is live\n")
    assert "Unknown symbol in module" in refused
    assert "gate_user_user: Unknown symbol vmlab_gate_user (err -2)" in refused
    assert accepted.strip() == "status 0"
    finding(
        "symbol.unformed",
        command="insmod gate.ko & insmod gate_user.ko & insmod gate_user_user.ko",
        output=printed.strip(),
        errno="ENOENT",
        state="unformed",
    )


@pytest.mark.parametrize(
    ("key", "name", "owner"),
    [("symbol.duplicate.kernel", "kstrtouint", "kernel"), ("symbol.duplicate.module", "vmlab_gpl", "lender")],
    ids=["kernel", "module"],
)
def test_a_name_that_is_taken_cannot_be_exported_again(
    bench: Bench, finding: Note, key: str, name: str, owner: str
) -> None:
    """Keys `symbol.duplicate.*`. Lookup searches the kernel's table, then each module's. That order never matters:
    verify_exported_symbols() searches in the same way and refuses duplicates."""
    steps = bench.steps(
        {
            "lender": f"{_MARK}; insmod lender.ko",
            "rival": f"insmod rival_{name}.ko",
            "log": f"{_SINCE_MARK} | grep rival",
            "away": "rmmod lender",
        }
    )
    assert steps["rival"].status == 1
    assert steps["rival"].output.endswith("Invalid module format"), steps["rival"].output
    assert f"rival: exports duplicate symbol {name} (owned by {owner})" in steps["log"].output
    finding(
        key,
        command=f"insmod lender.ko; {steps['rival'].command}",
        output=f"{steps['rival'].transcript}\n# dmesg\n{steps['log'].output}",
        owner=owner,
        errno="ENOEXEC",
    )


def test_depends_and_holders_tell_who_uses_whom(bench: Bench, finding: Note) -> None:
    """Key `symbol.holders`."""
    steps = bench.steps(
        {
            "early": "insmod gpl_gpl.ko",
            "lender": "insmod lender.ko",
            "user": "insmod gpl_gpl.ko",
            "modules": "grep -E '^(lender|gpl_user) ' /proc/modules",
            "holders": "ls /sys/module/lender/holders",
            "in use": "rmmod lender",
            "away": "rmmod gpl_user lender",
            "depends": "modinfo -F depends gpl_gpl.ko",
        }
    )
    assert (steps["early"].status, steps["user"].status, steps["in use"].status, steps["away"].status) == (1, 0, 1, 0)
    assert "Unknown symbol in module" in steps["early"].output
    assert "Module lender is in use by: gpl_user" in steps["in use"].output
    assert steps["depends"].output == "lender"
    assert steps["holders"].output == "gpl_user"
    finding(
        "symbol.holders",
        command=steps["modules"].command,
        output=transcript(*steps.values()),
        depends="lender",
        holders="gpl_user",
    )
