# SPDX-License-Identifier: MIT
"""A resident program beside the lab's root shell, for what the lab does around every test.

In each fork QEMU translates a program that starts, and the kernel's fork and exec: 0.1 to 0.3 s for the proof alone.
The helper is started after the boot and frozen with the guest, so a request only wakes it. It is written in perl, which
every Debian has; a guest without perl starts programs.
"""

from __future__ import annotations

import shlex
from pathlib import Path

CALL = "vmlab_ask"
"""The root shell's function that passes a request to the helper; fails if there is none. A command that begins with it
runs in the root shell itself: it may not exit."""
_PROGRAM = Path(__file__).with_name("helper.pl")
# Named pipes rather than the port: the end of the helper ends them too. A handler, unlike an ignored signal, is not
# inherited by programs.
_START = (
    CALL + "() {{ printf '%s\\n' \"$*\" >&5 && read -r REPLY <&6; }} 2>/dev/null; trap : PIPE; "
    "if command -v perl >/dev/null && mkfifo -m 600 /run/vmlab.ask /run/vmlab.reply; then "
    'perl -e {program} "$(uname -m)" 3>&1 </run/vmlab.ask >/run/vmlab.reply 2>/dev/null & '
    "exec 5>/run/vmlab.ask 6</run/vmlab.reply; rm -f /run/vmlab.ask /run/vmlab.reply; fi"
)


def start_helper() -> str:
    """Return the command that starts the helper in the root shell and defines `CALL`. It succeeds without perl too."""
    return _START.format(program=shlex.quote(_PROGRAM.read_text()))


def request(verb: str, argument: str = "", *, otherwise: str) -> str:
    """Return a command that makes a request of the helper, or runs another command where there is no helper.

    An argument of more than one line is no request: then it is the other command.
    """
    if "\n" in argument:
        return otherwise
    words = f"{verb} {argument}".rstrip(" ")
    return f"{CALL} {shlex.quote(words)} || ({otherwise})"
