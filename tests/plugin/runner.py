# SPDX-License-Identifier: MIT
"""A minimal GitHub Actions runner, which runs a composite action's steps unmodified from action.yml.

It evaluates expressions. Commands get only the environment that docs.github.com documents ("Variables reference").
Steps with `uses` are recorded, not run.
"""

from __future__ import annotations

import re
import subprocess
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def environment_with_vmlab(directory: Path) -> Path:
    """Make a virtual environment that has this checkout's vmlab and this environment's packages; return its python.

    An isolated interpreter does not read PYTHONPATH."""
    venv.create(directory, symlinks=True)
    (packages,) = (directory / "lib").glob("python*/site-packages")
    paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (packages / "vmlab-of-the-checkout.pth").write_text("\n".join(dict.fromkeys(paths)) + "\n", encoding="utf-8")
    return directory / "bin" / "python"


@dataclass
class Runner:
    """A runner with a separate workspace."""

    home: Path
    inputs: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    """Output of each step, by step id."""
    outcomes: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    used: list[dict[str, Any]] = field(default_factory=list)
    """Steps with `uses` that a real runner runs, with their evaluated inputs."""

    def __post_init__(self) -> None:
        for name in ("workspace", "temp"):
            (self.home / name).mkdir(parents=True)

    @property
    def workspace(self) -> Path:
        return self.home / "workspace"

    @property
    def summary(self) -> str:
        path = self.home / "summary.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def run(self, action: Path = ROOT / "action.yml", *, until: str = "", **inputs: str) -> str:
        """Run all steps, or those up to `until`; return `success` or `failure`. Input names have _ in place of -."""
        data = yaml.safe_load(action.read_text(encoding="utf-8"))
        self.inputs = {name: str(row.get("default", "")) for name, row in data["inputs"].items()}
        self.inputs |= {name.replace("_", "-"): value for name, value in inputs.items()}
        has_failed = False
        for number, step in enumerate(data["runs"]["steps"]):
            name = step.get("id", f"step{number}")
            condition = str(step.get("if", "${{ success() }}"))
            if not self._holds(_EXPRESSION.fullmatch(condition), has_failed=has_failed):
                self.outcomes[name] = "skipped"
                continue
            self.outcomes[name] = "success" if self._step(name, step) else "failure"
            has_failed = has_failed or self.outcomes[name] == "failure"
            if name == until:
                break
        return "failure" if has_failed else "success"

    def result(self, name: str, action: Path = ROOT / "action.yml") -> str:
        """One of the action's outputs."""
        data = yaml.safe_load(action.read_text(encoding="utf-8"))
        return self._filled(data["outputs"][name]["value"])

    def _step(self, name: str, step: dict[str, Any]) -> bool:
        if "uses" in step:
            self.used.append({key: self._filled(str(value)) for key, value in step.get("with", {}).items()})
            return True
        assert step["shell"] == "bash"
        assert not _EXPRESSION.search(step["run"]), "an expression in shell text"
        script, output = self.home / f"{name}.sh", self.home / f"{name}.output"
        script.write_text(step["run"], encoding="utf-8")
        output.touch()
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace,
            env=self._environment(output) | {key: self._filled(value) for key, value in step.get("env", {}).items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.logs[name] = done.stdout
        self.outputs[name] = dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())
        return done.returncode == 0

    def _environment(self, output: Path) -> dict[str, str]:
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.home / "summary.md"),
            "RUNNER_TEMP": str(self.home / "temp"),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_ENVIRONMENT": "self-hosted",
        } | self.environment

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda match: self._value(match[1]), text)

    def _holds(self, condition: re.Match[str] | None, *, has_failed: bool) -> bool:
        assert condition is not None, "a condition is one expression"
        status = {"success()": not has_failed, "!cancelled()": True}
        words = [word.strip() for word in condition[1].split("&&")]
        # A condition without a status function implies success().
        if not any(word in status for word in words):
            words.append("success()")
        return all(status[word] if word in status else self._compared(word) for word in words)

    def _compared(self, text: str) -> bool:
        left, sign, right = re.split(r"\s*(==|!=)\s*", text)
        return (self._value(left) == right.strip("'")) == (sign == "==")

    def _value(self, text: str) -> str:
        context, _, rest = text.partition(".")
        if context == "inputs":
            return self.inputs[rest]
        assert context == "steps", f"unknown context in {text!r}"
        step, kind, *key = rest.split(".")
        if kind == "outcome":
            return self.outcomes[step]
        return self.outputs.get(step, {}).get(key[0], "")
