# SPDX-License-Identifier: MIT
"""Permission to read the kernel log: dmesg with kernel.dmesg_restrict 0 and 1, and the journal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest

from vmlab.catalogue.target import Target
from vmlab.guest.guest import Guest

from .finding import Note
from .typed import by_root, by_user

_RESTRICT = "/proc/sys/kernel/dmesg_restrict"
_REFUSED = "dmesg: read kernel buffer failed: Operation not permitted"
_AS_LAB = "setpriv --reuid lab --regid lab"
# A login after `usermod -aG GROUP lab` has exactly these groups. File capabilities, systemd's AmbientCapabilities= and
# pam_cap grant the capability; setpriv(1) keeps it across the change of user.
_WHO = {
    "user": f"{_AS_LAB} --init-groups",
    "adm": f"{_AS_LAB} --groups adm",
    "cap_syslog": f"{_AS_LAB} --init-groups --inh-caps +syslog --ambient-caps +syslog",
    "root": "",
    "cap_sys_admin": "setpriv --bounding-set -syslog",  # root without CAP_SYSLOG
}
"""Kind of user to the prefix that root types to run dmesg as that user."""
_DEPRECATED = "Attempt to access syslog with CAP_SYS_ADMIN but no CAP_SYSLOG (deprecated)"
_READS = re.compile(r"Linux version \d")
"""One of the first lines that the kernel logs: its presence shows that the log is readable."""


@contextlib.contextmanager
def _restricted(guest: Guest, value: int) -> Iterator[None]:
    before = guest.read(_RESTRICT).strip()
    guest.as_root(f"echo {value} >{_RESTRICT}")
    try:
        yield
    finally:
        if not guest.is_lost:
            guest.as_root(f"echo {before} >{_RESTRICT}")


def _lets_cap_sys_admin_read(target: Target) -> bool:
    """check_syslog_permissions(), kernel/printk/printk.c: a fallback with a warning since v2.6.38. v6.6 still has it,
    v6.12 does not; of the lab's kernels 6.1 is the last with it."""
    major, minor = map(int, target.line.split("."))
    return (major, minor) < (6, 7)


def _require_known_line(target: Target) -> None:
    if not re.fullmatch(r"\d+\.\d+", target.line) or (6, 6) < tuple(map(int, target.line.split("."))) < (6, 12):
        pytest.skip(f"whether {target.line} lets CAP_SYS_ADMIN read the log was not looked up")


def test_a_debian_kernel_restricts_the_log_from_the_start(shared_guest: Guest, target: Target, finding: Note) -> None:
    # Restored after each change. Upstream's default is n (security/Kconfig).
    command = f"cat {_RESTRICT}; grep SECURITY_DMESG_RESTRICT /boot/config-$(uname -r); id -nG"
    said = by_user(shared_guest, command)
    restrict, config, groups = said.output.splitlines()
    finding("dmesg.default", **said.shown, restrict=int(restrict), config=config, groups=groups)
    is_set = config == "CONFIG_SECURITY_DMESG_RESTRICT=y"
    assert restrict == str(int(is_set))
    if target.suite.distribution == "debian":
        assert (is_set, groups) == (True, "lab")


def test_the_ordinary_user_is_refused_by_both_ways_into_the_log(shared_guest: Guest, finding: Note) -> None:
    with _restricted(shared_guest, 1):
        said = by_user(shared_guest, "dmesg")
        calls = by_user(
            shared_guest,
            "strace -e trace=openat,syslog dmesg 2>&1 | grep -E 'kmsg|syslog'",
        )
    finding("dmesg.refused", **said.shown, status=said.status)
    opened, asked = (re.search(rf"{what}.*= -1 (E\w+)", calls.output) for what in ("/dev/kmsg", "syslog"))
    assert opened is not None, calls.output
    assert asked is not None, calls.output
    finding("dmesg.calls", **calls.shown, kmsg=opened[1], syslog=asked[1])
    assert (said.status, said.output.strip()) == (1, _REFUSED)
    # The file's mode lets everyone read it; the kernel refuses to open it (devkmsg_open()).
    assert (opened[1], asked[1]) == ("EPERM", "EPERM")
    assert shared_guest.succeed("stat -c %A /dev/kmsg").strip() == "crw-r--r--"


