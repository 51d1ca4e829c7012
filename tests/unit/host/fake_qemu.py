# SPDX-License-Identifier: MIT
"""A host whose QEMU is a small shell script, which is all that the choice of an accelerator needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.host.accelerator import Verdict, choose_accelerator
from vmlab.host.confinement import Confinement
from vmlab.settings import AcceleratorChoice
from vmlab.store.store import Store

BANNER = 'echo "[    0.000000] Linux version 6.1.0-56-cloud-amd64" >"$1"; exec sleep 1000'
SILENCE = 'echo "SeaBIOS (version 1.16.2)" >"$1"; exec sleep 1000'
LADDER = ("host", "host,pmu=off", "Nehalem")
_QEMU_SAID = r"""cat >&2 <<'END'
qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.pni [bit 0]
qemu-system-x86_64: error: failed to set MSR 0x38d to 0x0
qemu-system-x86_64: ../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.
END
"""
ABORT = f"{_QEMU_SAID}kill -ABRT $$"
"""Behaviour of QEMU 7.2 on a nested host that refuses a register, verbatim, with a warning before it."""
ABORT_TOLD = "QEMU ended with status -6: qemu-system-x86_64: error: failed to set MSR 0x38d to 0x0"


@dataclass
class Host:
    """A host whose QEMU is a script: sets its behaviour and counts its starts."""

    directory: Path
    script: str = BANNER

    @property
    def models(self) -> list[str]:
        """CPU models that QEMU was started with so far."""
        journal = self.directory / "runs"
        return journal.read_text().splitlines() if journal.exists() else []

    @property
    def runs(self) -> int:
        return len(self.models)

    def does(self, **scripts: str) -> None:
        """Set QEMU's behaviour per CPU model; `off` is `host,pmu=off`. With other models QEMU exits without output."""
        cases = "".join(
            f"{'host,pmu=off' if name == 'off' else name}) {script} ;;\n" for name, script in scripts.items()
        )
        self.script = f'case "$3" in\n{cases}esac'

    def argv(self, model: str, console: Path, flag: str = "-smp 2") -> Sequence[str]:
        script = f'echo "$3" >>{self.directory}/runs; {self.script}'
        return ["sh", "-c", script, "qemu", str(console), flag, model]

    def choose(
        self,
        choice: AcceleratorChoice = AcceleratorChoice.AUTO,
        *,
        version: str = "7.2.22",
        flag: str = "-smp 2",
        timeout_s: float = 5.0,
        device: Path | None = None,
        architecture: Architecture = Architecture.AMD64,
        ladder: Sequence[str] = ("host",),
    ) -> Verdict:
        return choose_accelerator(
            choice,
            architecture=architecture,
            store=Store(self.directory / "store"),
            qemu_version=version,
            kvm_argv=lambda model, console, _: self.argv(model, console, flag),
            ladder=ladder,
            device=device or self.directory / "kvm",
            timeout_s=timeout_s,
            confinement=Confinement(),
        )