def test_who_may_read_the_log(shared_guest: Guest, target: Target, finding: Note) -> None:
    _require_known_line(target)
    # First, because the kernel warns of it once per boot.
    is_let = _cap_sys_admin_reads(shared_guest, finding)
    seen = {value: _readers(shared_guest, value) for value in (0, 1)}
    table = [f"{'':15} {'dmesg_restrict=0':18} dmesg_restrict=1"]
    table += [f"{who:15} {_word(seen[0][who]):18} {_word(seen[1][who])}" for who in _WHO]
    commands = ["sudo sysctl -w kernel.dmesg_restrict=0  # and then the same with 1"]
    commands += [f"sudo {prefix} dmesg".replace("  ", " ") for prefix in _WHO.values()]
    facts = {f"{who}_{value}": may for value, row in seen.items() for who, may in row.items()}
    finding("dmesg.table", command="\n".join(commands), output="\n".join(table), **facts)
    assert all(seen[0].values())
    assert seen[1] == {
        "user": False,
        "adm": False,
        "cap_syslog": True,
        "root": True,
        "cap_sys_admin": _lets_cap_sys_admin_read(target),
    }
    assert seen[1]["cap_sys_admin"] is is_let


def _cap_sys_admin_reads(guest: Guest, finding: Note) -> bool:
    """True if CAP_SYS_ADMIN alone is enough; then the kernel warns."""
    prefix = _WHO["cap_sys_admin"]
    with _restricted(guest, 1):
        said = by_root(
            guest,
            f"{prefix} dmesg 2>&1 | tail -n 1; dmesg -t | grep deprecated",
            shown=f"sudo {prefix} dmesg | tail -n 1\nsudo dmesg -t | grep deprecated",
        )
    is_let, warned = _REFUSED not in said.output, _DEPRECATED in said.output
    finding("dmesg.cap-sys-admin", **said.shown, works=is_let, warned=warned)
    assert warned is is_let, said.output
    return is_let


def _readers(guest: Guest, value: int) -> dict[str, bool]:
    looks = [f'echo "{who} $({prefix} dmesg 2>&1 | grep -cE "Linux version [0-9]")"' for who, prefix in _WHO.items()]
    with _restricted(guest, value):
        lines = guest.as_root("; ".join(looks)).splitlines()
    return {who: int(count) > 0 for who, count in (line.split() for line in lines)}


def _word(may: bool) -> str:
    return "reads" if may else "refused"


def test_the_capability_is_enough_for_the_ordinary_user(shared_guest: Guest, finding: Note) -> None:
    command = (
        f"{_WHO['cap_syslog']} sh -c 'id -un; grep CapEff /proc/self/status; dmesg | grep -m 1 -o \"Linux version\"'"
    )
    with _restricted(shared_guest, 1):
        said = by_root(shared_guest, command)
    finding("dmesg.cap-syslog", **said.shown, status=said.status)
    user, capabilities, line = said.output.splitlines()
    # CAP_SYSLOG is bit 34 (include/uapi/linux/capability.h), and the only one.
    assert (user, int(capabilities.split()[1], 16), line) == ("lab", 1 << 34, "Linux version")


def test_the_journal_is_read_by_membership_and_not_by_capability(shared_guest: Guest, finding: Note) -> None:
    look = "journalctl -k --no-pager 2>&1 | head -n 4"
    groups = {"user": "--init-groups", "adm": "--groups adm", "systemd-journal": "--groups systemd-journal"}
    may: dict[str, bool] = {}
    with _restricted(shared_guest, 1):
        for who, option in groups.items():
            prefix = f"{_AS_LAB} {option}"
            said = by_root(shared_guest, f"{prefix} {look}", shown=look if who == "user" else "")
            may[who] = _READS.search(said.output) is not None
            finding(f"journal.{who}", **said.shown, works=may[who])
            if who == "user":
                # Users with their own journal see that, and "No entries" for the kernel's messages.
                assert "You are currently not seeing messages from other users and the system" in said.output
    assert may == {"user": False, "adm": True, "systemd-journal": True}


def test_the_journals_files_name_who_may_read_them(shared_guest: Guest, finding: Note) -> None:
    # systemd-journald reads the kernel log as root and stores it in files with a group and an ACL, set by systemd's
    # /usr/lib/tmpfiles.d/systemd.conf.
    listing = "ls -ld /*/log/journal /*/log/journal/*/system.journal"
    said = by_root(shared_guest, f"sh -c '{listing}; grep ^a.*adm /usr/lib/tmpfiles.d/systemd.conf'")
    listed = [line for line in said.output.splitlines() if line.endswith("/system.journal")]
    assert len(listed) == 1, said.output
    mode, _, owner, group = listed[0].split()[:4]
    is_persistent = listed[0].split()[-1].startswith("/var/")
    finding("journal.why", **said.shown, mode=mode, owner=owner, group=group, persistent=is_persistent)
    # The plus indicates an ACL, which includes adm.
    assert (mode, owner, group) == ("-rw-r-----+", "root", "systemd-journal")
    assert "group:adm:r" in said.output
